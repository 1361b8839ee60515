#include "dataplane/exchange/grpc.h"

#include <charconv>
#include <cstring>
#include <limits>
#include <string>

#include "common/crypto/base64.h"

namespace gw {
namespace {

constexpr std::string_view kGrpcPrefix = "application/grpc";
constexpr size_t kMaxTimeoutDigits = 8;

bool takes_word(std::string_view& text, std::string_view word) {
  if (text.size() < word.size() || !equals_ignore_case(text.substr(0, word.size()), word)) return false;
  text.remove_prefix(word.size());
  return true;
}

struct TimeoutUnit {
  char letter;
  int64_t ns;
};
constexpr TimeoutUnit kTimeoutUnits[] = {
    {'n', 1}, {'u', 1'000}, {'m', 1'000'000}, {'S', 1'000'000'000}, {'M', 60'000'000'000}, {'H', 3'600'000'000'000}};

// Protobuf's wire format: fields of wire type 0 (varint) and 2 (length and bytes).
void put_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

void put_bytes(std::string& out, unsigned field, std::string_view bytes) {
  put_varint(out, field << 3 | 2);
  put_varint(out, bytes.size());
  out.append(bytes);
}

void put_pair(std::string& out, std::string_view name, std::string_view value) {
  std::string entry;
  put_bytes(entry, 1, name);
  put_bytes(entry, 2, value);
  put_bytes(out, 3, entry);  // ErrorInfo.metadata
}

std::string_view message_text(const LocalResponse& response) {
  return response.detail.empty() ? info(response.reason).title : response.detail;
}

}  // namespace

GrpcType grpc_type(std::string_view content_type) {
  std::string_view rest = content_type;
  if (!takes_word(rest, kGrpcPrefix)) return {};
  GrpcType out{GrpcType::Kind::kGrpc, {}};
  if (takes_word(rest, "-web")) out.kind = takes_word(rest, "-text") ? GrpcType::Kind::kWebText : GrpcType::Kind::kWeb;
  std::string_view type = rest.substr(0, rest.find(';'));
  while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) type.remove_suffix(1);
  if (type.empty()) return out;
  if (type.front() != '+' || !is_token(type.substr(1))) return {};
  out.suffix = type;
  return out;
}

std::optional<int64_t> parse_grpc_timeout(std::string_view text) {
  if (text.size() < 2 || text.size() > kMaxTimeoutDigits + 1) return std::nullopt;
  int64_t value = 0;
  for (char c : text.substr(0, text.size() - 1)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  for (const TimeoutUnit& unit : kTimeoutUnits) {
    if (unit.letter != text.back()) continue;
    constexpr int64_t kMost = std::numeric_limits<int64_t>::max() / 4;
    return value > kMost / unit.ns ? kMost : value * unit.ns;
  }
  return std::nullopt;
}

std::string_view grpc_timeout(int64_t ns, Arena& arena) {
  constexpr int64_t kMost = 99'999'999;
  const TimeoutUnit* unit = kTimeoutUnits;
  while (ns / unit->ns > kMost) ++unit;
  char* text = arena.allocate(kMaxTimeoutDigits + 1);
  char* end = std::to_chars(text, text + kMaxTimeoutDigits, ns / unit->ns).ptr;
  *end++ = unit->letter;
  return {text, static_cast<size_t>(end - text)};
}

std::string_view grpc_message(std::string_view text, Arena& arena) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  text = text.substr(0, kMaxGrpcMessage);
  char* out = arena.allocate(text.size() * 3 + 1);
  char* at = out;
  for (char c : text) {
    unsigned char u = static_cast<unsigned char>(c);
    if (u >= 0x20 && u <= 0x7e && c != '%') {
      *at++ = c;
    } else {
      *at++ = '%';
      *at++ = kHex[u >> 4];
      *at++ = kHex[u & 15];
    }
  }
  return {out, static_cast<size_t>(at - out)};
}

std::string_view grpc_details(GrpcStatus status, const LocalResponse& response, const ProblemFacts& facts, Arena& arena) {
  std::string error, any, out;
  put_bytes(error, 1, info(response.reason).name);
  put_bytes(error, 2, "northgate");
  put_pair(error, "request_id", facts.request_id);
  if (!facts.policy.empty()) put_pair(error, "policy", facts.policy);
  if (facts.version != 0) put_pair(error, "version", std::to_string(facts.version));
  put_bytes(any, 1, "type.googleapis.com/google.rpc.ErrorInfo");
  put_bytes(any, 2, error);
  put_varint(out, 1 << 3);  // Status.code
  put_varint(out, static_cast<uint64_t>(grpc_status_seen(status)));
  put_bytes(out, 2, message_text(response).substr(0, kMaxGrpcMessage));
  put_bytes(out, 3, any);
  std::string text = to_base64(out);
  while (!text.empty() && text.back() == '=') text.pop_back();  // as gRPC writes it
  return arena.copy(text);
}

void add_grpc_status(HeaderList& to, GrpcStatus status, const LocalResponse& response, const ProblemFacts& facts, Arena& arena) {
  to.add("grpc-status", grpc_status_label(status), HeaderId::kOther);
  to.add("grpc-message", grpc_message(message_text(response), arena), HeaderId::kOther);
  to.add("grpc-status-details-bin", grpc_details(status, response, facts, arena), HeaderId::kOther);
}

}  // namespace gw
