#include "common/crypto/digest_sum.h"

namespace gw {

Sha256 entry_hash(uint8_t kind, uint64_t uid, std::string_view bytes) {
  char head[9];
  head[0] = static_cast<char>(kind);
  for (int i = 0; i < 8; ++i) head[1 + i] = static_cast<char>(uid >> (8 * i));
  return Sha256Stream().update({head, sizeof head}).update(bytes).finish();
}

void add(DigestSum& sum, const Sha256& hash) {
  unsigned carry = 0;
  for (size_t i = 0; i < sum.size(); ++i) {
    unsigned digit = unsigned{sum[i]} + hash[i] + carry;
    sum[i] = static_cast<uint8_t>(digit);
    carry = digit >> 8;
  }
}

void subtract(DigestSum& sum, const Sha256& hash) {
  unsigned borrow = 0;
  for (size_t i = 0; i < sum.size(); ++i) {
    unsigned digit = unsigned{sum[i]} - hash[i] - borrow;
    sum[i] = static_cast<uint8_t>(digit);
    borrow = (digit >> 8) & 1;
  }
}

}  // namespace gw
