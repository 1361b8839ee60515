#include "dataplane/http1/chunked.h"

#include <catch2/catch.hpp>
#include <string>

namespace gw::http1 {
namespace {

using Result = ChunkedDecoder::Result;

struct Decoded {
  Result end;
  std::string body, rest;
};

// In pieces of `step` bytes.
Decoded decode(ChunkedDecoder& decoder, const std::string& text, size_t step) {
  Decoded out{Result::kMore, "", ""};
  decoder.restart();
  for (size_t at = 0; at < text.size(); at += step) {
    std::string_view input = std::string_view(text).substr(at, step), data;
    while (true) {
      out.end = decoder.next(input, data);
      if (out.end != Result::kData) break;
      out.body += data;
    }
    if (out.end != Result::kMore) {
      out.rest = std::string(input) + text.substr(std::min(text.size(), at + step));
      break;
    }
  }
  return out;
}

TEST_CASE("A chunked body is the same in pieces of any size, and what follows is left", "[http1]") {
  std::string text = "5 ;a\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nX-Sum: 1\r\n\r\nGET /";
  ChunkedDecoder decoder;
  for (size_t step : {1, 2, 3, 7, 1000}) {
    Decoded d = decode(decoder, text, step);
    CHECK(d.end == Result::kDone);
    CHECK(d.body == "hello world");
    CHECK(d.rest == "GET /");
    HeaderList trailers;
    decoder.trailers(trailers);
    REQUIRE(trailers.size() == 1);
    CHECK(trailers.fields()[0].name == "X-Sum");
    CHECK(trailers.fields()[0].value == "1");
  }
}

TEST_CASE("Chunks that are not exactly chunks are refused", "[http1]") {
  ChunkedDecoder decoder;
  for (const char* bad : {"+5\r\nhello\r\n0\r\n\r\n", "\r\nhello", "5\nhello\r\n0\r\n\r\n", "5;a\nhello\r\n0\r\n\r\n", "5\r\nhelloXX\r\n0\r\n\r\n",
                          "5\r\nhello\r0\r\n\r\n", "0x5\r\nhello\r\n", "ZZ\r\n", "5\r\nhello\n0\r\n\r\n", "-1\r\n", " 5\r\nhello\r\n",
                          "1000000000000000\r\n", "5 \r\nhello\r\n0\r\n\r\n", "5 x\r\nhello\r\n0\r\n\r\n", "0\r\nbad name: x\r\n\r\n", "0\r\nX: a\n\r\n", "0\r\nno colon\r\n\r\n", "0\r\n: x\r\n\r\n"}) {
    INFO(bad);
    CHECK(decode(decoder, bad, 1000).end == Result::kBad);
    CHECK(decode(decoder, bad, 1).end == Result::kBad);
  }
}

TEST_CASE("Extensions and trailers have limits", "[http1]") {
  ChunkedDecoder decoder;
  CHECK(decode(decoder, "5;" + std::string(ChunkedDecoder::kMaxExtensionBytes + 1, 'a') + "\r\nhello\r\n0\r\n\r\n", 4096).end == Result::kBad);
  std::string many = "0\r\n";
  for (size_t i = 0; i <= ChunkedDecoder::kMaxTrailers; ++i) many += "T: 1\r\n";
  CHECK(decode(decoder, many + "\r\n", 4096).end == Result::kBad);
  CHECK(decode(decoder, "0\r\nT: " + std::string(ChunkedDecoder::kMaxTrailerBytes, 'a') + "\r\n\r\n", 100000).end == Result::kBad);
}

}  // namespace
}  // namespace gw::http1
