#include <charconv>
#include <cstring>

#include "dataplane/snapshot/directory.h"
#include "dataplane/snapshot/snapshot.h"
#include "dataplane/telemetry/access_log.h"

namespace gw {
namespace {

constexpr size_t kMaxPath = 1024, kMaxHost = 255, kMaxUserAgent = 384, kMaxName = 160;

// Length of the valid UTF-8 sequence at the start of `text` (whose first byte is >= 0x80), or 0.
size_t utf8_length(std::string_view text) {
  auto at = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  auto tail = [&](size_t i) { return (at(i) & 0xc0) == 0x80; };
  unsigned first = at(0);
  if (first >= 0xc2 && first <= 0xdf) return tail(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    if (!tail(1) || !tail(2)) return 0;
    if (first == 0xe0 && at(1) < 0xa0) return 0;
    if (first == 0xed && at(1) > 0x9f) return 0;
    return 3;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    if (!tail(1) || !tail(2) || !tail(3)) return 0;
    if (first == 0xf0 && at(1) < 0x90) return 0;
    if (first == 0xf4 && at(1) > 0x8f) return 0;
    return 4;
  }
  return 0;
}

inline bool plain(char c) {
  unsigned char u = static_cast<unsigned char>(c);
  return u >= 0x20 && u < 0x7f && c != '"' && c != '\\';
}

// Whether all of eight bytes are plain. (The usual tests on words: a byte below n, a byte that is zero.)
inline bool plain8(uint64_t word) {
  constexpr uint64_t kEach = 0x0101010101010101;
  auto zero = [](uint64_t w) { return (w - kEach) & ~w; };
  uint64_t odd = ((word - 0x20 * kEach) & ~word) | word | zero(word ^ '"' * kEach) | zero(word ^ '\\' * kEach) | zero(word ^ 0x7f * kEach);
  return (odd & (0x80 * kEach)) == 0;
}

class Line {
 public:
  explicit Line(char* out) : start_(out), at_(out) {}
  size_t size() const { return static_cast<size_t>(at_ - start_); }

  void raw(std::string_view text) {
    std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
  }
  template <class Int>
  void integer(std::string_view key, Int value) {
    raw(key);
    at_ = std::to_chars(at_, at_ + 24, value).ptr;
  }
  // Milliseconds with three decimals.
  void millis(std::string_view key, int64_t ns) {
    int64_t us = ns > 0 ? ns / 1000 : 0;
    integer(key, us / 1000);
    int rest = static_cast<int>(us % 1000);
    *at_++ = '.';
    *at_++ = static_cast<char>('0' + rest / 100);
    *at_++ = static_cast<char>('0' + rest / 10 % 10);
    *at_++ = static_cast<char>('0' + rest % 10);
  }
  // `key` ends with the opening quote. Nothing is written for an empty value. Of names and ids that were checked when they
  // came in, or are the gateway's own: nothing in them needs an escape.
  void name(std::string_view key, std::string_view value, size_t max) {
    if (value.empty()) return;
    raw(key);
    raw(value.substr(0, max));
    *at_++ = '"';
  }
  // The same for what a client says.
  void text(std::string_view key, std::string_view value, size_t max) {
    if (value.empty()) return;
    raw(key);
    escape(value.substr(0, max));
    *at_++ = '"';
  }

 private:
  void escape(std::string_view value) {
    size_t i = 0;
    while (i < value.size()) {
      uint64_t word;
      while (i + 8 <= value.size() && (std::memcpy(&word, value.data() + i, 8), plain8(word))) {
        std::memcpy(at_, &word, 8);
        at_ += 8;
        i += 8;
      }
      size_t run = i;
      while (run < value.size() && plain(value[run])) ++run;
      raw(value.substr(i, run - i));
      i = run;
      if (i >= value.size()) return;
      i += escape_one(value.substr(i));
    }
  }
  // Bytes taken.
  size_t escape_one(std::string_view value) {
    unsigned char c = static_cast<unsigned char>(value[0]);
    if (c == '"' || c == '\\') {
      *at_++ = '\\';
      *at_++ = static_cast<char>(c);
      return 1;
    }
    if (c >= 0x80) {
      size_t length = utf8_length(value);
      if (length > 0) {
        raw(value.substr(0, length));
        return length;
      }
    }
    static constexpr char kHex[] = "0123456789abcdef";
    raw("\\u00");
    *at_++ = kHex[c >> 4];
    *at_++ = kHex[c & 15];
    return 1;
  }

