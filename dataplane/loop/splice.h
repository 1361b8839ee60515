// Pipes of the kernel through which bytes go from one connection to another without being copied into the process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace gw {

class TcpStream;

struct Pipe {
  int out = -1;  // read from here
  int in = -1;   // write to here
  bool open() const { return out >= 0; }
};

// Pipes that are not in use, all of them empty. One per loop, its thread.
class PipePool {
 public:
  static constexpr size_t kMaxInUse = 512;  // each takes two descriptors
  static constexpr size_t kMaxKept = 64;

  PipePool() = default;
  ~PipePool();
  PipePool(const PipePool&) = delete;
  PipePool& operator=(const PipePool&) = delete;

  // Not open: too many are in use, or the system gives none.
  Pipe get();
  // `empty`: false when bytes are left in it; it is closed then.
  void give_back(Pipe pipe, bool empty);

 private:
  std::vector<Pipe> kept_;
  size_t in_use_ = 0;
};

// What a TcpStream that splices knows of it.
struct Splicing {
  Pipe pipe;
  TcpStream* sink = nullptr;
  uint64_t left = 0;   // bytes that are still to be taken from the source
  size_t in_pipe = 0;  // taken, not yet given to the sink
};

}  // namespace gw
