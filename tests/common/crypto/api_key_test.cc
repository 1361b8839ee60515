#include "common/crypto/api_key.h"

#include <catch2/catch.hpp>

using namespace gw;

TEST_CASE("a new key has the documented form, parses, and proves itself") {
  for (bool live : {true, false}) {
    NewApiKey key = generate_api_key(live);
    CHECK(key.text.substr(0, 9) == (live ? "gwk_live_" : "gwk_test_"));
    CHECK(key.text.size() == 9 + 12 + 1 + 43 + 6);
    auto parsed = parse_api_key(key.text);
    REQUIRE(parsed);
    CHECK(parsed->live == live);
    CHECK(parsed->key_id == key.key_id);
    CHECK(verify_api_key(*parsed, key.sha256));
    CHECK(sha256(parsed->secret) == key.sha256);
    Sha256 other = key.sha256;
    other[31] ^= 1;
    CHECK_FALSE(verify_api_key(*parsed, other));
  }
  CHECK(generate_api_key(true).text != generate_api_key(true).text);
}

TEST_CASE("every single wrong character, and every exchange of neighbours, is refused without a look-up") {
  NewApiKey key = generate_api_key(true);
  for (size_t i = 0; i < key.text.size(); ++i) {
    std::string typo = key.text;
    typo[i] = typo[i] == 'a' ? 'b' : 'a';
    CHECK_FALSE(parse_api_key(typo));
    if (i == 0 || key.text[i] == key.text[i - 1]) continue;
    typo = key.text;
    std::swap(typo[i], typo[i - 1]);
    CHECK_FALSE(parse_api_key(typo));
  }
}

TEST_CASE("other forms are refused") {
  NewApiKey key = generate_api_key(true);
  CHECK_FALSE(parse_api_key(""));
  CHECK_FALSE(parse_api_key("gwk_"));
  CHECK_FALSE(parse_api_key(key.text + "x"));
  CHECK_FALSE(parse_api_key(key.text.substr(0, key.text.size() - 1)));
  CHECK_FALSE(parse_api_key(std::string(key.text.size(), 'a')));
  CHECK(looks_like_api_key("gwk_x"));
  CHECK_FALSE(looks_like_api_key("sk_live"));
}

TEST_CASE("the checksum is CRC-32 as everybody computes it") {
  CHECK(crc32("123456789") == 0xcbf43926);
  CHECK(crc32("") == 0);
}
