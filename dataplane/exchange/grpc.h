// gRPC in heads: what is a call, its deadline, and how the gateway's own answers say a status. Pure functions; what is made lies
// in the arena. The exchange's part of it is in grpc_call.cc, gRPC-Web in grpc_web.h.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "common/base/arena.h"
#include "common/http/grpc_status.h"
#include "common/http/message.h"
#include "dataplane/exchange/local_response.h"

namespace gw {

class GrpcWeb;

struct GrpcType {
  enum class Kind : uint8_t { kNone, kGrpc, kWeb, kWebText };
  Kind kind = Kind::kNone;
  std::string_view suffix;  // "+proto", or empty
};
// By a Content-Type: application/grpc, application/grpc-web, application/grpc-web-text, each with or without +NAME.
GrpcType grpc_type(std::string_view content_type);

// What a call's exchange keeps of it.
struct GrpcCall {
  GrpcType type;                          // of the request
  int64_t deadline_ns = 0;                // monotonic; 0: none
  GrpcStatus answer = GrpcStatus::kNone;  // of the gateway's own answer, in place of its reason's
  GrpcStatus status = GrpcStatus::kNone;  // that the client got, as far as is known
  std::unique_ptr<GrpcWeb> web;           // null: the client speaks gRPC itself
};

// Of `grpc-timeout`: one to eight digits and a unit, in nanoseconds; nothing where it is malformed.
std::optional<int64_t> parse_grpc_timeout(std::string_view text);
// Never more than `ns`, which is > 0.
std::string_view grpc_timeout(int64_t ns, Arena& arena);

// `text` as `grpc-message` has it: visible ASCII and space but `%` as they are, other bytes as %XX; of at most kMaxMessage bytes.
inline constexpr size_t kMaxGrpcMessage = 1024;
std::string_view grpc_message(std::string_view text, Arena& arena);
// google.rpc.Status with an ErrorInfo {reason, domain "northgate", metadata}, as `grpc-status-details-bin` has it.
std::string_view grpc_details(GrpcStatus status, const LocalResponse& response, const ProblemFacts& facts, Arena& arena);
// The three fields of a refused call.
void add_grpc_status(HeaderList& to, GrpcStatus status, const LocalResponse& response, const ProblemFacts& facts, Arena& arena);

}  // namespace gw
