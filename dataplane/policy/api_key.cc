// apiKey: callers prove who they are with an API key in a header field or query parameter.
#include "common/crypto/api_key.h"
#include "common/http/uri.h"
#include "dataplane/policy/types.h"
#include "dataplane/snapshot/tables.h"

namespace gw {
namespace {

class ApiKey final : public Authenticator {
 public:
  ApiKey(Info info, const v1::ApiKeyPolicy& config)
      : Authenticator(std::move(info)),
        in_query_(config.in() == v1::ApiKeyPolicy::IN_QUERY),
        name_(config.name()),
        hide_(!config.has_hide_from_upstream() || config.hide_from_upstream()),
        accept_imported_(config.accept_imported()),
        challenge_("ApiKey " + std::string(in_query_ ? "query" : "header") + "=\"" + name_ + "\"") {}

  Outcome authenticate(PolicyContext& ctx, std::string_view& detail) const override {
    std::string_view key;
    size_t count = in_query_ ? in_query(ctx, key) : in_header(ctx, key);
    if (count == 0) return Outcome::kAbsent;
    if (count > 1) {
      detail = "the API key is sent more than once";
      return Outcome::kFailed;
    }
    const KeyRecord* record = find(*ctx.tables->directory, key, detail);
    if (!record) return Outcome::kFailed;
    if (record->expires_at != 0 && ctx.wall_ns / 1'000'000'000 >= record->expires_at) {
      detail = "the API key has expired";
      return Outcome::kFailed;
    }
    const AppRecord* app = ctx.tables->directory->app(record->app);
    if (!app) {
      detail = kUnknown;
      return Outcome::kFailed;
    }
    ctx.identity.app = app;
    ctx.identity.key_id = record->key_id;
    return Outcome::kPassed;
  }

  std::string_view challenge() const override { return challenge_; }

  void hide(PolicyContext& ctx) const override {
    if (!hide_) return;
    RequestHead& r = *ctx.request;
    if (!in_query_) {
      r.headers.remove(std::string_view(name_));
      return;
    }
    r.query = query_without(r.query, name_, *ctx.arena);
    if (r.query.empty()) {
      r.has_query = false;
      r.target = r.path;
      return;
    }
    char* out = ctx.arena->allocate(r.path.size() + 1 + r.query.size());
    std::memcpy(out, r.path.data(), r.path.size());
    out[r.path.size()] = '?';
    std::memcpy(out + r.path.size() + 1, r.query.data(), r.query.size());
    r.target = {out, r.path.size() + 1 + r.query.size()};
    r.query = r.target.substr(r.path.size() + 1);
  }

 private:
  static constexpr std::string_view kUnknown = "the API key is not valid";

  size_t in_header(const PolicyContext& ctx, std::string_view& key) const {
    size_t count = 0;
    for (const HeaderField& f : ctx.request->headers.fields()) {
      if (f.id == HeaderId::kRemoved || f.name.size() != name_.size() || !equals_ignore_case(f.name, name_)) continue;
      if (count++ == 0) key = f.value;
    }
    return count;
  }
  size_t in_query(const PolicyContext& ctx, std::string_view& key) const {
    size_t count = 0;
    if (ctx.request->has_query) query_find(ctx.request->query, name_, *ctx.arena, key, &count);
    return count;
  }

  const KeyRecord* find(const Directory& directory, std::string_view key, std::string_view& detail) const {
    detail = kUnknown;
    if (auto parsed = parse_api_key(key)) {
      const KeyRecord* record = directory.issued_key(parsed->key_id);
      if (record && verify_api_key(*parsed, record->sha256)) return record;
    } else if (looks_like_api_key(key)) {
      detail = "the API key is mistyped: its checksum does not fit";
    }
    return accept_imported_ ? directory.imported_key(sha256(key)) : nullptr;
  }

  const bool in_query_;
  const std::string name_;
  const bool hide_;
  const bool accept_imported_;
  const std::string challenge_;
};

}  // namespace

std::unique_ptr<Policy> build_api_key(Policy::Info info, const v1::PolicyConfig& config, const ObjectLabel& label,
                                      DiagnosticList& diagnostics) {
  const v1::ApiKeyPolicy& c = config.api_key();
  if (c.in() == v1::ApiKeyPolicy::IN_UNSPECIFIED) {
    diagnostics.error("GW1421", label, "spec.config.in", "must be set").set_cure("write `header` or `query`");
    return nullptr;
  }
  bool in_header = c.in() == v1::ApiKeyPolicy::IN_HEADER;
  if (c.name().empty() || (in_header && !is_token(c.name()))) {
    diagnostics.error("GW1421", label, "spec.config.name", "must be the name of a header field or query parameter");
    return nullptr;
  }
  return std::make_unique<ApiKey>(std::move(info), c);
}

}  // namespace gw
