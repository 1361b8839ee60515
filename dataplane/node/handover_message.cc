#include "dataplane/node/handover_message.h"

#include "common/base/status.h"

namespace gw {
namespace {

constexpr std::string_view kMagic = "GWHANDOV";
constexpr size_t kHeader = 8 + 2 + 1 + 4;

template <class Int>
void append_int(std::string& out, Int value) {
  for (size_t i = 0; i < sizeof value; ++i) out += static_cast<char>(value >> (8 * i) & 0xff);
}

void append_text(std::string& out, std::string_view text, size_t max) {
  text = text.substr(0, max);
  append_int(out, static_cast<uint16_t>(text.size()));
  out += text;
}

// Reads from the front; what is not there is seen by ok().
class Reader {
 public:
  explicit Reader(std::string_view bytes) : left_(bytes) {}

  template <class Int>
  Int number() {
    std::string_view bytes = take(sizeof(Int));
    Int out = 0;
    for (size_t i = 0; i < bytes.size(); ++i) out = static_cast<Int>(out | static_cast<Int>(static_cast<unsigned char>(bytes[i])) << (8 * i));
    return out;
  }
  bool flag() {
    uint8_t value = number<uint8_t>();
    ok_ = ok_ && value <= 1;
    return value == 1;
  }
  std::string text(size_t max) {
    size_t size = number<uint16_t>();
    ok_ = ok_ && size <= max;
    return std::string(take(ok_ ? size : 0));
  }
  bool ok() const { return ok_; }
  bool at_end() const { return left_.empty(); }

 private:
  std::string_view take(size_t size) {
    if (!ok_ || size > left_.size()) {
      ok_ = false;
      return {};
    }
    std::string_view out = left_.substr(0, size);
    left_.remove_prefix(size);
    return out;
  }

  std::string_view left_;
  bool ok_ = true;
};

bool read_items(Reader& in, HandoverMessage& out) {
  size_t count = in.number<uint16_t>();
  if (count > HandoverMessage::kMaxItems) return false;
  for (size_t i = 0; i < count && in.ok(); ++i) {
    HandoverMessage::Item item;
    uint8_t what = in.number<uint8_t>();
    if (what < 1 || what > 3) return false;
    item.what = static_cast<HandoverMessage::Item::What>(what);
    item.kept = in.flag();
    item.key = in.text(HandoverMessage::kMaxName);
    item.name = in.text(HandoverMessage::kMaxName);
    out.items.push_back(std::move(item));
  }
  return in.ok();
}

}  // namespace

std::string encode(const HandoverMessage& message) {
  std::string body;
  append_text(body, message.text, HandoverMessage::kMaxText);
  if (message.kind == HandoverMessage::Kind::kSockets) {
    append_int(body, message.config_version);
    append_int(body, message.handovers);
    append_int(body, static_cast<uint8_t>(message.last));
    append_int(body, static_cast<uint16_t>(message.items.size()));
    for (const HandoverMessage::Item& item : message.items) {
      append_int(body, static_cast<uint8_t>(item.what));
      append_int(body, static_cast<uint8_t>(item.kept));
      append_text(body, item.key, HandoverMessage::kMaxName);
      append_text(body, item.name, HandoverMessage::kMaxName);
    }
  }
  std::string out(kMagic);
  append_int(out, HandoverMessage::kVersion);
  append_int(out, static_cast<uint8_t>(message.kind));
  append_int(out, static_cast<uint32_t>(body.size()));
  return out + body;
}

absl::StatusOr<HandoverMessage> decode_handover(std::string_view bytes) {
  if (bytes.size() < kHeader || bytes.substr(0, kMagic.size()) != kMagic) return data_loss("no message of a hand-over");
  Reader in(bytes.substr(kMagic.size()));
  uint16_t version = in.number<uint16_t>();
  if (version != HandoverMessage::kVersion) {
    return failed_precondition("the other process speaks version " + std::to_string(version) + " of the hand-over, this one " +
                               std::to_string(HandoverMessage::kVersion) + "; restart the node instead");
  }
  uint8_t kind = in.number<uint8_t>();
  uint32_t length = in.number<uint32_t>();
  if (kind < 1 || kind > 5 || length != bytes.size() - kHeader) return data_loss("a message of a hand-over is damaged");
  HandoverMessage out;
  out.kind = static_cast<HandoverMessage::Kind>(kind);
  out.text = in.text(HandoverMessage::kMaxText);
  bool good = true;
  if (out.kind == HandoverMessage::Kind::kSockets) {
    out.config_version = in.number<uint64_t>();
    out.handovers = in.number<uint64_t>();
    out.last = in.flag();
    good = read_items(in, out);
  }
  if (!good || !in.ok() || !in.at_end()) return data_loss("a message of a hand-over is damaged");
  return out;
}

}  // namespace gw
