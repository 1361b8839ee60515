// cors: answers browsers' preflights, and marks responses so that pages of the allowed origins may read them.
#include <algorithm>

#include "dataplane/policy/answers.h"
#include "dataplane/policy/types.h"

namespace gw {
namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& w : words) out += (out.empty() ? "" : ", ") + w;
  return out;
}

class Cors final : public Policy {
 public:
  Cors(Info info, const v1::CorsPolicy& c)
      : Policy(std::move(info)),
        origins_(c.origins().begin(), c.origins().end()),
        any_origin_(std::find(origins_.begin(), origins_.end(), "*") != origins_.end()),
        methods_(c.methods().begin(), c.methods().end()),
        headers_(c.headers().begin(), c.headers().end()),
        credentials_(c.credentials()),
        max_age_(std::to_string((c.max_age_ms() > 0 ? c.max_age_ms() : 5000) / 1000)) {
    if (methods_.empty()) methods_ = {"GET", "HEAD", "POST"};
    methods_text_ = joined(methods_);
    headers_text_ = joined(headers_);
    expose_text_ = joined({c.expose_headers().begin(), c.expose_headers().end()});
  }

  Phase phase() const override { return Phase::kCors; }
  Combine combine() const override { return Combine::kNearest; }
  bool has_response() const override { return true; }
  // A page could not even read the status of a refusal without our fields on it.
  bool on_local_responses() const override { return true; }

  Decision on_request(PolicyContext& ctx) const override {
    const HeaderList& h = ctx.request->headers;
    if (!ctx.preflight) {
      if (ctx.explain && !h.find(HeaderId::kOrigin)) ctx.explain->note(*this, "pass", "no Origin: nothing to do", Reason::kNone);
      return Decision::next();
    }
    std::string_view origin = h.get(HeaderId::kOrigin);
    if (!allowed_origin(origin)) return refuse(ctx, "this origin is not allowed");
    std::string_view method = h.get(HeaderId::kAccessControlRequestMethod);
    if (std::find(methods_.begin(), methods_.end(), method) == methods_.end()) {
      return refuse(ctx, "this method is not allowed across origins");
    }
    bool fields_ok = true;
    for_each_list_member(h.get(HeaderId::kAccessControlRequestHeaders),
                         [&](std::string_view name) { fields_ok = fields_ok && allowed_header(name); });
    if (!fields_ok) return refuse(ctx, "a header field is not allowed across origins");
    LocalResponse* r = refusal(*ctx.arena, Reason::kNone, {});
    r->status = 204;
    r->has_own_body = true;
    // Allow-Origin, Allow-Credentials and Vary are added as to every answer, by on_response.
    if (headers_.empty()) {
      set_headers(*ctx.arena, *r, {{kMethods, methods_text_, HeaderId::kOther}, {kMaxAge, max_age_, HeaderId::kOther}});
    } else {
      set_headers(*ctx.arena, *r,
                  {{kMethods, methods_text_, HeaderId::kOther},
                   {kHeaders, headers_text_, HeaderId::kOther},
                   {kMaxAge, max_age_, HeaderId::kOther}});
    }
    return Decision::respond(r);
  }

  void on_response(PolicyContext& ctx, ResponseHead& response) const override {
    HeaderList& h = response.headers;
    for (HeaderField& f : h.fields()) {  // what upstream says of origins is ours to say
      if (f.id == HeaderId::kOther && is_cors_field(f.name)) f.id = HeaderId::kRemoved;
    }
    bool same_for_all = any_origin_ && !credentials_;
    if (!same_for_all) h.add("vary", "origin", HeaderId::kVary);
    std::string_view origin = ctx.request->headers.get(HeaderId::kOrigin);
    if (!allowed_origin(origin)) return;
    h.add("access-control-allow-origin", same_for_all ? std::string_view("*") : origin, HeaderId::kOther);
    if (credentials_) h.add("access-control-allow-credentials", "true", HeaderId::kOther);
    if (!expose_text_.empty() && !ctx.preflight) h.add("access-control-expose-headers", expose_text_, HeaderId::kOther);
  }

 private:
  static constexpr std::string_view kMethods = "access-control-allow-methods";
  static constexpr std::string_view kHeaders = "access-control-allow-headers";
  static constexpr std::string_view kMaxAge = "access-control-max-age";

  static bool is_cors_field(std::string_view name) {
    return equals_ignore_case(name, "access-control-allow-origin") ||
           equals_ignore_case(name, "access-control-allow-credentials") ||
           equals_ignore_case(name, "access-control-expose-headers");
  }
  static Decision refuse(PolicyContext& ctx, std::string_view detail) {
    return Decision::respond(refusal(*ctx.arena, Reason::kCorsDenied, detail));
  }
  bool allowed_origin(std::string_view origin) const {
    if (origin.empty()) return false;
    return any_origin_ || std::find(origins_.begin(), origins_.end(), origin) != origins_.end();
  }
  bool allowed_header(std::string_view name) const {
    static constexpr std::string_view kSafe[] = {"accept", "accept-language", "content-language"};
    for (std::string_view s : kSafe) {
      if (equals_ignore_case(name, s)) return true;
    }
    return std::any_of(headers_.begin(), headers_.end(), [&](const std::string& h) { return equals_ignore_case(h, name); });
  }

  const std::vector<std::string> origins_;
  const bool any_origin_;
  std::vector<std::string> methods_;
  const std::vector<std::string> headers_;
  const bool credentials_;
  const std::string max_age_;
  std::string methods_text_, headers_text_, expose_text_;
};

}  // namespace

std::unique_ptr<Policy> build_cors(Policy::Info info, const v1::PolicyConfig& config, const ObjectLabel& label,
                                   DiagnosticList& diagnostics) {
  const v1::CorsPolicy& c = config.cors();
  if (c.origins().empty()) {
    diagnostics.error("GW1421", label, "spec.config.origins", "must name at least one origin");
    return nullptr;
  }
  bool any = std::find(c.origins().begin(), c.origins().end(), "*") != c.origins().end();
  if (any && c.credentials()) {
    diagnostics.error("GW1412", label, "spec.config.credentials", "any page of the web could act as its visitor")
        .set_cure("name the origins in place of `*`");
    return nullptr;
  }
  return std::make_unique<Cors>(std::move(info), c);
}

}  // namespace gw
