// Any bytes from an upstream: what reaches an exchange can be written as HTTP/1, and every request hears of its end.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "tests/fuzz/http2_answer_run.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (const char* wrong = gw::fuzz::Http2AnswerRun::run({reinterpret_cast<const char*>(data), size}); wrong != nullptr) {
    std::fprintf(stderr, "%s\n", wrong);
    std::abort();
  }
  return 0;
}
