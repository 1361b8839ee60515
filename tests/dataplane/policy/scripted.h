// Policies that do what a test tells them, in place of ipList and apiKey policies of certain names.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tests/dataplane/snapshot/world.h"

namespace gw::testing {

// What happened, in order: "request a", "response a", "done a".
using Journal = std::vector<std::string>;

struct Script {
  Phase phase = Phase::kConnection;
  Combine combine = Combine::kAll;
  std::function<Decision(PolicyContext&)> on_request;
  std::function<Decision(PolicyContext&, std::string_view, bool, std::string*)> on_body;
  BodyMode request_mode = BodyMode::kNone, response_mode = BodyMode::kNone;
  size_t limit = 65536;
};

class Scripted final : public Policy {
 public:
  Scripted(Info info, Script script, Journal& journal) : Policy(std::move(info)), script_(std::move(script)), journal_(journal) {}
  Phase phase() const override { return script_.phase; }
  Combine combine() const override { return script_.combine; }
  Decision on_request(PolicyContext& ctx) const override {
    journal_.push_back("request " + info().name);
    if (*ctx.slot != nullptr) journal_.push_back("slot of " + info().name + " not null");
    *ctx.slot = const_cast<Scripted*>(this);
    return script_.on_request ? script_.on_request(ctx) : Decision::next();
  }
  void on_response(PolicyContext& ctx, ResponseHead&) const override { log(ctx, "response "); }
  void on_done(PolicyContext& ctx) const override { log(ctx, "done "); }
  bool has_response() const override { return true; }
  bool has_done() const override { return true; }
  BodyMode request_body_mode() const override { return script_.request_mode; }
  BodyMode response_body_mode() const override { return script_.response_mode; }
  size_t body_limit() const override { return script_.limit; }
  Decision on_request_body(PolicyContext& ctx, std::string_view piece, bool last, std::string* out) const override {
    return body(ctx, piece, last, out);
  }
  Decision on_response_body(PolicyContext& ctx, std::string_view piece, bool last, std::string* out) const override {
    return body(ctx, piece, last, out);
  }

 private:
  void log(PolicyContext& ctx, const std::string& what) const {
    journal_.push_back(what + info().name + (*ctx.slot == this ? "" : " with a foreign slot"));
  }
  Decision body(PolicyContext& ctx, std::string_view piece, bool last, std::string* out) const {
    journal_.push_back("body " + info().name + " '" + std::string(piece) + (last ? "' last" : "'"));
    return script_.on_body ? script_.on_body(ctx, piece, last, out) : Decision::next();
  }
  const Script script_;
  Journal& journal_;
};

// A world whose policies named in `scripts` are scripted, all of them on the route, in order of name.
struct ScriptedWorld : World {
  explicit ScriptedWorld(std::map<std::string, Script> scripts, const std::string& mode = {})
      : World(BuilderOptions{.make_policy = [this, scripts](const Policy::Info& info, const v1::PolicyEntry&) -> std::unique_ptr<Policy> {
          auto at = scripts.find(info.name);
          if (at == scripts.end()) return nullptr;
          Policy::Info named = info;
          named.type = "scripted";
          return std::make_unique<Scripted>(std::move(named), at->second, journal);
        }}) {
    std::string policies;
    uint64_t uid = 20;
    for (const auto& [name, script] : scripts) {
      policy(uid, "p/" + name, mode + " config { ip_list { deny: '10.0.0.0/8' } }");
      policies += "policies: " + std::to_string(uid++) + " ";
    }
    basics("", "", policies);
    build();
  }
  Journal journal;
};

inline Decision refuse_with(PolicyContext& ctx, Reason reason) {
  auto* r = ctx.arena->make<LocalResponse>();
  r->reason = reason;
  return Decision::respond(r);
}

}  // namespace gw::testing
