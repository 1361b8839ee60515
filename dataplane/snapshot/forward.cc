#include "dataplane/snapshot/forward.h"

#include <cmath>
#include <cstring>

#include "common/http/uri.h"
#include "dataplane/routing/hash.h"
#include "dataplane/snapshot/directory.h"

namespace gw {
namespace {

constexpr size_t kStickyValueMax = 64;

uint64_t mix(uint64_t a, uint64_t b) {
  uint64_t h = fold_multiply(a ^ 0x9e3779b97f4a7c15, b ^ 0xe7037ed1a0b428db);
  return fold_multiply(h ^ a, 0x8ebc6af09c88c6e3 ^ b);
}

// Joins pieces in the arena.
std::string_view join(Arena& arena, std::initializer_list<std::string_view> pieces) {
  size_t size = 0;
  for (std::string_view p : pieces) size += p.size();
  char* out = arena.allocate(size);
  char* at = out;
  for (std::string_view p : pieces) {
    if (!p.empty()) std::memcpy(at, p.data(), p.size());
    at += p.size();
  }
  return {out, size};
}

uint32_t random_arm(const SplitTo& split, FastRandom& random) {
  uint64_t at = random.below(split.total_weight);
  for (uint32_t i = 0; i < split.arms.size(); ++i) {
    if (at < split.arms[i].weight) return i;
    at -= split.arms[i].weight;
  }
  return kNoIndex;
}

}  // namespace

std::string_view hex16(Arena& arena, uint64_t value) {
  char* out = arena.allocate(16);
  for (int i = 15; i >= 0; --i, value >>= 4) out[i] = "0123456789abcdef"[value & 15];
  return {out, 16};
}

std::string_view sticky_cookie(Arena& arena, std::string_view name, std::string_view value) {
  return join(arena, {name, "=", value, "; Path=/; HttpOnly; SameSite=Lax"});
}

uint32_t pick_arm_for(const SplitTo& split, uint64_t key) {
  uint32_t best = kNoIndex;
  double best_score = 0;
  for (uint32_t i = 0; i < split.arms.size(); ++i) {
    const SplitTo::Arm& arm = split.arms[i];
    if (arm.weight == 0) continue;
    // Uniform in (0, 1); -log of it over the weight is smallest for arm i with probability weight / total.
    double u = (static_cast<double>(mix(key, arm.seed) >> 11) + 0.5) * 0x1p-53;
    double score = -std::log(u) / arm.weight;
    if (best == kNoIndex || score < best_score) {
      best = i;
      best_score = score;
    }
  }
  return best;
}

ArmPick pick_arm(const SplitTo& split, const PickInput& in) {
  ArmPick out;
  if (split.total_weight == 0) return out;
  switch (split.sticky_by) {
    case v1::STICKY_BY_COOKIE: {
      std::string_view value = cookie_find(in.request->headers, kStickyCookie);
      if (value.empty() || value.size() > kStickyValueMax) {
        value = hex16(*in.arena, in.random->next());
        out.set_cookie = sticky_cookie(*in.arena, kStickyCookie, value);
      }
      out.arm = pick_arm_for(split, hash_bytes(value, 0x636f6f6b6965));
      break;
    }
    case v1::STICKY_BY_CONSUMER:
      if (in.identity && in.identity->app) {
        out.arm = pick_arm_for(split, in.identity->app->consumer->uid);
        break;
      }
      [[fallthrough]];
    case v1::STICKY_BY_ADDRESS: out.arm = pick_arm_for(split, in.client.hash()); break;
    default: out.arm = random_arm(split, *in.random);
  }
  out.upstream = out.arm == kNoIndex ? kNoIndex : split.arms[out.arm].upstream;
  return out;
}

std::string_view upstream_target(const RewriteRule& rewrite, const RequestHead& request, Arena& arena) {
  if ((rewrite.strip_prefix.empty() && rewrite.add_prefix.empty()) || request.path == "*") return request.target;
  std::string_view rest = request.path;
  if (!rewrite.strip_prefix.empty()) {
    size_t n = prefix_length(rest, rewrite.strip_prefix, request.raw_path);
    if (n != std::string_view::npos) rest.remove_prefix(n);
  }
  std::string_view slash = rewrite.add_prefix.empty() && rest.empty() ? "/" : "";
  return join(arena, {rewrite.add_prefix, slash, rest, request.has_query ? "?" : "", request.query});
}

std::string_view redirect_location(const RedirectTo& to, const RequestHead& request, bool over_tls, Arena& arena) {
  std::string_view path = to.path.empty() ? request.path : std::string_view(to.path);
  bool query = to.keep_query && request.has_query;
  std::string_view mark = query ? "?" : "", rest = query ? request.query : std::string_view();
  std::string_view scheme = to.scheme.empty() ? (over_tls ? "https" : "http") : std::string_view(to.scheme);
  std::string_view host = to.host;
  bool v6 = false;
  if (host.empty() && !to.scheme.empty()) {  // another scheme has another port
    host = request.host;
    v6 = host.find(':') != std::string_view::npos;
  } else if (host.empty()) {
    host = request.authority;
  }
  bool relative = host.empty() || (to.scheme.empty() && to.host.empty());
  if (relative) return join(arena, {path, mark, rest});
  return join(arena, {scheme, "://", v6 ? "[" : "", host, v6 ? "]" : "", path, mark, rest});
}

LocalResponse* respond_with(const RespondWith& with, Arena& arena) {
  LocalResponse* r = arena.make<LocalResponse>();
  r->status = with.status;
  r->has_own_body = true;
  r->body = with.body;
  r->content_type = with.body.empty() ? std::string_view() : std::string_view(with.content_type);
  if (!with.headers.empty()) {
    auto* out = reinterpret_cast<HeaderField*>(arena.allocate(sizeof(HeaderField) * with.headers.size()));
    for (const auto& [name, value] : with.headers) new (out + r->header_count++) HeaderField{name, value, header_id(name)};
    r->headers = out;
  }
  return r;
}

LocalResponse* redirect_to(const RedirectTo& to, const RequestHead& request, bool over_tls, Arena& arena) {
  LocalResponse* r = arena.make<LocalResponse>();
  r->status = to.status;
  r->has_own_body = true;
  r->headers = arena.make<HeaderField>(HeaderField{"location", redirect_location(to, request, over_tls, arena), HeaderId::kLocation});
  r->header_count = 1;
  return r;
}

}  // namespace gw
