#include "dataplane/http1/head_parser.h"

#include <cstring>

namespace gw::http1 {
namespace {

bool is_ows(char c) { return c == ' ' || c == '\t'; }
bool is_crlf(const char* at) { return at[0] == '\r' && at[1] == '\n'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

const llhttp_settings_t* HeadParser::settings() {
  static const llhttp_settings_t shared = [] {
    llhttp_settings_t s;
    llhttp_settings_init(&s);
    s.on_method = [](llhttp_t* p, const char* at, size_t n) {
      auto* h = static_cast<HeadParser*>(p->data);
      h->extend(h->method_span_, at, n);
      return 0;
    };
    s.on_url = [](llhttp_t* p, const char* at, size_t n) {
      auto* h = static_cast<HeadParser*>(p->data);
      h->extend(h->target_span_, at, n);
      return 0;
    };
    s.on_status = [](llhttp_t* p, const char* at, size_t n) {
      auto* h = static_cast<HeadParser*>(p->data);
      h->extend(h->status_span_, at, n);
      return 0;
    };
    s.on_version = [](llhttp_t* p, const char* at, size_t n) {
      auto* h = static_cast<HeadParser*>(p->data);
      h->extend(h->version_span_, at, n);
      return 0;
    };
    s.on_header_field = [](llhttp_t* p, const char* at, size_t n) {
      return static_cast<HeadParser*>(p->data)->on_field(at, n);
    };
    s.on_header_value = [](llhttp_t* p, const char* at, size_t n) {
      return static_cast<HeadParser*>(p->data)->on_value(at, n);
    };
    // Stops at the body's first byte: framing is read by framing.cc, bodies by chunked.cc.
    s.on_headers_complete = [](llhttp_t*) -> int { return HPE_PAUSED; };
    return s;
  }();
  return &shared;
}

HeadParser::HeadParser(Side side) : side_(side) { restart(); }

void HeadParser::restart() {
  llhttp_init(&parser_, side_ == Side::kRequest ? HTTP_REQUEST : HTTP_RESPONSE, settings());
  parser_.data = this;
  fed_ = head_size_ = 0;
  fields_.clear();
  method_span_ = target_span_ = status_span_ = version_span_ = {};
  in_value_ = too_many_ = folded_ = false;
}

// llhttp gives a span in pieces when it came in pieces; the pieces touch.
void HeadParser::extend(Span& span, const char* at, size_t size) {
  if (span.size == 0) span.at = static_cast<uint32_t>(at - base_);
  span.size += static_cast<uint32_t>(size);
}

int HeadParser::on_field(const char* at, size_t size) {
  uint32_t offset = static_cast<uint32_t>(at - base_);
  if (!in_value_ && !fields_.empty() && fields_.back().name.end() == offset && fields_.back().name.size > 0) {
    fields_.back().name.size += static_cast<uint32_t>(size);
    return 0;
  }
  in_value_ = false;
  if (fields_.size() >= max_fields_) {
    too_many_ = true;
    return HPE_USER;
  }
  fields_.push_back({{offset, static_cast<uint32_t>(size)}, {}});
  return 0;
}

int HeadParser::on_value(const char* at, size_t size) {
  in_value_ = true;
  if (fields_.empty() || size == 0) return 0;
  Span& value = fields_.back().value;
  uint32_t offset = static_cast<uint32_t>(at - base_);
  if (value.size == 0) {
    value = {offset, static_cast<uint32_t>(size)};
  } else {
    // A folded value comes in pieces that do not touch: check_fields refuses it.
    folded_ = folded_ || offset != value.end();
    value.size = offset + static_cast<uint32_t>(size) - value.at;
  }
  return 0;
}

HeadResult HeadParser::bad(const char* why) {
  why_ = why;
  return HeadResult::kBad;
}

HeadResult HeadParser::feed(const char* base, size_t size, const HeadLimits& limits) {
  base_ = base;
  max_fields_ = limits.fields;
  llhttp_errno_t error = llhttp_execute(&parser_, base + fed_, size - fed_);
  fed_ = size;
  if (error == HPE_OK) {
    if (size < limits.bytes) return HeadResult::kMore;
    why_ = "the head is larger than limits.headerBytes";
    return HeadResult::kTooLarge;
  }
  if (too_many_) {
    why_ = "more header fields than limits.headerFields";
    return HeadResult::kTooLarge;
  }
  if (error != HPE_PAUSED) {
    if (size > limits.bytes) {
      why_ = "the head is larger than limits.headerBytes";
      return HeadResult::kTooLarge;
    }
    const char* reason = llhttp_get_error_reason(&parser_);
    return bad(reason != nullptr && *reason != 0 ? reason : "malformed head");
  }
  head_size_ = static_cast<size_t>(llhttp_get_error_pos(&parser_) - base);
  if (head_size_ > limits.bytes) {
    why_ = "the head is larger than limits.headerBytes";
    return HeadResult::kTooLarge;
  }
  uint32_t line_end = 0;
  if (!check_start_line(base, line_end)) return bad("malformed start line");
  if (!check_fields(base, line_end)) return bad("malformed header field");
  return HeadResult::kComplete;
}

// `line_end`: offset behind the start line's CRLF.
bool HeadParser::check_start_line(const char* base, uint32_t& line_end) {
  const Span& version = version_span_;
  if (version.size != 3 || base[version.at] != '1' || base[version.at + 1] != '.') return false;
  char minor = base[version.at + 2];
  if (minor != '0' && minor != '1') return false;
  minor_ = minor - '0';
  if (side_ == Side::kRequest) {
    // One empty line before a request is forgiven (RFC 9112 §2.2).
    if (method_span_.at != 0 && !(method_span_.at == 2 && is_crlf(base))) return false;
    if (base[method_span_.end()] != ' ' || target_span_.at != method_span_.end() + 1) return false;
    if (version.at != target_span_.end() + 6 || std::memcmp(base + target_span_.end(), " HTTP/", 6) != 0) return false;
    line_end = version.end() + 2;
    method_ = parse_method(view(base, method_span_));
  } else {
    if (version.at != 5 || base[8] != ' ') return false;
    if (head_size_ < 15 || !is_digit(base[9]) || !is_digit(base[10]) || !is_digit(base[11])) return false;
    status_ = (base[9] - '0') * 100 + (base[10] - '0') * 10 + (base[11] - '0');
    if (status_ < 100) return false;
    uint32_t end = 12;
    if (base[12] == ' ') end = status_span_.size > 0 ? status_span_.end() : 13;
    if (!is_field_value({base + 12, end - 12})) return false;
    line_end = end + 2;
  }
  return line_end <= head_size_ && is_crlf(base + line_end - 2);
}

// Every byte between the spans must be what it should be, and nothing else.
bool HeadParser::check_fields(const char* base, uint32_t line_end) const {
  if (folded_) return false;
  uint32_t at = line_end;
  for (const Field& f : fields_) {
    if (f.name.size == 0 || f.name.at != at || base[f.name.end()] != ':') return false;
    at = f.name.end() + 1;
    while (is_ows(base[at])) ++at;
    if (f.value.size > 0) {
      if (f.value.at != at) return false;
      at = f.value.end();
    }
    if (!is_crlf(base + at)) return false;
    at += 2;
  }
  return at + 2 == head_size_ && is_crlf(base + at);
}

void HeadParser::fill(const char* base, HeaderList& out) const {
  for (const Field& f : fields_) {
    std::string_view value = view(base, f.value);
    while (!value.empty() && is_ows(value.back())) value.remove_suffix(1);
    out.add(view(base, f.name), value);
  }
}

}  // namespace gw::http1
