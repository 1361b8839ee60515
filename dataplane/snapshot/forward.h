// Where a matched request goes, and in what form: shared by the exchange and by explain.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/base/arena.h"
#include "common/base/random.h"
#include "common/http/address.h"
#include "common/http/message.h"
#include "dataplane/policy/policy.h"
#include "dataplane/snapshot/config.h"

namespace gw {

// The cookie of `stickyBy: cookie`. Its value is a random id of the caller, not the name of a side, so that a change of
// weights moves callers to the raised side and never back.
inline constexpr std::string_view kStickyCookie = "gw-sticky";

struct ArmPick {
  uint32_t arm = kNoIndex;       // position in arms; kNoIndex: every weight is 0
  uint32_t upstream = kNoIndex;  // dense
  std::string_view set_cookie;   // value of a Set-Cookie field to add to the response, in the arena; mostly empty
};
struct PickInput {
  const RequestHead* request = nullptr;
  const Identity* identity = nullptr;
  IpAddress client;
  FastRandom* random = nullptr;
  Arena* arena = nullptr;
};
// Weighted rendezvous hashing: each arm's share is its weight; raising one arm's weight moves callers only to it.
ArmPick pick_arm(const SplitTo& split, const PickInput& in);
// The stable part: arm for the caller `key`.
uint32_t pick_arm_for(const SplitTo& split, uint64_t key);

// 16 hexadecimal digits, in the arena.
std::string_view hex16(Arena& arena, uint64_t value);
// Value of a Set-Cookie field for a cookie that keeps a caller somewhere, in the arena: for the browser's session, not for scripts.
std::string_view sticky_cookie(Arena& arena, std::string_view name, std::string_view value);

// Path and query to send upstream: the request's own view, or, where the route rewrites, a text in the arena.
std::string_view upstream_target(const RewriteRule& rewrite, const RequestHead& request, Arena& arena);
// Location of a redirect, in the arena.
std::string_view redirect_location(const RedirectTo& to, const RequestHead& request, bool over_tls, Arena& arena);
// The answer of `to: {respond}` and of redirects, in the arena.
LocalResponse* respond_with(const RespondWith& with, Arena& arena);
LocalResponse* redirect_to(const RedirectTo& to, const RequestHead& request, bool over_tls, Arena& arena);

}  // namespace gw
