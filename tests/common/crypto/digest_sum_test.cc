#include "common/crypto/digest_sum.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "common/base/random.h"

namespace gw {
namespace {

TEST_CASE("an entry's hash is over kind, uid little-endian and bytes") {
  std::string text(
      "\x05\x08\x07\x06\x05\x04\x03\x02\x01"
      "body",
      13);
  CHECK(entry_hash(5, 0x0102030405060708, "body") == sha256(text));
}

TEST_CASE("a sum carries and borrows over all 256 bits") {
  DigestSum ones;
  ones.fill(0xff);
  Sha256 one{};
  one[0] = 1;
  add(ones, one);
  CHECK(ones == DigestSum{});
  subtract(ones, one);
  DigestSum all;
  all.fill(0xff);
  CHECK(ones == all);
}

TEST_CASE("a set's digest does not depend on order, and removing undoes adding") {
  FastRandom random(7);
  std::vector<Sha256> hashes;
  for (int i = 0; i < 200; ++i) hashes.push_back(entry_hash(3, random.next(), std::to_string(i)));
  DigestSum forward{}, backward{};
  for (size_t i = 0; i < hashes.size(); ++i) {
    add(forward, hashes[i]);
    add(backward, hashes[hashes.size() - 1 - i]);
  }
  CHECK(forward == backward);
  CHECK(forward != DigestSum{});

  Sha256 changed = entry_hash(3, 1, "changed");
  subtract(forward, hashes[17]);
  add(forward, changed);
  DigestSum anew{};
  for (size_t i = 0; i < hashes.size(); ++i) add(anew, i == 17 ? changed : hashes[i]);
  CHECK(forward == anew);

  for (const Sha256& hash : hashes) subtract(backward, hash);
  CHECK(backward == DigestSum{});
}

}  // namespace
}  // namespace gw
