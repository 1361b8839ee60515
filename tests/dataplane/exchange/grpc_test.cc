// What is a gRPC call, its deadline, and the fields of a refused one.
#include <catch2/catch.hpp>

#include "common/crypto/base64.h"
#include "dataplane/exchange/grpc.h"

namespace gw {
namespace {

using Kind = GrpcType::Kind;

TEST_CASE("a call is known by its content type alone, in any case, with parameters and a message format") {
  struct Case {
    const char* text;
    Kind kind;
    const char* suffix;
  };
  for (Case c : {Case{"application/grpc", Kind::kGrpc, ""}, Case{"application/grpc+proto", Kind::kGrpc, "+proto"},
                 Case{"Application/GRPC+json; charset=utf-8", Kind::kGrpc, "+json"}, Case{"application/grpc ;a=b", Kind::kGrpc, ""},
                 Case{"application/grpc-web", Kind::kWeb, ""}, Case{"application/grpc-web+proto", Kind::kWeb, "+proto"},
                 Case{"application/grpc-web-text", Kind::kWebText, ""}, Case{"application/grpc-web-text+proto", Kind::kWebText, "+proto"},
                 Case{"application/grpcx", Kind::kNone, ""}, Case{"application/grpc+", Kind::kNone, ""},
                 Case{"application/grpc-websocket", Kind::kNone, ""}, Case{"application/grpc-web-textual", Kind::kNone, ""},
                 Case{"application/grp", Kind::kNone, ""}, Case{"application/json", Kind::kNone, ""}, Case{"", Kind::kNone, ""},
                 Case{"text/application/grpc", Kind::kNone, ""}}) {
    INFO(c.text);
    GrpcType type = grpc_type(c.text);
    CHECK(type.kind == c.kind);
    CHECK(type.suffix == c.suffix);
  }
}

TEST_CASE("a deadline has one to eight digits and a unit; anything else is malformed") {
  CHECK(parse_grpc_timeout("1S") == 1'000'000'000);
  CHECK(parse_grpc_timeout("250m") == 250'000'000);
  CHECK(parse_grpc_timeout("7u") == 7'000);
  CHECK(parse_grpc_timeout("99999999n") == 99'999'999);
  CHECK(parse_grpc_timeout("2M") == 120'000'000'000);
  CHECK(parse_grpc_timeout("1H") == 3'600'000'000'000);
  CHECK(parse_grpc_timeout("0S") == 0);
  CHECK(parse_grpc_timeout("99999999H") > 2'000'000'000'000'000'000);  // no time to overflow
  for (const char* bad : {"", "S", "1", "1s", "123456789S", "-1S", "+1S", "1.5S", " 1S", "1S ", "1 S", "0x1S", "1SS"}) {
    INFO(bad);
    CHECK_FALSE(parse_grpc_timeout(bad));
  }
}

TEST_CASE("what is sent of a deadline is never more than what is left, and never malformed") {
  Arena arena;
  CHECK(grpc_timeout(1, arena) == "1n");
  CHECK(grpc_timeout(99'999'999, arena) == "99999999n");
  CHECK(grpc_timeout(100'000'999, arena) == "100000u");
  CHECK(grpc_timeout(5'000'000'000, arena) == "5000000u");
  for (int64_t ns = 1; ns < INT64_MAX / 7; ns = ns * 3 + 1) {
    auto read = parse_grpc_timeout(grpc_timeout(ns, arena));
    REQUIRE(read);
    CHECK(*read <= ns);
    CHECK(*read >= ns - ns / 50);
  }
}

TEST_CASE("grpc-message escapes what is no visible ASCII, and is cut") {
  Arena arena;
  CHECK(grpc_message("plain text, with 'marks'", arena) == "plain text, with 'marks'");
  CHECK(grpc_message("50% \n\xc3\xbc~\x7f", arena) == "50%25 %0A%C3%BC~%7F");
  CHECK(grpc_message(std::string(5000, 'x'), arena).size() == kMaxGrpcMessage);
  CHECK(grpc_message("", arena).empty());
}

TEST_CASE("details are a google.rpc.Status with an ErrorInfo") {
  Arena arena;
  LocalResponse local;
  local.reason = Reason::kRateLimited;
  local.detail = "slow down";
  std::string text(grpc_details(GrpcStatus::kResourceExhausted, local, {"req-1", "t/p", 7}, arena));
  CHECK(text.find('=') == std::string::npos);
  text.append((4 - text.size() % 4) % 4, '=');
  auto bytes = from_base64(text);
  REQUIRE(bytes);
  std::string pairs = std::string("\x1a\x13\x0a\x0arequest_id\x12\x05req-1", 21) + std::string("\x1a\x0d\x0a\x06policy\x12\x03t/p", 15) +
                      std::string("\x1a\x0c\x0a\x07version\x12\x01" "7", 14);
  std::string error = std::string("\x0a\x0cRATE_LIMITED\x12\x09northgate", 25) + pairs;
  std::string any = std::string("\x0a\x28type.googleapis.com/google.rpc.ErrorInfo\x12", 43) + static_cast<char>(error.size()) + error;
  std::string whole = std::string("\x08\x08\x12\x09slow down\x1a", 14) + static_cast<char>(any.size()) + any;
  REQUIRE(any.size() < 0x80);
  CHECK(*bytes == whole);
}

TEST_CASE("every reason has a gRPC status that a refused call can have") {
  for (unsigned i = 1; i < static_cast<unsigned>(Reason::kCount); ++i) {
    GrpcStatus status = info(static_cast<Reason>(i)).grpc;
    CHECK(status > GrpcStatus::kOk);
    CHECK(status < GrpcStatus::kMissing);
  }
  CHECK(info(Reason::kNoRoute).grpc == GrpcStatus::kUnimplemented);
  CHECK(info(Reason::kAuthMissing).grpc == GrpcStatus::kUnauthenticated);
  CHECK(info(Reason::kSuspended).grpc == GrpcStatus::kPermissionDenied);
  CHECK(info(Reason::kQuotaExhausted).grpc == GrpcStatus::kResourceExhausted);
  CHECK(info(Reason::kCircuitOpen).grpc == GrpcStatus::kUnavailable);
  CHECK(info(Reason::kValidation).grpc == GrpcStatus::kInvalidArgument);
  CHECK(info(Reason::kInternal).grpc == GrpcStatus::kInternal);
}

TEST_CASE("statuses are read, named and judged") {
  CHECK(parse_grpc_status("0") == GrpcStatus::kOk);
  CHECK(parse_grpc_status("16") == GrpcStatus::kUnauthenticated);
  for (const char* bad : {"", "17", "-1", "99", "1x", "100"}) CHECK(parse_grpc_status(bad) == GrpcStatus::kMissing);
  CHECK(grpc_status_named("resource-exhausted") == GrpcStatus::kResourceExhausted);
  CHECK(grpc_status_named("RESOURCE_EXHAUSTED") == GrpcStatus::kNone);
  CHECK(grpc_status_named("") == GrpcStatus::kNone);
  CHECK(grpc_status_label(GrpcStatus::kMissing) == "unknown");
  CHECK(grpc_status_of_http(503) == GrpcStatus::kUnavailable);
  CHECK(grpc_status_of_http(404) == GrpcStatus::kUnimplemented);
  CHECK(grpc_status_of_http(418) == GrpcStatus::kUnknown);
  CHECK(http_class_of(GrpcStatus::kUnavailable) == 500);
  CHECK(http_class_of(GrpcStatus::kNotFound) == 400);
}

}  // namespace
}  // namespace gw
