#include "dataplane/node/handover_message.h"

#include <catch2/catch.hpp>

#include "common/base/status.h"

namespace gw {
namespace {

using Kind = HandoverMessage::Kind;
using What = HandoverMessage::Item::What;

HandoverMessage sockets() {
  HandoverMessage m;
  m.kind = Kind::kSockets;
  m.config_version = 142;
  m.handovers = 3;
  m.last = false;
  m.items = {{What::kLock, false, "", ""},
             {What::kAdmin, true, "", "admin"},
             {What::kListener, false, "127.0.0.1:0 platform/edge/http", "edge/http"}};
  return m;
}

TEST_CASE("a message of a hand-over is read as it was written") {
  HandoverMessage m;
  SECTION("sockets") { m = sockets(); }
  SECTION("as many as fit") {
    m.kind = Kind::kSockets;
    m.items.assign(HandoverMessage::kMaxItems, {What::kListener, true, std::string(HandoverMessage::kMaxName, 'k'), std::string(HandoverMessage::kMaxName, 'n')});
  }
  SECTION("words") {
    m.kind = GENERATE(Kind::kAsk, Kind::kReady, Kind::kTaken, Kind::kRefused);
    m.text = "0.1.0+abc";
  }
  std::string bytes = encode(m);
  CHECK(bytes.size() <= HandoverMessage::kMaxBytes);
  auto read = decode_handover(bytes);
  REQUIRE(read.ok());
  CHECK(*read == m);
}

TEST_CASE("words that are too long are cut") {
  HandoverMessage m;
  m.kind = Kind::kRefused;
  m.text.assign(HandoverMessage::kMaxText + 1, 'x');
  auto read = decode_handover(encode(m));
  REQUIRE(read.ok());
  CHECK(read->text.size() == HandoverMessage::kMaxText);
}

TEST_CASE("another version of the hand-over is refused with both numbers and a cure") {
  std::string bytes = encode(sockets());
  bytes[8] = 7;
  auto read = decode_handover(bytes + "what only version 7 knows");
  REQUIRE_FALSE(read.ok());
  CHECK(read.status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK(message_of(read.status()) == "the other process speaks version 7 of the hand-over, this one 1; restart the node instead");
}

TEST_CASE("a message that is cut short, or goes on too long, is not one") {
  std::string bytes = encode(sockets());
  for (size_t size = 0; size < bytes.size(); ++size) {
    INFO(size);
    CHECK_FALSE(decode_handover(bytes.substr(0, size)).ok());
  }
  CHECK_FALSE(decode_handover(bytes + "x").ok());
}

// Each byte in turn is every value: nothing is read beyond the end, and what is accepted is within the limits.
TEST_CASE("whatever a byte of it says, the limits hold") {
  const std::string bytes = encode(sockets());
  size_t refused = 0;
  for (size_t at = 0; at < bytes.size(); ++at) {
    for (int value = 0; value < 256; ++value) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(value);
      auto read = decode_handover(damaged);
      refused += read.ok() ? 0 : 1;
      if (!read.ok()) continue;
      CHECK(read->items.size() <= HandoverMessage::kMaxItems);
      for (const auto& item : read->items) CHECK(item.key.size() + item.name.size() <= bytes.size());
    }
  }
  CHECK(refused > bytes.size());
}

TEST_CASE("more items, longer names or other kinds than there are make no message") {
  HandoverMessage m = sockets();
  SECTION("items") { m.items.assign(HandoverMessage::kMaxItems + 1, m.items.back()); }
  SECTION("kind") { m.kind = static_cast<Kind>(6); }
  SECTION("what") { m.items[0].what = static_cast<What>(4); }
  CHECK(decode_handover(encode(m)).status().code() == absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace gw
