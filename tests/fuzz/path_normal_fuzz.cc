// Any bytes as a path: what the normaliser lets pass is normal, stays as it is, and has no dot segment.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "common/http/uri.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gw::Arena arena;
  std::string_view path(reinterpret_cast<const char*>(data), size), once, twice, why;
  if (!gw::normalize_path(path, arena, once, why)) {
    if (why.empty()) std::abort();
    return 0;
  }
  if (!gw::normalize_path(once, arena, twice, why) || once != twice) std::abort();
  if (gw::path_problem(once) != nullptr || once.size() > size) std::abort();
  if ((std::string(once) + "/").find("/../") != std::string::npos || once.find("//") != std::string_view::npos) std::abort();
  if (gw::raw_path_problem(once) != nullptr) std::abort();  // what is normal is raw as well
  return 0;
}
