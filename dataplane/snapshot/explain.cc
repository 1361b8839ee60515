#include "dataplane/snapshot/explain.h"

#include <algorithm>

#include "common/base/clock.h"
#include "common/http/uri.h"
#include "common/http/via.h"
#include "dataplane/policy/pipeline.h"
#include "dataplane/policy/rate_table.h"
#include "dataplane/snapshot/explain_text.h"
#include "dataplane/snapshot/forward.h"
#include "dataplane/snapshot/stopped.h"
#include "dataplane/snapshot/websocket_rule.h"

namespace gw {
namespace {

constexpr size_t kMaxLosers = 20;

class Explainer final : public ExplainSink {
 public:
  Explainer(const Tables& tables, const ExplainInput& input) : tables_(tables), input_(input) {}

  v1::ExplainResponse run() {
    out_.set_version(tables_.snapshot->version());
    if (!read_request() || !pick_gateway() || !read_target() || !let_in() || !find_route() || !check_websocket() || !find_caller()) return std::move(out_);
    ctx_.route = route_;
    Decision d = pipeline_.run(ctx_);
    if (d.kind == Decision::Kind::kRespond) {
      answered(*d.response);
    } else {
      backend();
    }
    pipeline_.done(ctx_);
    return std::move(out_);
  }

  // ExplainSink
  void note(const Policy& policy, std::string_view verdict, std::string_view detail, Reason reason) override {
    if (last_policy_ == &policy) {  // the pipeline's word on what the policy said of itself
      v1::ExplainStep& step = *out_.mutable_steps(out_.steps_size() - 1);
      if (verdict != "pass") fill(step, verdict, detail, reason);
      return;
    }
    last_policy_ = &policy;
    const ChainEntry* entry = find(policy);
    bool authenticates = policy.phase() == Phase::kAuthentication;
    v1::ExplainStep& step = add(authenticates ? "auth" : policy.info().type, policy.full_name());
    if (entry) step.set_place(place_text(ctx_, *entry));
    fill(step, verdict, detail, reason);
    if (!detail.empty()) return;
    if (authenticates && ctx_.identity.app) step.set_detail(caller_text(*ctx_.identity.app));
    if (policy.phase() == Phase::kTransform && policy.has_response()) step.set_detail("on the response");
  }

  void step(std::string_view phase, std::string_view object, std::string_view verdict, std::string_view detail,
            Reason reason) override {
    last_policy_ = nullptr;
    std::string text(detail);
    if (phase == "plan" && ctx_.identity.plan) {
      text = plan_text(*ctx_.identity.plan, tables_.quota->active_nodes()) + (text.empty() ? "" : ": " + text);
    }
    fill(add(phase, object), verdict, text, reason);
  }

  const AppRecord* as_app() const override { return app_; }

 private:
  v1::ExplainStep& add(std::string_view phase, std::string_view object) {
    v1::ExplainStep& step = *out_.add_steps();
    step.set_phase(std::string(phase));
    step.set_object(std::string(object));
    return step;
  }
  static void fill(v1::ExplainStep& step, std::string_view verdict, std::string_view detail, Reason reason) {
    step.set_verdict(std::string(verdict));
    if (!detail.empty()) step.set_detail(std::string(detail));
    step.set_reason(std::string(info(reason).name));
  }

  // The gateway answers by itself, before any policy.
  bool refused(std::string_view phase, std::string_view object, Reason reason, std::string_view detail) {
    fill(add(phase, object), "refused", detail, reason);
    LocalResponse response;
    response.reason = reason;
    response.detail = detail;
    answered(response);
    return false;
  }

  void answered(const LocalResponse& r) {
    int status = r.status != 0 ? r.status : info(r.reason).status;
    out_.set_status(status);
    out_.set_reason(std::string(info(r.reason).name));
    std::string text = std::to_string(status);
    if (r.reason != Reason::kNone) text += " " + out_.reason();
    if (!r.detail.empty()) text += ": " + std::string(r.detail);
    out_.set_answer(text);
  }

