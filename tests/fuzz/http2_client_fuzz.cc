// Any frames from a client that speaks HTTP/2, and any upstream: nothing malformed goes upstream, the client gets frames, and
// every exchange ends.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "tests/fuzz/exchange_run.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static gw::fuzz::ExchangeRun run(gw::fuzz::ExchangeRun::Client::kHttp2);
  if (const char* wrong = run.run({reinterpret_cast<const char*>(data), size}); wrong != nullptr) {
    std::fprintf(stderr, "%s\n", wrong);
    std::abort();
  }
  return 0;
}
