// Any bytes as a name server's reply to a question for SRV records.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "tests/fuzz/srv_reply_message.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (const char* wrong = gw::fuzz::check_srv_reply({reinterpret_cast<const char*>(data), size})) {
    std::fprintf(stderr, "%s\n", wrong);
    std::abort();
  }
  return 0;
}
