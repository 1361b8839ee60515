#include "common/crypto/sha256.h"

#include <catch2/catch.hpp>
#include <string>

#include "common/crypto/hex.h"

namespace gw {
namespace {

std::string hex(const Sha256& digest) { return to_hex(as_view(digest)); }

TEST_CASE("sha256 gives the digests of FIPS 180-4") {
  CHECK(hex(sha256("")) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(hex(sha256("abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(hex(sha256(std::string(1'000'000, 'a'))) ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("a digest in pieces is the digest of the whole, wherever it is cut") {
  std::string text;
  for (int i = 0; i < 300; ++i) text += static_cast<char>(i);
  Sha256 whole = sha256(text);
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    Sha256Stream stream;
    stream.update(std::string_view(text).substr(0, cut));
    Sha256Stream copy = stream;
    CHECK(stream.update(std::string_view(text).substr(cut)).finish() == whole);
    CHECK(copy.update(std::string_view(text).substr(cut)).finish() == whole);
    CHECK(stream.finish() == sha256(""));
  }
}

TEST_CASE("hmac gives the values of RFC 4231") {
  CHECK(hex(hmac_sha256("Jefe", "what do ya want for nothing?")) ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  CHECK(hex(hmac_sha256(std::string(131, '\xaa'),
                        "Test Using Larger Than Block-Size Key - Hash Key First")) ==
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST_CASE("constant_time_equal compares bytes and lengths") {
  CHECK(constant_time_equal("", ""));
  CHECK(constant_time_equal("secret", "secret"));
  CHECK_FALSE(constant_time_equal("secret", "secreT"));
  CHECK_FALSE(constant_time_equal("secret", "secre"));
  CHECK_FALSE(constant_time_equal("", "a"));
}

}  // namespace
}  // namespace gw
