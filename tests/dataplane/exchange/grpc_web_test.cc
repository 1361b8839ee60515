// gRPC-Web's bodies and heads, translated in pieces of any size.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "tests/fuzz/grpc_web_body.h"
#include "tests/support/source_dir.h"

namespace gw {
namespace {

using Kind = GrpcType::Kind;

std::string framed(std::string_view bytes, char flag = 0) {
  std::string out(1, flag);
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(bytes.size() >> shift);
  return out.append(bytes);
}

TEST_CASE("any bytes come out of gRPC-Web as they went in, however they are split and padded") {
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    std::string body, text;
    for (size_t left = random() % 6; left > 0; --left) {
      std::string message(random() % 40, '\0');
      for (char& c : message) c = static_cast<char>(random());
      body += framed(message, static_cast<char>(random() % 2));
    }
    for (size_t at = 0; at < body.size();) {  // groups of any size, each padded
      size_t size = std::min<size_t>(1 + random() % 11, body.size() - at);
      text += to_base64(std::string_view(body).substr(at, size));
      at += size;
    }
    auto decoded = fuzz::decode_web(fuzz::split_by(text, random()));
    REQUIRE(decoded);
    CHECK(*decoded == body);
    std::string wrong = fuzz::check_grpc_web("\x05" + text) != nullptr ? fuzz::check_grpc_web("\x05" + text) : "";
    CHECK(wrong.empty());
    HeaderList trailers;
    trailers.add("grpc-status", "0");
    auto encoded = fuzz::encode_web(fuzz::split_by(body, random()), round % 2 == 0);
    REQUIRE(encoded);
    CHECK(*encoded == body + grpc_web_trailers(trailers));
  }
}

TEST_CASE("every input of gRPC-Web's fuzz corpus gives the same in pieces") {
  size_t inputs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(test::source_dir()) / "tests/fuzz/corpus/grpc_web")) {
    std::ifstream file(entry.path(), std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(file), {}};
    INFO(entry.path());
    const char* wrong = fuzz::check_grpc_web(bytes);
    CHECK(std::string_view(wrong != nullptr ? wrong : "").empty());
    ++inputs;
  }
  CHECK(inputs > 10);
}

TEST_CASE("what is no base64 is refused, and so is a group that does not end") {
  for (const char* bad : {"A", "AB", "ABC", "AB=", "=", "A===", "AB=C", "AB==C", "A-_B", "AA A", "AAAA\n", "AB==", "ABD="}) {
    INFO(bad);
    CHECK_FALSE(fuzz::decode_web({bad}));
  }
  CHECK(fuzz::decode_web({""}) == "");
  CHECK(fuzz::decode_web({"QQ==", "Qg==QkI=", "Q0ND"}) == "ABBBCCC");
}

TEST_CASE("messages that are none of gRPC's, and answers that end within one, are malformed") {
  CHECK_FALSE(fuzz::encode_web({framed("grpc-status: 0\r\n", '\x80')}, false));
  CHECK_FALSE(fuzz::encode_web({framed("x", 2)}, true));
  CHECK_FALSE(fuzz::encode_web({framed("abc").substr(0, 7)}, false));
  CHECK_FALSE(fuzz::encode_web({framed("abc") + std::string(3, '\0')}, false));
  CHECK(fuzz::encode_web({framed("")}, false));
}

TEST_CASE("trailers are a frame of their own, with names in lower case") {
  HeaderList trailers;
  trailers.add("Grpc-Status", "5");
  trailers.add("x-id", "a b");
  trailers.add("gone", "1");
  trailers.remove("gone");
  std::string lines = "grpc-status: 5\r\nx-id: a b\r\n";
  CHECK(grpc_web_trailers(trailers) == framed(lines, '\x80'));
  CHECK(grpc_web_trailers({}) == framed("", '\x80'));
}

TEST_CASE("a request's fields become gRPC's; what the answer is to be comes from Accept, else from the request") {
  struct Case {
    Kind kind;
    const char* accept;
    const char* answer;
  };
  for (Case c : {Case{Kind::kWeb, "", "application/grpc-web+proto"}, Case{Kind::kWebText, "", "application/grpc-web-text+proto"},
                 Case{Kind::kWeb, "application/grpc-web-text", "application/grpc-web-text+proto"},
                 Case{Kind::kWebText, "text/html, application/grpc-web", "application/grpc-web+proto"},
                 Case{Kind::kWebText, "*/*", "application/grpc-web-text+proto"}}) {
    Arena arena;
    RequestHead head;
    head.headers.add("content-type", "application/grpc-web-of-some-kind");
    head.headers.add("x-grpc-web", "1");
    head.headers.add("x-user-agent", "grpc-web-javascript/0.1");
    if (c.accept[0] != 0) head.headers.add("accept", c.accept);
    head.content_length = 20;
    GrpcWeb web({c.kind, "+proto"}, head);
    web.translate(head, arena);
    CHECK(head.headers.get(HeaderId::kContentType) == "application/grpc+proto");
    CHECK(head.headers.find("x-grpc-web") == nullptr);
    CHECK(head.headers.find("x-user-agent") != nullptr);
    CHECK(head.headers.get(HeaderId::kAccept).empty());
    CHECK(head.wants_trailers);
    CHECK(head.content_length == (c.kind == Kind::kWebText ? -1 : 20));
    CHECK(web.content_type(arena) == c.answer);
    ResponseHead answer;
    answer.headers.add("content-type", "application/grpc+proto");
    answer.content_length = 0;
    web.begin(answer, arena);
    CHECK(web.begun());
    CHECK(answer.headers.get(HeaderId::kContentType) == c.answer);
    CHECK((answer.content_length == -1 && answer.has_body));
  }
}

TEST_CASE("an answer that is not gRPC's goes to a browser as it is") {
  Arena arena;
  RequestHead head;
  GrpcWeb web({Kind::kWebText, ""}, head);
  ResponseHead answer;
  answer.status = 503;
  answer.headers.add("content-type", "text/html");
  answer.content_length = 12;
  web.begin(answer, arena);
  CHECK_FALSE(web.begun());
  CHECK(answer.headers.get(HeaderId::kContentType) == "text/html");
  CHECK(answer.content_length == 12);
}

}  // namespace
}  // namespace gw
