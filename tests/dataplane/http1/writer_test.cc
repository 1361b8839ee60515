#include "dataplane/http1/writer.h"

#include <catch2/catch.hpp>
#include <string>

namespace gw::http1 {
namespace {

TEST_CASE("A request is written anew: Host first, nothing that belongs to the client's connection", "[http1]") {
  RequestHead head;
  head.method_text = "POST";
  head.target = "/a?b";
  head.authority = "example.com";
  head.has_body = true;
  head.content_length = 5;
  for (auto [name, value] : std::initializer_list<std::pair<const char*, const char*>>{
           {"host", "other"}, {"Connection", "keep-alive, x"}, {"Keep-Alive", "5"}, {"TE", "trailers"}, {"Transfer-Encoding", "chunked"},
           {"Content-Length", "999"}, {"Upgrade", "h2c"}, {"Trailer", "x"}, {"Proxy-Connection", "x"}, {"Accept", "*/*"}}) {
    head.headers.add(name, value);
  }
  ByteBuffer out;
  write_request_head(out, head);
  CHECK(std::string(out.view()) == "POST /a?b HTTP/1.1\r\nHost: example.com\r\nAccept: */*\r\nContent-Length: 5\r\n\r\n");
  out.clear();
  head.content_length = -1;
  head.wants_trailers = true;
  write_request_head(out, head);
  CHECK(std::string(out.view()) ==
        "POST /a?b HTTP/1.1\r\nHost: example.com\r\nAccept: */*\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\nConnection: TE\r\n\r\n");
}

TEST_CASE("A response's framing is the writer's own", "[http1]") {
  ResponseHead head;
  head.status = 404;
  head.content_length = 2;
  head.headers.add("Content-Length", "77");
  head.headers.add("X", "y");
  head.headers.add("Connection", "upgrade");
  ByteBuffer out;
  write_response_head(out, head, false, ConnectionField::kClose);
  CHECK(std::string(out.view()) == "HTTP/1.1 404 Not Found\r\nX: y\r\nContent-Length: 2\r\nConnection: close\r\n\r\n");
  out.clear();
  write_response_head(out, head, true, ConnectionField::kNone);
  CHECK(std::string(out.view()) == "HTTP/1.1 404 Not Found\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n");
}

TEST_CASE("Fields that must not be trailers are left out of them", "[http1]") {
  HeaderList trailers;
  trailers.add("Authorization", "Bearer x");
  trailers.add("X-Forwarded-For", "1.2.3.4");
  trailers.add("Content-Length", "4");
  trailers.add("grpc-status", "0");
  ByteBuffer out;
  write_trailers(out, trailers);
  CHECK(std::string(out.view()) == "grpc-status: 0\r\n");
}

TEST_CASE("Chunk sizes are hexadecimal", "[http1]") {
  ByteBuffer out;
  write_chunk_size(out, 65536);
  CHECK(std::string(out.view()) == "10000\r\n");
}

}  // namespace
}  // namespace gw::http1
