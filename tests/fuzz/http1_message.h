// What must hold of any bytes that are read as an HTTP/1 message: for the fuzz targets and for the unit test that walks their
// corpora. Returns what does not hold, or null.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "dataplane/http1/chunked.h"
#include "dataplane/http1/framing.h"
#include "dataplane/http1/head_parser.h"

namespace gw::fuzz {

struct Decoded {
  http1::ChunkedDecoder::Result end = http1::ChunkedDecoder::Result::kMore;
  std::string body;
};

inline Decoded decode_chunks(std::string_view bytes, size_t step) {
  Decoded out;
  http1::ChunkedDecoder decoder;
  decoder.restart();
  for (size_t at = 0; at < bytes.size();) {
    std::string_view piece = bytes.substr(at, step), data;
    size_t given = piece.size();
    while ((out.end = decoder.next(piece, data)) == http1::ChunkedDecoder::Result::kData) out.body.append(data);
    at += given - piece.size();
    if (out.end != http1::ChunkedDecoder::Result::kMore) break;
  }
  return out;
}

inline bool is_token(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || kMarks.find(c) != std::string_view::npos;
  });
}

inline bool is_value(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f); });
}

inline const char* check_http1_message(std::string_view bytes, http1::HeadParser::Side side) {
  using http1::HeadResult;
  constexpr HeadLimits kLimits{4096, 50};
  http1::HeadParser whole(side), pieces(side);
  whole.restart();
  pieces.restart();
  HeadResult result = whole.feed(bytes.data(), bytes.size(), kLimits), slow = HeadResult::kMore;
  for (size_t size = 1; size <= bytes.size() && slow == HeadResult::kMore; ++size) slow = pieces.feed(bytes.data(), size, kLimits);
  // Which of two faults is seen first may depend on the pieces; whether there is one may not.
  if ((result == HeadResult::kComplete) != (slow == HeadResult::kComplete)) return "a head in pieces is another head";
  if (result != HeadResult::kComplete) return result == HeadResult::kMore || *whole.why() != 0 ? nullptr : "refused without a reason";
  if (whole.head_size() != pieces.head_size() || whole.head_size() > bytes.size()) return "the head's end depends on the pieces";
  HeaderList headers;
  whole.fill(bytes.data(), headers);
  for (const HeaderField& f : headers.fields()) {
    if (!is_token(f.name)) return "a field's name is no token";
    if (!is_value(f.value)) return "a field's value has a control byte";
  }
  http1::Framing framing;
  if (side == http1::HeadParser::Side::kRequest) {
    if (!is_token(whole.method_text(bytes.data()))) return "the method is no token";
    std::string_view target = whole.target(bytes.data());
    if (target.empty() || !std::all_of(target.begin(), target.end(), [](char c) { return c > 0x20 && c < 0x7f; })) {
      return "the target has a space, a control byte or none at all";
    }
    framing = http1::request_framing(headers, whole.http10());
  } else {
    if (whole.status() < 100 || whole.status() > 999) return "the status is none";
    framing = http1::response_framing(headers, whole.status(), Method::kGet, whole.http10());
  }
  if (framing.kind == http1::Framing::Kind::kBad) return *framing.why != 0 ? nullptr : "refused without a reason";
  if (framing.kind == http1::Framing::Kind::kLength && framing.length <= 0) return "a length that is none";
  if (framing.kind != http1::Framing::Kind::kChunked) return nullptr;
  if (headers.count("content-length") > 0) return "a length and chunks were both taken";
  std::string_view body = bytes.substr(whole.head_size());
  Decoded at_once = decode_chunks(body, std::max<size_t>(body.size(), 1)), slowly = decode_chunks(body, 1);
  if (at_once.end != slowly.end || at_once.body != slowly.body) return "chunks in pieces are other chunks";
  return nullptr;
}

}  // namespace gw::fuzz
