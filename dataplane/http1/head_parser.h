// The head of an HTTP/1 message: llhttp in strict mode, and what it lets pass although two readers could differ over it
// (RFC 9112 §2.2, §3, §5): obs-fold, bare LF or CR, white space around the request line's parts, an empty field name, a
// request line without version, versions other than 1.0 and 1.1.
//
// The bytes of one head lie contiguously in the caller's buffer, which may move between calls. Not for bodies: parsing
// ends with the empty line.
#pragma once

#include <llhttp.h>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "common/http/headers.h"
#include "common/http/method.h"
#include "dataplane/exchange/connection.h"

namespace gw::http1 {

enum class HeadResult { kMore, kComplete, kBad, kTooLarge };

class HeadParser {
 public:
  enum class Side { kRequest, kResponse };

  explicit HeadParser(Side side);
  HeadParser(const HeadParser&) = delete;

  // Makes ready for the next head.
  void restart();
  // `base` holds all bytes since the head's first, `size` of them; those of earlier calls unchanged.
  HeadResult feed(const char* base, size_t size, const HeadLimits& limits);
  bool begun() const { return fed_ > 0; }

  // After kBad or kTooLarge: what is wrong, for the client.
  const char* why() const { return why_; }

  // After kComplete; views into the buffer.
  size_t head_size() const { return head_size_; }
  Method method() const { return method_; }
  std::string_view method_text(const char* base) const { return view(base, method_span_); }
  std::string_view target(const char* base) const { return view(base, target_span_); }
  bool http10() const { return minor_ == 0; }
  int status() const { return status_; }
  void fill(const char* base, HeaderList& out) const;

 private:
  struct Span {
    uint32_t at = 0;
    uint32_t size = 0;
    uint32_t end() const { return at + size; }
  };
  struct Field {
    Span name, value;
  };

  static const llhttp_settings_t* settings();
  static std::string_view view(const char* base, Span s) { return {base + s.at, s.size}; }
  void extend(Span& span, const char* at, size_t size);
  int on_field(const char* at, size_t size);
  int on_value(const char* at, size_t size);
  bool check_start_line(const char* base, uint32_t& line_end);
  bool check_fields(const char* base, uint32_t line_end) const;
  HeadResult bad(const char* why);

  llhttp_t parser_;
  const char* base_ = nullptr;  // during feed()
  size_t fed_ = 0;
  size_t head_size_ = 0;
  std::vector<Field> fields_;
  Span method_span_, target_span_, status_span_, version_span_;
  const char* why_ = "";
  size_t max_fields_ = 0;
  bool in_value_ = false;
  bool too_many_ = false;
  bool folded_ = false;
  const Side side_;
  Method method_ = Method::kOther;
  int minor_ = 1;
  int status_ = 0;
};

}  // namespace gw::http1
