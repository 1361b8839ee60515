// What two processes of a node say to each other while one takes over from the other: messages of a Unix socket that keeps
// their borders. Each: magic, version, kind, length of the rest. Two builds understand each other if their version is the same;
// any other message is refused with words, and changes nothing.
//
//   new: kAsk      →
//                  ← kSockets, as often as needed, descriptors beside (SCM_RIGHTS), one for each item     old: or kRefused
//   new: kReady    →                                                                                      serves
//                  ← kTaken                                                                               old: or kRefused
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace gw {

struct HandoverMessage {
  static constexpr uint16_t kVersion = 1;
  static constexpr size_t kMaxBytes = 65536;
  static constexpr size_t kMaxText = 1024;
  static constexpr size_t kMaxName = 400;   // of a key or a name
  static constexpr size_t kMaxItems = 64;   // descriptors of one message

  enum class Kind : uint8_t { kAsk = 1, kSockets = 2, kReady = 3, kTaken = 4, kRefused = 5 };

  // One descriptor. Several with the same key are one socket with several queues.
  struct Item {
    enum class What : uint8_t { kLock = 1, kAdmin = 2, kListener = 3 };
    What what = What::kListener;
    bool kept = false;  // PassedSocket::kept
    std::string key, name;
    friend bool operator==(const Item&, const Item&) = default;
  };

  Kind kind = Kind::kAsk;
  std::string text;             // kAsk: who asks; kRefused: why
  // kSockets:
  uint64_t config_version = 0;  // that the sender serves; 0: none
  uint64_t handovers = 0;       // that led to the sender
  bool last = true;             // no more kSockets follow
  std::vector<Item> items;

  friend bool operator==(const HandoverMessage&, const HandoverMessage&) = default;
};

// REQUIRES: within the limits, but for `text`, which is cut.
std::string encode(const HandoverMessage& message);
// kFailedPrecondition: of another version; kDataLoss: not such a message.
absl::StatusOr<HandoverMessage> decode_handover(std::string_view bytes);

}  // namespace gw
