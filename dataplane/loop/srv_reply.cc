#include "dataplane/loop/srv_reply.h"

#include <algorithm>

namespace gw {
namespace {

constexpr size_t kHeader = 12;
constexpr size_t kMaxName = 253;
constexpr uint16_t kCname = 5, kSrv = 33, kInternet = 1;
constexpr uint32_t kMaxTtl = 0x7fffffff;  // RFC 2181: a larger one counts as 0

class Reader {
 public:
  explicit Reader(std::string_view message) : message_(message) {}

  bool skip(size_t n) { return left() >= n && (at_ += n, true); }
  bool u16(uint16_t& out) {
    if (left() < 2) return false;
    out = static_cast<uint16_t>(byte(at_) << 8 | byte(at_ + 1));
    at_ += 2;
    return true;
  }
  bool u32(uint32_t& out) {
    uint16_t high, low;
    if (!u16(high) || !u16(low)) return false;
    out = static_cast<uint32_t>(high) << 16 | low;
    return true;
  }
  // A name, possibly compressed: "a.b", lower case; empty for the root. A pointer must lead to before the piece of the name that
  // it stands in, so that there is an end.
  bool name(std::string& out) {
    out.clear();
    size_t at = at_, piece = at_;
    bool jumped = false;
    for (;;) {
      if (at >= message_.size()) return false;
      size_t length = byte(at);
      if (length >= 0xc0) {
        if (at + 1 >= message_.size()) return false;
        size_t to = (length & 0x3f) << 8 | byte(at + 1);
        if (!jumped) at_ = at + 2;
        jumped = true;
        if (to >= piece) return false;
        at = piece = to;
        continue;
      }
      if (length > 63) return false;
      ++at;
      if (length == 0) break;
      if (message_.size() - at < length || out.size() + 1 + length > kMaxName + 1) return false;
      if (!out.empty()) out += '.';
      for (size_t i = 0; i < length; ++i) {
        char c = message_[at + i];
        out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
      }
      at += length;
    }
    if (!jumped) at_ = at;
    return out.size() <= kMaxName;
  }
  size_t left() const { return message_.size() - at_; }
  size_t at() const { return at_; }

 private:
  size_t byte(size_t i) const { return static_cast<unsigned char>(message_[i]); }

  std::string_view message_;
  size_t at_ = 0;
};

// What may stand in a host of ours.
bool is_host(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
}

// Reads one record of the answer, of `asked` or not.
bool read_answer(Reader& reader, std::string& asked, SrvReply& out, bool& any) {
  std::string owner, host;
  uint16_t type, kind, size;
  uint32_t ttl;
  if (!reader.name(owner) || !reader.u16(type) || !reader.u16(kind) || !reader.u32(ttl) || !reader.u16(size)) return false;
  if (reader.left() < size) return false;
  size_t end = reader.at() + size;
  if (kind == kInternet && owner == asked && (type == kCname || type == kSrv)) {
    SrvRecord record;
    bool read = type == kCname || (reader.u16(record.priority) && reader.u16(record.weight) && reader.u16(record.port));
    if (!read || !reader.name(host) || reader.at() != end) return false;
    uint32_t bounded = ttl > kMaxTtl ? 0 : ttl;
    out.ttl_s = any ? std::min(out.ttl_s, bounded) : bounded;
    any = true;
    if (type == kCname) {
      asked = host;
    } else if (is_host(host) && record.port != 0 && out.records.size() < SrvReply::kMaxRecords) {
      record.host = host;
      out.records.push_back(std::move(record));
    }
    return true;
  }
  return reader.skip(size);
}

}  // namespace

std::optional<SrvReply> parse_srv_reply(std::string_view message) {
  Reader reader(message);
  uint16_t flags, questions, answers;
  std::string asked;
  if (!reader.skip(2) || !reader.u16(flags) || !reader.u16(questions) || !reader.u16(answers) || !reader.skip(kHeader - 8)) {
    return std::nullopt;
  }
  bool is_reply = (flags & 0x8000) != 0;
  if (!is_reply || questions != 1 || !reader.name(asked) || !reader.skip(4)) return std::nullopt;
  SrvReply out;
  bool any = false;
  for (uint16_t i = 0; i < answers; ++i) {
    if (!read_answer(reader, asked, out, any)) return std::nullopt;
  }
  std::sort(out.records.begin(), out.records.end());
  out.records.erase(std::unique(out.records.begin(), out.records.end()), out.records.end());
  return out;
}

}  // namespace gw
