// Where the frames of one direction of a WebSocket begin and end (RFC 6455 §5.2). Looks at their heads alone, keeps nothing of
// what they carry. No allocation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace gw {

class FrameTracker {
 public:
  // Takes the next bytes of the stream. Returns how many of them it took: all, or, with `to_boundary`, at most those up to the
  // end of the frame in work.
  size_t feed(std::string_view bytes, bool to_boundary);
  // Between two frames: a frame of one's own may go in here.
  bool at_boundary() const { return have_ == 0 && left_ == 0; }
  // A Close frame has passed: none may follow.
  bool closed() const { return closed_; }

 private:
  bool take_head_byte(uint8_t byte);

  uint8_t head_[14];
  uint8_t have_ = 0;    // bytes of the head in work
  uint64_t left_ = 0;   // bytes of the payload
  bool closed_ = false;
};

}  // namespace gw
