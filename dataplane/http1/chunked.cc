#include "dataplane/http1/chunked.h"

namespace gw::http1 {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

void ChunkedDecoder::restart() {
  state_ = State::kSizeFirst;
  digits_ = 0;
  left_ = 0;
  extension_bytes_ = 0;
  line_.clear();
  trailer_text_.clear();
  trailer_count_ = 0;
}

ChunkedDecoder::Result ChunkedDecoder::next(std::string_view& input, std::string_view& data) {
  while (!input.empty()) {
    char c = input.front();
    switch (state_) {
      case State::kSizeFirst:
      case State::kSize: {
        int digit = hex_value(c);
        if (digit >= 0) {
          if (++digits_ > 15) return bad();
          left_ = left_ * 16 + static_cast<uint64_t>(digit);
          state_ = State::kSize;
        } else if (state_ == State::kSizeFirst) {
          return bad();
        } else if (c == '\r') {
          state_ = State::kSizeLf;
        } else if (c == ';') {
          state_ = State::kExtension;
        } else if (c == ' ' || c == '\t') {
          state_ = State::kBeforeExtension;
        } else {
          return bad();
        }
        input.remove_prefix(1);
        break;
      }
      case State::kBeforeExtension:  // RFC 9112 §7.1.1: space may stand before `;` and nowhere else
        if (++extension_bytes_ > kMaxExtensionBytes || (c != ';' && c != ' ' && c != '\t')) return bad();
        if (c == ';') state_ = State::kExtension;
        input.remove_prefix(1);
        break;
      case State::kExtension:
        if (c == '\r') {
          state_ = State::kSizeLf;
        } else if (++extension_bytes_ > kMaxExtensionBytes || (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f) {
          return bad();
        }
        input.remove_prefix(1);
        break;
      case State::kSizeLf:
        if (c != '\n') return bad();
        input.remove_prefix(1);
        digits_ = 0;
        state_ = left_ > 0 ? State::kData : State::kTrailer;
        break;
      case State::kData: {
        size_t take = left_ < input.size() ? static_cast<size_t>(left_) : input.size();
        data = input.substr(0, take);
        input.remove_prefix(take);
        left_ -= take;
        if (left_ == 0) state_ = State::kDataCr;
        return Result::kData;
      }
      case State::kDataCr:
        if (c != '\r') return bad();
        input.remove_prefix(1);
        state_ = State::kDataLf;
        break;
      case State::kDataLf:
        if (c != '\n') return bad();
        input.remove_prefix(1);
        state_ = State::kSizeFirst;
        break;
      case State::kTrailer: {
        size_t end = input.find('\n');
        size_t take = end == std::string_view::npos ? input.size() : end + 1;
        if (line_.size() + trailer_text_.size() + take > kMaxTrailerBytes) return bad();
        line_.append(input.substr(0, take));
        input.remove_prefix(take);
        if (end == std::string_view::npos) return Result::kMore;
        Result result = trailer_line();
        if (result != Result::kMore) return result;
        break;
      }
      case State::kBad:
        return Result::kBad;
    }
  }
  return state_ == State::kBad ? Result::kBad : Result::kMore;
}

// `line_` is a whole line with its LF. kMore: a trailer field, go on.
ChunkedDecoder::Result ChunkedDecoder::trailer_line() {
  if (line_.size() < 2 || line_[line_.size() - 2] != '\r') return bad();
  if (line_.size() == 2) return Result::kDone;
  std::string_view text = std::string_view(line_).substr(0, line_.size() - 2);
  size_t colon = text.find(':');
  if (colon == std::string_view::npos || !is_token(text.substr(0, colon)) || !is_field_value(text.substr(colon + 1))) return bad();
  if (++trailer_count_ > kMaxTrailers) return bad();
  trailer_text_ += line_;
  line_.clear();
  return Result::kMore;
}

void ChunkedDecoder::trailers(HeaderList& out) const {
  std::string_view text = trailer_text_;
  while (!text.empty()) {
    size_t end = text.find("\r\n");
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 2);
    size_t colon = line.find(':');
    std::string_view value = line.substr(colon + 1);
    while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
    while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
    out.add(line.substr(0, colon), value);
  }
}

}  // namespace gw::http1
