#include "common/crypto/hex.h"

#include <catch2/catch.hpp>

namespace gw {
namespace {

TEST_CASE("hexadecimal text goes out in lower case and comes back in either") {
  std::string every;
  for (int i = 0; i < 256; ++i) every += static_cast<char>(i);
  CHECK(from_hex(to_hex(every)) == every);
  CHECK(to_hex("\x7f\x80\xff") == "7f80ff");
  CHECK(from_hex("7F80fF") == std::string("\x7f\x80\xff"));
  CHECK(from_hex("") == std::string());
}

TEST_CASE("what is not hexadecimal gives nothing") {
  CHECK_FALSE(from_hex("abc"));
  CHECK_FALSE(from_hex("0g"));
  CHECK_FALSE(from_hex("-1"));
  CHECK_FALSE(from_hex("0x"));
}

}  // namespace
}  // namespace gw
