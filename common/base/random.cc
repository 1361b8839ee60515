#include "common/base/random.h"

#include <sys/random.h>

#include <cerrno>
#include <cstdlib>

namespace gw {

void secure_random(void* out, size_t size) {
  char* at = static_cast<char*>(out);
  while (size > 0) {
    ssize_t n = getrandom(at, size, 0);
    if (n < 0) {
      if (errno == EINTR) continue;
      std::abort();
    }
    at += n;
    size -= static_cast<size_t>(n);
  }
}

std::string secure_random_bytes(size_t size) {
  std::string out(size, '\0');
  secure_random(out.data(), size);
  return out;
}

FastRandom::FastRandom() { secure_random(state_, sizeof state_); }

FastRandom::FastRandom(uint64_t seed) {
  for (uint64_t& word : state_) {  // splitmix64
    seed += 0x9e3779b97f4a7c15;
    uint64_t z = seed;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    word = z ^ (z >> 31);
  }
}

uint64_t FastRandom::next() {
  auto rotate = [](uint64_t x, int k) { return (x << k) | (x >> (64 - k)); };
  uint64_t result = rotate(state_[1] * 5, 7) * 9;
  uint64_t t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = rotate(state_[3], 45);
  return result;
}

uint64_t FastRandom::below(uint64_t bound) {
  return static_cast<uint64_t>((static_cast<unsigned __int128>(next()) * bound) >> 64);
}

}  // namespace gw
