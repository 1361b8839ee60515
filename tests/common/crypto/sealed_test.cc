#include "common/crypto/sealed.h"

#include <catch2/catch.hpp>

#include <algorithm>

#include "common/crypto/base64.h"
#include "common/crypto/hex.h"

namespace gw {
namespace {

SealKey key_of(std::string_view hex) {
  SealKey out{};
  std::string bytes = *from_hex(hex);
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

}  // namespace

TEST_CASE("AES-256-GCM opens the vectors of its authors") {
  // McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 14 and 16.
  auto zeros = unseal(key_of(std::string(64, '0')), *from_hex("000000000000000000000000" "cea7403d4d606b6e074ec5d3baf39d18" "d0d1c8a799996bf0265b98b5d48ab919"), "");
  REQUIRE(zeros.has_value());
  CHECK(to_hex(*zeros) == std::string(32, '0'));
  auto text = unseal(key_of("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"),
                     *from_hex("cafebabefacedbaddecaf888"
                               "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
                               "76fc6ece0f4e1768cddf8853bb2d551b"),
                     *from_hex("feedfacedeadbeeffeedfacedeadbeefabaddad2"));
  REQUIRE(text.has_value());
  CHECK(to_hex(*text) == "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
}

TEST_CASE("what is sealed opens with its key and in its place alone") {
  SealKey key = key_of(std::string(64, '7')), other = key_of(std::string(64, '8'));
  std::string sealed = seal(key, "a secret", "secret 17");
  CHECK(sealed.find("a secret") == std::string::npos);
  CHECK(unseal(key, sealed, "secret 17") == "a secret");
  CHECK_FALSE(unseal(other, sealed, "secret 17").has_value());
  CHECK_FALSE(unseal(key, sealed, "secret 18").has_value());
  for (size_t i = 0; i < sealed.size(); ++i) {
    std::string changed = sealed;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    CHECK_FALSE(unseal(key, changed, "secret 17").has_value());
    CHECK_FALSE(unseal(key, sealed.substr(0, i), "secret 17").has_value());
  }
  CHECK(seal(key, "a secret", "secret 17") != sealed);  // a nonce of its own
  CHECK(unseal(key, seal(key, "", ""), "") == "");
}

TEST_CASE("base64 goes there and back, and refuses what it is not") {
  CHECK(to_base64("") == "");
  CHECK(to_base64("f") == "Zg==");
  CHECK(to_base64("foobar") == "Zm9vYmFy");
  CHECK(from_base64("Zm9v\nYmFy\n") == "foobar");
  CHECK(from_base64("") == "");
  CHECK_FALSE(from_base64("Zg=").has_value());
  CHECK_FALSE(from_base64("Zg==Zg==").has_value());
  CHECK_FALSE(from_base64("Z-==").has_value());
}

}  // namespace gw