  bool read_request() {
    head_.method_text = input_.method;
    head_.method = parse_method(input_.method);
    target_ = input_.url;
    size_t scheme = target_.find("://");
    if (scheme != std::string_view::npos) {
      ctx_.over_tls = equals_ignore_case(target_.substr(0, scheme), "https");
      std::string_view rest = target_.substr(scheme + 3);
      size_t slash = rest.find_first_of("/?#");
      host_ = rest.substr(0, slash);
      head_.headers.add("host", *host_);
    }
    for (const auto& [name, value] : input_.headers) {
      if (equals_ignore_case(name, "host")) {
        if (host_) continue;  // the URL's authority replaces it
        host_ = value;
      }
      head_.headers.add(name, value);
    }
    ctx_.request = &head_;
    ctx_.tables = &tables_;
    ctx_.arena = &arena_;
    ctx_.rates = input_.rates;
    ctx_.explain = this;
    ctx_.now_ns = input_.mono_ns != 0 ? input_.mono_ns : SystemClock::instance().mono_ns();
    ctx_.wall_ns = input_.wall_ns != 0 ? input_.wall_ns : SystemClock::instance().wall_ns();
    auto client = IpAddress::parse(input_.client_address.empty() ? "127.0.0.1" : input_.client_address);
    if (!client) return refused("listener", {}, Reason::kBadRequest, "the client address is not an address");
    ctx_.client = *client;
    return true;
  }

  bool pick_gateway() {
    const auto& all = tables_.snapshot->gateways();
    if (!input_.gateway.empty()) {
      ctx_.gateway = tables_.snapshot->find_gateway(input_.gateway);
      if (!ctx_.gateway) return refused("listener", input_.gateway, Reason::kNoRoute, "there is no such Gateway");
    } else if (all.empty()) {
      return refused("listener", {}, Reason::kNotReady, "there is no Gateway");
    } else {
      ctx_.gateway = all.front().get();
      for (const auto& g : all) {
        if (all.size() == 1 || !claims(*g)) continue;
        ctx_.gateway = g.get();
        break;
      }
    }
    fill(add("listener", ctx_.gateway->name), "ok", listeners_text(*ctx_.gateway), Reason::kNone);
    return true;
  }

  bool claims(const GatewayConfig& gateway) {
    RequestHead head;
    head.method = head_.method;
    std::string_view why;
    if (!parse_target(head, arena_, target_, host_, why, path_rule(gateway))) return false;
    return gateway.match(head, arena_).api != nullptr;
  }

  bool read_target() {
    std::string_view why;
    if (head_.method == Method::kTrace || head_.method == Method::kConnect) {
      return refused("request", {}, Reason::kMethodNotAllowed, "TRACE and CONNECT are never allowed");
    }
    if (!is_token(head_.method_text)) return refused("request", {}, Reason::kBadRequest, "the method is not valid");
    for (const HeaderField& f : head_.headers.fields()) {
      if (!is_token(f.name) || f.name.find('_') != std::string_view::npos || !is_field_value(f.value)) {
        return refused("request", {}, Reason::kBadRequest, "a header field is not valid");
      }
    }
    if (!parse_target(head_, arena_, target_, host_, why, path_rule(*ctx_.gateway))) {
      return refused("request", {}, Reason::kBadRequest, why);
    }
    if (!head_.headers.maybe_has(HeaderId::kVia)) return true;
    ViaReading via = read_via(head_.headers, ctx_.gateway->via);
    if (via.own) return refused("request", ctx_.gateway->name, Reason::kLoop, kLoopDetail);
    if (via.others > ctx_.gateway->stacked_gateways) return refused("request", ctx_.gateway->name, Reason::kLoop, kStackDetail);
    return true;
  }

  // Of the listener with the URL's port, else of the first.
  PathRule path_rule(const GatewayConfig& gateway) const {
    if (gateway.listeners.empty()) return PathRule::kReject;
    std::string_view authority = host_.value_or(std::string_view());
    size_t colon = authority.rfind(':');
    for (const ListenerConfig& l : gateway.listeners) {
      if (colon != std::string_view::npos && authority.substr(colon + 1) == std::to_string(l.port)) return l.path_rule;
    }
    return gateway.listeners.front().path_rule;
  }

  // By an operator's switch. `answer` null: it is not.
  bool stopped(LocalResponse* answer, std::string_view object) {
    if (answer == nullptr) return false;
    fill(add("switch", object), "refused", answer->detail, answer->reason);
    answered(*answer);
    return true;
  }

  bool let_in() { return !stopped(blocked_answer(*tables_.switches, ctx_.client, ctx_.wall_ns, arena_), ctx_.client.to_string()); }

