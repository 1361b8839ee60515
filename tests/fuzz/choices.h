// Numbers drawn from an input's bytes, so that a fuzzer steers what a test otherwise draws at random.
#pragma once

#include <cstdint>
#include <string_view>

namespace gw::fuzz {

class Choices {
 public:
  explicit Choices(std::string_view bytes) : bytes_(bytes) {}
  bool left() const { return !bytes_.empty(); }
  // 0 to n - 1; 0 when no byte is left.
  uint64_t below(uint64_t n) {
    if (bytes_.empty()) return 0;
    uint64_t out = static_cast<uint8_t>(bytes_.front());
    bytes_.remove_prefix(1);
    return out % n;
  }

 private:
  std::string_view bytes_;
};

}  // namespace gw::fuzz
