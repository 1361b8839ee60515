// Any bytes as bodies of gRPC-Web, split anyhow.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "tests/fuzz/grpc_web_body.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (const char* wrong = gw::fuzz::check_grpc_web({reinterpret_cast<const char*>(data), size})) {
    std::fprintf(stderr, "%s\n", wrong);
    std::abort();
  }
  return 0;
}