  bool find_route() {
    RouteResult found = ctx_.gateway->match(head_, arena_);
    if (found.api && stopped(disabled_answer(*tables_.switches, found.api->uid, arena_), found.api->name)) return false;
    ctx_.preflight = found.preflight;
    if (found.kind == RouteResult::Kind::kFound) {
      route_ = found.route;
      out_.set_route(route_->name());
      v1::ExplainStep& step = add("route", route_->name());
      step.set_place("Api/" + std::string(route_->api->short_name()));
      fill(step, "ok", match_text(*route_->config->match) + (route_->grpc_web() ? "; gRPC-Web goes on as gRPC" : ""), Reason::kNone);
      losers(*found.api);
      return true;
    }
    if (!found.api) {
      return refused("route", {}, Reason::kNoRoute, "no Api on this gateway claims this host and path");
    }
    losers(*found.api);
    if (found.kind == RouteResult::Kind::kMethodNotAllowed) {
      return refused("route", found.api->name, Reason::kMethodNotAllowed, "allowed here: " + std::string(found.allow));
    }
    return refused("route", found.api->name, Reason::kNoRoute, "none of the Api's routes matches the whole request");
  }

  // Why the other routes of the Api lost; those nearest to winning first.
  void losers(const ApiConfig& api) {
    const ApiOnGateway* served = nullptr;
    for (const auto& a : ctx_.gateway->apis) {
      if (a->api.get() == &api) served = a.get();
    }
    std::string_view path = matched_path(head_, arena_);
    struct Lost {
      int rank;
      const Route* route;
      std::string why;
    };
    std::vector<Lost> lost;
    for (const auto& r : served->routes) {
      if (r.get() == route_) continue;
      MatchFailure failure = match_failure(*r->config->match, served->router->base(), path, head_, arena_);
      int rank = failure == MatchFailure::kNone ? 0 : failure == MatchFailure::kPath ? 2 : 1;
      lost.push_back({rank, r.get(), lost_text(*r->config->match, failure, head_, arena_)});
    }
    std::stable_sort(lost.begin(), lost.end(), [](const Lost& a, const Lost& b) { return a.rank < b.rank; });
    for (size_t i = 0; i < lost.size() && i < kMaxLosers; ++i) {
      fill(add("route", lost[i].route->name()), "lost", lost[i].why, Reason::kNone);
    }
    if (lost.size() > kMaxLosers) {
      fill(add("route", {}), "lost", "and " + std::to_string(lost.size() - kMaxLosers) + " more", Reason::kNone);
    }
  }

  bool check_websocket() {
    bool wanted = false;
    for (const HeaderField& f : head_.headers.fields()) {
      if (f.id != HeaderId::kUpgrade) continue;
      for_each_list_member(f.value, [&](std::string_view member) { wanted = wanted || equals_ignore_case(member, "websocket"); });
    }
    if (!wanted) return true;
    const WebSocketRule* rule = route_->websocket();
    if (rule == nullptr) {
      return refused("websocket", route_->name(), Reason::kBadRequest, "this route takes no WebSocket upgrade");
    }
    if (!origin_allowed(*rule, head_)) {
      return refused("websocket", route_->name(), Reason::kCorsDenied, "this route takes no WebSocket from this origin");
    }
    fill(add("websocket", route_->name()), "ok", "a tunnel if the upstream agrees; " + websocket_text(*rule), Reason::kNone);
    return true;
  }

  bool find_caller() {
    if (input_.as_app == 0) return true;
    app_ = tables_.directory->app(input_.as_app);
    return app_ || refused("auth", {}, Reason::kAuthInvalid, "the App is not in the directory");
  }

  const ChainEntry* find(const Policy& policy) const {
    auto in = [&](const std::vector<ChainEntry>& list) -> const ChainEntry* {
      auto at = std::find_if(list.begin(), list.end(), [&](const ChainEntry& e) { return e.policy == &policy; });
      return at == list.end() ? nullptr : &*at;
    };
    const ChainEntry* e = in(route_->chain);
    if (!e) e = in(route_->auth);
    if (!e && ctx_.identity.plan) e = in(ctx_.identity.plan->policies);
    return e;
  }