  char* start_;
  char* at_;
};

}  // namespace

void format_utc(int64_t unix_seconds, char* out) {
  int64_t days = unix_seconds / 86400, rest = unix_seconds % 86400;
  if (rest < 0) {
    rest += 86400;
    --days;
  }
  // Days to date (Howard Hinnant, chrono-compatible low-level date algorithms).
  days += 719468;
  int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  int64_t doe = days - era * 146097;
  int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  int64_t mp = (5 * doy + 2) / 153;
  int day = static_cast<int>(doy - (153 * mp + 2) / 5 + 1);
  int month = static_cast<int>(mp < 10 ? mp + 3 : mp - 9);
  int year = static_cast<int>(yoe + era * 400 + (month <= 2 ? 1 : 0));
  auto two = [](char* at, int value) {
    at[0] = static_cast<char>('0' + value / 10 % 10);
    at[1] = static_cast<char>('0' + value % 10);
  };
  int seconds = static_cast<int>(rest);
  two(out, year / 100);
  two(out + 2, year);
  out[4] = out[7] = '-';
  two(out + 5, month);
  two(out + 8, day);
  out[10] = 'T';
  two(out + 11, seconds / 3600);
  out[13] = out[16] = ':';
  two(out + 14, seconds / 60 % 60);
  two(out + 17, seconds % 60);
}

size_t format_access_line(const RequestRecord& r, std::string_view node, std::string_view time, char* out) {
  Line line(out);
  line.raw("{\"ts\":\"");
  line.raw(time);
  int ms = static_cast<int>(r.wall_ns / 1'000'000 % 1000);
  char fraction[] = {'.', static_cast<char>('0' + ms / 100), static_cast<char>('0' + ms / 10 % 10),
                     static_cast<char>('0' + ms % 10), 'Z', '"'};
  line.raw({fraction, sizeof fraction});
  line.name(",\"request_id\":\"", r.request_id, kMaxName);
  line.name(",\"trace_id\":\"", r.trace_id, kMaxName);
  line.text(",\"node\":\"", node, kMaxName);
  line.integer(",\"version\":", r.config_version);
  if (r.gateway != nullptr) line.name(",\"gateway\":\"", r.gateway->name, kMaxName);
  if (r.route != nullptr) {
    line.name(",\"api\":\"", r.route->api->name, kMaxName);
    line.name(",\"route\":\"", r.route->name(), kMaxName);
  }
  if (r.app != nullptr) {
    if (r.app->consumer) line.name(",\"consumer\":\"", r.app->consumer->name, kMaxName);
    line.name(",\"app\":\"", r.app->name, kMaxName);
  }
  if (r.plan != nullptr) line.name(",\"plan\":\"", r.plan->name, kMaxName);
  line.text(",\"http.request.method\":\"", r.method_text, 32);
  line.name(",\"network.protocol.version\":\"", r.protocol, 3);
  line.text(",\"url.path\":\"", r.path, kMaxPath);
  line.text(",\"server.address\":\"", r.host, kMaxHost);
  char address[64];
  line.name(",\"client.address\":\"", {address, r.client.format(address)}, sizeof address);
  line.text(",\"user_agent.original\":\"", r.user_agent, kMaxUserAgent);
  line.integer(",\"status\":", r.status);
  if (r.grpc != GrpcStatus::kNone) line.integer(",\"rpc.grpc.status_code\":", grpc_status_seen(r.grpc));
  if (r.reason != Reason::kNone) line.name(",\"reason\":\"", info(r.reason).name, 64);
  line.text(",\"policy\":\"", r.policy, kMaxName);
  line.integer(",\"bytes_in\":", r.request_bytes);
  line.integer(",\"bytes_out\":", r.response_bytes);
  line.millis(",\"duration_ms\":", r.duration_ns);
  line.name(",\"tunnel_ended_by\":\"", r.ended_by, 32);
  if (r.attempts > 0) {
    line.name(",\"upstream\":\"", r.upstream, kMaxName);
    line.text(",\"target\":\"", r.target, kMaxHost);
    line.millis(",\"upstream_ms\":", r.upstream_ns);
    line.integer(",\"attempts\":", r.attempts);
  }
  line.raw("}\n");
  return line.size();
}

}  // namespace gw
