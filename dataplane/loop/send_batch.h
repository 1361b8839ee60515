// Small writes of one turn of the loop, sent together at its end.
//
// The kernel's way through a socket leaves little of the node's code and data in the first caches: reading and deciding for many
// connections first, then sending for all of them, costs less than to change between the two for each. Loop's thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "dataplane/loop/byte_buffer.h"

namespace gw {

class TcpStream;

class SendBatch {
 public:
  static constexpr size_t kMostStreams = 32;  // then flush() is due before the next event, so that none waits for long
  static constexpr size_t kMostBytes = 2048;  // of one stream

  bool full() const { return held_.size() >= kMostStreams; }
  // Holds the bytes back for `stream`, of which nothing is held yet; returns its place.
  uint32_t add(TcpStream& stream, std::string_view a, std::string_view b, std::string_view c);
  // What is held at `place`; no longer held.
  std::string_view take(uint32_t place);
  // Sends all that is held; the streams' owners hear of failures. Never from within an event of a stream.
  void flush();

 private:
  struct Held {
    TcpStream* stream;  // null: taken
    uint32_t begin, size;
  };
  std::vector<Held> held_;
  ByteBuffer bytes_;
};

}  // namespace gw
