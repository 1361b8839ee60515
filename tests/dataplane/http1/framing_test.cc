#include "dataplane/http1/framing.h"

#include <catch2/catch.hpp>

namespace gw::http1 {
namespace {

using Kind = Framing::Kind;

HeaderList list(std::initializer_list<std::pair<const char*, const char*>> fields) {
  HeaderList out;
  for (auto& [name, value] : fields) out.add(name, value);
  return out;
}

TEST_CASE("A request's body: none, a length, or chunks", "[http1]") {
  CHECK(request_framing(list({}), false).kind == Kind::kNone);
  CHECK(request_framing(list({{"Content-Length", "0"}}), false).kind == Kind::kNone);
  CHECK(request_framing(list({{"Content-Length", "17"}}), false).length == 17);
  CHECK(request_framing(list({{"Transfer-Encoding", "Chunked"}}), false).kind == Kind::kChunked);
}

TEST_CASE("Any doubt about a request's framing is an error", "[http1]") {
  for (const char* length : {"", "+5", "-5", "0x5", "1_0", "5 6", "5,6", "5, 5", "18446744073709551617", "9999999999999999999", " 5"}) {
    INFO(length);
    CHECK(request_framing(list({{"Content-Length", length}}), false).kind == Kind::kBad);
  }
  CHECK(request_framing(list({{"Content-Length", "5"}, {"Content-Length", "5"}}), false).kind == Kind::kBad);
  CHECK(request_framing(list({{"Content-Length", "5"}, {"Transfer-Encoding", "chunked"}}), false).kind == Kind::kBad);
  for (const char* coding : {"", "gzip", "identity", "chunked, identity", "gzip, chunked", "chunked, chunked", "\"chunked\"", "chunked;a=b", "chunked,"}) {
    INFO(coding);
    CHECK(request_framing(list({{"Transfer-Encoding", coding}}), false).kind == Kind::kBad);
  }
  CHECK(request_framing(list({{"Transfer-Encoding", "chunked"}, {"Transfer-Encoding", "chunked"}}), false).kind == Kind::kBad);
  CHECK(request_framing(list({{"Transfer-Encoding", "chunked"}}), true).kind == Kind::kBad);
}

TEST_CASE("A response's body depends on status and method too", "[http1]") {
  auto length = list({{"Content-Length", "4"}});
  CHECK(response_framing(length, 200, Method::kGet, false).length == 4);
  CHECK(response_framing(length, 200, Method::kHead, false).kind == Kind::kNone);
  CHECK(response_framing(length, 304, Method::kGet, false).kind == Kind::kNone);
  CHECK(response_framing(list({}), 204, Method::kGet, false).kind == Kind::kNone);
  CHECK(response_framing(list({}), 200, Method::kGet, false).kind == Kind::kUntilClose);
  CHECK(response_framing(list({{"Content-Length", "3"}, {"Content-Length", "4"}}), 200, Method::kGet, false).kind == Kind::kBad);
  CHECK(response_framing(list({{"Content-Length", "x"}}), 200, Method::kHead, false).kind == Kind::kBad);
}

TEST_CASE("Connection says whether it lasts, by version", "[http1]") {
  CHECK(keeps_alive(list({}), false));
  CHECK_FALSE(keeps_alive(list({}), true));
  CHECK(keeps_alive(list({{"Connection", "Keep-Alive"}}), true));
  CHECK_FALSE(keeps_alive(list({{"Connection", "foo, close"}}), false));
  CHECK_FALSE(keeps_alive(list({{"Connection", "keep-alive"}, {"Connection", "close"}}), false));
}

}  // namespace
}  // namespace gw::http1
