#include "dataplane/exchange/frame_tracker.h"

#include <algorithm>

namespace gw {
namespace {

constexpr uint8_t kOpcodeClose = 8;

}  // namespace

// True: the head is complete.
bool FrameTracker::take_head_byte(uint8_t byte) {
  head_[have_++] = byte;
  if (have_ < 2) return false;
  uint8_t length = head_[1] & 0x7f;
  uint8_t extended = length == 126 ? 2 : length == 127 ? 8 : 0;
  uint8_t mask = (head_[1] & 0x80) != 0 ? 4 : 0;
  if (have_ < 2 + extended + mask) return false;
  left_ = extended == 0 ? length : 0;
  for (uint8_t i = 0; i < extended; ++i) left_ = left_ << 8 | head_[2 + i];
  if ((head_[0] & 0x0f) == kOpcodeClose) closed_ = true;
  have_ = 0;
  return true;
}

size_t FrameTracker::feed(std::string_view bytes, bool to_boundary) {
  size_t at = 0;
  while (at < bytes.size()) {
    if (left_ > 0) {
      uint64_t take = std::min<uint64_t>(left_, bytes.size() - at);
      left_ -= take;
      at += static_cast<size_t>(take);
    } else if (!take_head_byte(static_cast<uint8_t>(bytes[at++]))) {
      continue;
    }
    if (to_boundary && left_ == 0) break;
  }
  return at;
}

}  // namespace gw
