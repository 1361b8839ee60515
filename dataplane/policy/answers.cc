#include "dataplane/policy/answers.h"

#include <algorithm>
#include <charconv>
#include <new>

namespace gw {

void set_headers(Arena& arena, LocalResponse& response, std::initializer_list<HeaderField> fields) {
  auto* out = reinterpret_cast<HeaderField*>(arena.allocate(sizeof(HeaderField) * fields.size()));
  size_t n = 0;
  for (const HeaderField& f : fields) new (out + n++) HeaderField(f);
  response.headers = out;
  response.header_count = n;
}

std::string_view number_text(Arena& arena, int64_t value) {
  char* out = arena.allocate(24);
  auto end = std::to_chars(out, out + 24, value).ptr;
  return {out, static_cast<size_t>(end - out)};
}

LocalResponse* rate_limited(Arena& arena, int64_t requests, const RateVerdict& verdict, std::string_view detail) {
  auto seconds = [&](int64_t ns) { return number_text(arena, std::max<int64_t>(1, (ns + 999'999'999) / 1'000'000'000)); };
  LocalResponse* r = refusal(arena, Reason::kRateLimited, detail);
  set_headers(arena, *r,
              {{"retry-after", seconds(verdict.retry_after_ns), HeaderId::kRetryAfter},
               {"ratelimit-limit", number_text(arena, requests), HeaderId::kOther},
               {"ratelimit-remaining", number_text(arena, verdict.remaining), HeaderId::kOther},
               {"ratelimit-reset", seconds(verdict.reset_ns), HeaderId::kOther}});
  return r;
}

}  // namespace gw
