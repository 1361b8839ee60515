// Random numbers. `secure_random` is for tokens, keys and lineages; `FastRandom` for ids, jitter and picks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace gw {

// Fills from the kernel; aborts the process if the kernel cannot give any.
void secure_random(void* out, size_t size);
std::string secure_random_bytes(size_t size);

// xoshiro256**, one per thread or worker, never shared. Not for secrets.
class FastRandom {
 public:
  FastRandom();  // seeded from the kernel
  explicit FastRandom(uint64_t seed);
  uint64_t next();
  // Uniform in [0, bound); bound > 0.
  uint64_t below(uint64_t bound);

 private:
  uint64_t state_[4];
};

}  // namespace gw
