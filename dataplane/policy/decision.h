// What a policy says about a request.
#pragma once

#include <string_view>

#include "common/http/headers.h"
#include "common/http/reason.h"

namespace gw {

// An answer that the gateway makes by itself. Views point into the exchange's arena, the snapshot, or literals.
struct LocalResponse {
  int status = 0;  // 0: the reason's own
  Reason reason = Reason::kNone;
  // For the caller, one sentence: "the key is expired". Becomes `detail` of the problem document.
  std::string_view detail;
  // Fields to add, in the arena; may be null.
  const HeaderField* headers = nullptr;
  size_t header_count = 0;
  // A body of its own in place of a problem document (Respond, preflights).
  bool has_own_body = false;
  std::string_view body;
  std::string_view content_type;
};

struct Decision {
  enum class Kind : unsigned char { kNext, kRespond, kPause };

  Kind kind = Kind::kNext;
  LocalResponse* response = nullptr;  // in the arena; set with kRespond

  static Decision next() { return {}; }
  static Decision respond(LocalResponse* r) { return {Kind::kRespond, r}; }
  // The policy has asked something outside (Services) and will be resumed; until then nothing else runs.
  static Decision pause() { return {Kind::kPause, nullptr}; }
};

}  // namespace gw
