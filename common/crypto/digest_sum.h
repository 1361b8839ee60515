// The combinable digest of a set of entries (proto/gw/v1/snapshot.proto): the sum of the entries'
// hashes modulo 2^256, little-endian. Order does not matter, and one changed entry costs one
// subtraction and one addition.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/crypto/sha256.h"

namespace gw {

// A 256-bit number, least byte first. Zero is the digest of the empty set.
using DigestSum = Sha256;

// SHA-256 of kind as one byte, uid as eight bytes little-endian, and the entry's bytes.
Sha256 entry_hash(uint8_t kind, uint64_t uid, std::string_view bytes);

// Modulo 2^256.
void add(DigestSum& sum, const Sha256& hash);
void subtract(DigestSum& sum, const Sha256& hash);

}  // namespace gw
