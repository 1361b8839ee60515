#include "dataplane/exchange/frame_tracker.h"

#include <catch2/catch.hpp>
#include <string>

namespace gw {
namespace {

std::string frame(uint8_t opcode, size_t size, bool masked = false) {
  std::string out(1, static_cast<char>(0x80 | opcode));
  uint8_t mask = masked ? 0x80 : 0;
  if (size < 126) {
    out += static_cast<char>(mask | size);
  } else if (size < 65536) {
    out += static_cast<char>(mask | 126);
    out += static_cast<char>(size >> 8);
    out += static_cast<char>(size & 255);
  } else {
    out += static_cast<char>(mask | 127);
    for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(static_cast<uint64_t>(size) >> shift & 255);
  }
  if (masked) out += "abcd";
  return out + std::string(size, '\x88');  // looks like a Close frame
}

TEST_CASE("frames of every length end where they end, however the bytes come") {
  for (bool masked : {false, true}) {
    for (size_t size : {0, 1, 125, 126, 300, 65535, 65536, 70000}) {
      std::string bytes = frame(1, size, masked);
      for (size_t step : {size_t{1}, size_t{3}, size_t{4096}, bytes.size()}) {
        FrameTracker frames;
        bool early = false;
        for (size_t at = 0; at < bytes.size(); at += step) {
          std::string_view piece = std::string_view(bytes).substr(at, step);
          REQUIRE(frames.feed(piece, false) == piece.size());
          early = early || (frames.at_boundary() && at + piece.size() < bytes.size());
        }
        CHECK_FALSE(early);
        CHECK(frames.at_boundary());
        CHECK_FALSE(frames.closed());
      }
    }
  }
}

TEST_CASE("up to the boundary nothing of the next frame is taken") {
  FrameTracker frames;
  std::string one = frame(2, 200), both = one + frame(2, 5);
  CHECK(frames.feed(std::string_view(both).substr(0, 50), false) == 50);
  CHECK_FALSE(frames.at_boundary());
  CHECK(frames.feed(std::string_view(both).substr(50), true) == one.size() - 50);
  CHECK(frames.at_boundary());
  CHECK(frames.feed(frame(9, 0), true) == 2);  // an empty one ends with its head
  CHECK(frames.at_boundary());
}

TEST_CASE("a Close frame is seen") {
  FrameTracker frames;
  frames.feed(frame(8, 2), false);
  CHECK(frames.closed());
}

}  // namespace
}  // namespace gw
