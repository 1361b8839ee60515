// The chunked transfer coding (RFC 9112 §7.1), strictly: sizes are hexadecimal digits, lines end with CRLF. Extensions are
// skipped and count against a limit; trailers are parsed and bounded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/http/headers.h"

namespace gw::http1 {

class ChunkedDecoder {
 public:
  static constexpr size_t kMaxExtensionBytes = 1024;  // of a whole body
  static constexpr size_t kMaxTrailerBytes = 8192;
  static constexpr size_t kMaxTrailers = 32;

  enum class Result { kMore, kData, kDone, kBad };

  void restart();
  // Takes bytes from the front of `input`. kData: `data` is the next piece of the body (in `input`'s memory), call again.
  // kMore: `input` is used up. kDone: the body has ended, `input` holds what follows.
  Result next(std::string_view& input, std::string_view& data);
  // After kDone; views into this decoder.
  void trailers(HeaderList& out) const;
  bool has_trailers() const { return !trailer_text_.empty(); }

 private:
  enum class State : uint8_t { kSizeFirst, kSize, kBeforeExtension, kExtension, kSizeLf, kData, kDataCr, kDataLf, kTrailer, kBad };

  Result bad() {
    state_ = State::kBad;
    return Result::kBad;
  }
  Result trailer_line();

  State state_ = State::kSizeFirst;
  uint8_t digits_ = 0;
  uint64_t left_ = 0;
  size_t extension_bytes_ = 0;
  std::string line_;          // of the trailer part, while incomplete
  std::string trailer_text_;  // complete lines with CRLF
  size_t trailer_count_ = 0;
};

}  // namespace gw::http1
