// Any bytes as an HTTP/1 response: what is taken is one message in one meaning, however it comes in pieces.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "tests/fuzz/http1_message.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const char* wrong =
      gw::fuzz::check_http1_message({reinterpret_cast<const char*>(data), size}, gw::http1::HeadParser::Side::kResponse);
  if (wrong != nullptr) {
    std::fprintf(stderr, "%s\n", wrong);
    std::abort();
  }
  return 0;
}
