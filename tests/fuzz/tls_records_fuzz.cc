// A client's TLS records, bent and broken: no byte reaches the session that the client has not said, and every failure has a word.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "tests/fuzz/tls_records_run.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (const char* wrong = gw::fuzz::TlsRecordsRun::run({reinterpret_cast<const char*>(data), size}); wrong != nullptr) {
    std::fprintf(stderr, "%s\n", wrong);
    std::abort();
  }
  return 0;
}