  void backend() {
    last_policy_ = nullptr;
    if (const auto* to = std::get_if<UpstreamRef>(&route_->to())) {
      forwarded(to->upstream, {});
    } else if (const auto* split = std::get_if<SplitTo>(&route_->to())) {
      split_backend(*split);
    } else if (const auto* redirect = std::get_if<RedirectTo>(&route_->to())) {
      LocalResponse* r = redirect_to(*redirect, head_, ctx_.over_tls, arena_);
      answered(*r);
      fill(add("backend", {}), "ok", "redirect to " + std::string(r->headers[0].value), Reason::kNone);
      out_.set_answer(std::to_string(r->status) + " to " + std::string(r->headers[0].value));
    } else {
      const auto& with = std::get<RespondWith>(route_->to());
      LocalResponse* r = respond_with(with, arena_);
      answered(*r);
      fill(add("backend", {}), "ok", "the route's own answer", Reason::kNone);
      out_.set_answer(std::to_string(r->status) + " from the route");
    }
  }

  void split_backend(const SplitTo& split) {
    if (split.total_weight == 0) {
      refused("backend", {}, Reason::kNoHealthyEndpoint, "every weight of the split is 0");
      return;
    }
    auto arms = [&](const SplitTo::Arm& arm) { return upstream_name(arm.upstream) + " " + std::to_string(arm.weight); };
    std::string shares;
    for (const SplitTo::Arm& arm : split.arms) shares += (shares.empty() ? "" : ", ") + arms(arm);
    bool cookie = split.sticky_by == v1::STICKY_BY_COOKIE;
    bool random = split.sticky_by == v1::STICKY_BY_UNSPECIFIED || (cookie && cookie_find(head_.headers, kStickyCookie).empty());
    auto certain = std::find_if(split.arms.begin(), split.arms.end(), [&](const auto& a) { return a.weight == split.total_weight; });
    if (random && certain == split.arms.end()) {
      fill(add("backend", {}), "unknown", "by weight: " + shares, Reason::kNone);
      out_.set_answer("forwarded by weight: " + shares);
      return;
    }
    FastRandom unused(1);
    ArmPick pick = pick_arm(split, {&head_, &ctx_.identity, ctx_.client, &unused, &arena_});
    std::string by = "by weight";
    if (cookie) by = "sticky(cookie)";
    if (split.sticky_by == v1::STICKY_BY_ADDRESS) by = "sticky(" + ctx_.client.to_string() + ")";
    if (split.sticky_by == v1::STICKY_BY_CONSUMER) {
      by = "sticky(" + (ctx_.identity.app ? ctx_.identity.app->consumer->name : ctx_.client.to_string()) + ")";
    }
    forwarded(pick.upstream, by + " of " + shares);
  }

  std::string upstream_name(uint32_t index) const {
    const UpstreamConfig* u = tables_.snapshot->upstream(index);
    return u ? u->name : "?";
  }

  void forwarded(uint32_t index, const std::string& why) {
    const UpstreamConfig* u = tables_.snapshot->upstream(index);
    std::string url = (u->tls ? "https://" : "http://") + targets_text(*u) + std::string(upstream_target(route_->rewrite(), head_, arena_));
    for (const UpstreamTarget& t : u->targets) {
      if (tables_.switches->drained(u->uid, t.authority)) url += ", " + t.authority + " is drained";
    }
    fill(add("backend", u->name), "ok", why.empty() ? url : why + " -> " + url, Reason::kNone);
    if (std::string rules = target_rules_text(*u); !rules.empty()) fill(add("targets", u->name), "ok", rules, Reason::kNone);
    if (const MirrorRule* mirror = route_->mirror()) {
      fill(add("mirror", upstream_name(mirror->upstream)), "ok", mirror_text(*mirror), Reason::kNone);
    }
    out_.set_upstream(u->name);
    out_.set_answer("forwarded to " + u->name);
  }

  const Tables& tables_;
  const ExplainInput& input_;
  v1::ExplainResponse out_;
  Arena arena_;
  RequestHead head_;
  std::string_view target_;
  std::optional<std::string_view> host_;
  PolicyContext ctx_;
  Pipeline pipeline_;
  const Route* route_ = nullptr;
  const AppRecord* app_ = nullptr;
  const Policy* last_policy_ = nullptr;
};

}  // namespace

v1::ExplainResponse explain(const Tables& tables, const ExplainInput& input) { return Explainer(tables, input).run(); }

}  // namespace gw
