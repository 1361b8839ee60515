#include "dataplane/snapshot/switches.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace gw {
namespace {

using AddressBytes = std::array<uint8_t, 16>;

constexpr size_t kMaxSwitchBytes = 4096;  // of one entry
constexpr int64_t kMaxRetryAfter = 86'400;

// The address one further; `by` 1 or -1. REQUIRES: there is one.
AddressBytes next_to(AddressBytes b, int by) {
  for (size_t i = 16; i-- > 0;) {
    uint8_t was = b[i];
    b[i] = static_cast<uint8_t>(was + by);
    if (by > 0 ? was != 0xff : was != 0) break;
  }
  return b;
}

int64_t end_of(const BlockedClients& b) { return b.expires_at == 0 ? std::numeric_limits<int64_t>::max() : b.expires_at; }

std::string detail_of(std::string_view what, const std::string& message) {
  return message.empty() ? std::string(what) : std::string(what) + ": " + message;
}

bool printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c >= 0x20 && c != 0x7f; });
}

}  // namespace

const std::shared_ptr<const Switches>& Switches::none() {
  static const std::shared_ptr<const Switches> kNone = std::make_shared<const Switches>();
  return kNone;
}

const DisabledApi* Switches::disabled(uint64_t api_uid) const {
  auto at = std::lower_bound(apis_.begin(), apis_.end(), api_uid, [](const DisabledApi& a, uint64_t uid) { return a.uid < uid; });
  return at != apis_.end() && at->uid == api_uid ? &*at : nullptr;
}

bool Switches::drained(uint64_t upstream_uid, std::string_view authority) const {
  auto at = std::lower_bound(drained_.begin(), drained_.end(), std::pair(upstream_uid, authority), [](const DrainedTarget& d, const auto& wanted) {
    return std::pair<uint64_t, std::string_view>(d.upstream, d.authority) < wanted;
  });
  return at != drained_.end() && at->upstream == upstream_uid && at->authority == authority;
}

const BlockedClients* Switches::blocked(const IpAddress& client, int64_t wall_ns) const {
  auto after = std::upper_bound(ranges_.begin(), ranges_.end(), client.bytes,
                                [](const AddressBytes& a, const Range& r) { return a < r.first; });
  if (after == ranges_.begin() || client.bytes > std::prev(after)->last) return nullptr;
  const BlockedClients& block = blocks_[std::prev(after)->block];
  return block.expires_at == 0 || wall_ns / 1'000'000'000 < block.expires_at ? &block : nullptr;
}

// Networks are nested or disjoint. They are walked from the lowest address, outer before inner, with those that are open on a
// stack; each knows the longest-lasting of itself and all around it.
void Switches::index_blocks() {
  struct Open {
    AddressBytes last;
    uint32_t block;  // the longest-lasting
  };
  std::vector<uint32_t> order(blocks_.size());
  for (uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    AddressBytes first = blocks_[a].cidr.first().bytes, other = blocks_[b].cidr.first().bytes;
    return first != other ? first < other : blocks_[a].cidr.bits < blocks_[b].cidr.bits;
  });
  ranges_.clear();
  std::vector<Open> open;
  AddressBytes at{};  // everything below it is done
  auto add = [&](const AddressBytes& first, const AddressBytes& last, uint32_t block) {
    if (!ranges_.empty() && ranges_.back().block == block && next_to(ranges_.back().last, 1) == first) {
      ranges_.back().last = last;
    } else {
      ranges_.push_back({first, last, block});
    }
  };
  bool end = false;  // the highest address of all is done
  auto close_to = [&](const AddressBytes* first) {
    while (!open.empty() && (first == nullptr || open.back().last < *first)) {
      if (!end && at <= open.back().last) {
        add(at, open.back().last, open.back().block);
        at = next_to(open.back().last, 1);
        end = at == AddressBytes{};  // it went over the top
      }
      open.pop_back();
    }
  };
  for (uint32_t i : order) {
    AddressBytes first = blocks_[i].cidr.first().bytes;
    close_to(&first);
    if (!open.empty() && at < first) add(at, next_to(first, -1), open.back().block);
    uint32_t longest = i;
    if (!open.empty() && end_of(blocks_[open.back().block]) > end_of(blocks_[i])) longest = open.back().block;
    open.push_back({blocks_[i].cidr.last().bytes, longest});
    at = first;
  }
  close_to(nullptr);
}

SwitchesBuilder::SwitchesBuilder()
    : entries_({.entries = 3 * Switches::kMaxOfKind, .entry_bytes = kMaxSwitchBytes, .total_bytes = 3 * Switches::kMaxOfKind * kMaxSwitchBytes}),
      switches_(Switches::none()) {}

namespace {

// One entry into the lists of a new Switches. Every problem is an error in `diagnostics`.
class SwitchReader {
 public:
  explicit SwitchReader(DiagnosticList& diagnostics) : diagnostics_(diagnostics) {}

  bool read(const EntryKey& key, const std::string& bytes) {
    label_ = {};
    switch (key.kind) {
      case v1::ENTRY_API_SWITCH: return api(key, bytes);
      case v1::ENTRY_TARGET_SWITCH: return target(key, bytes);
      case v1::ENTRY_BLOCK: return block(key, bytes);
      default: return fail("GW3005", "", "an entry of kind " + std::to_string(key.kind) + " does not belong to the switches");
    }
  }

  std::vector<DisabledApi> apis;
  std::vector<DrainedTarget> drained;
  std::vector<BlockedClients> blocks;

 private:
  bool fail(std::string_view code, std::string_view path, const std::string& what) {
    diagnostics_.error(code, label_, path, what);
    return false;
  }
  bool message(const std::string& text) {
    if (text.size() <= Switches::kMaxMessage && printable(text)) return true;
    return fail("GW3001", "message", "a message has at most " + std::to_string(Switches::kMaxMessage) + " bytes and no control characters");
  }
  bool room(size_t size) {
    if (size < Switches::kMaxOfKind) return true;
    return fail("GW3006", "", "more than " + std::to_string(Switches::kMaxOfKind) + " switches of one kind");
  }

  bool api(const EntryKey& key, const std::string& bytes) {
    v1::ApiSwitchEntry entry;
    if (!parse_entry(key, bytes, entry, label_, diagnostics_) || !message(entry.message()) || !room(apis.size())) return false;
    int status = entry.status() == 0 ? 503 : entry.status();
    if (status < 400 || status > 599) return fail("GW3001", "status", "status " + std::to_string(status) + " is not one of 400 to 599");
    if (entry.retry_after() < 0 || entry.retry_after() > kMaxRetryAfter) return fail("GW3001", "retryAfter", "more than a day, or negative");
    std::string retry = entry.retry_after() > 0 ? std::to_string(entry.retry_after()) : std::string();
    apis.push_back({key.uid, detail_of("the Api is switched off", entry.message()), status, std::move(retry)});
    return true;
  }

  bool target(const EntryKey& key, const std::string& bytes) {
    v1::TargetSwitchEntry entry;
    if (!parse_entry(key, bytes, entry, label_, diagnostics_) || !room(drained.size())) return false;
    drained.push_back({entry.upstream(), entry.target()});
    return true;
  }

  bool block(const EntryKey& key, const std::string& bytes) {
    v1::BlockEntry entry;
    if (!parse_entry(key, bytes, entry, label_, diagnostics_) || !message(entry.message()) || !room(blocks.size())) return false;
    auto cidr = Cidr::parse(entry.cidr());
    if (!cidr) return fail("GW3001", "cidr", "\"" + entry.cidr() + "\" is no address or CIDR");
    blocks.push_back({*cidr, entry.expires_at(), detail_of("the client's address is blocked", entry.message())});
    return true;
  }

  DiagnosticList& diagnostics_;
  ObjectLabel label_;
};

}  // namespace

// A stop is rare and its set is small, so that the whole is made anew each time.
SwitchesBuilder::Result SwitchesBuilder::prepare(const v1::Offer& offer) const {
  Result result;
  StreamState state;
  result.outcome = entries_.prepare(offer, result.delta, state, result.diagnostics);
  if (result.outcome != PrepareOutcome::kReady) return result;
  result.outcome = PrepareOutcome::kRefused;
  SwitchReader reader(result.diagnostics);
  for (const auto& [key, bytes] : entries_.entries()) {
    if (!result.delta.contains(key) && !reader.read(key, *bytes)) return result;
  }
  for (const auto& [key, bytes] : result.delta) {
    if (bytes && !reader.read(key, *bytes)) return result;
  }
  auto next = std::make_shared<Switches>();
  next->state_ = state;
  next->apis_ = std::move(reader.apis);
  next->drained_ = std::move(reader.drained);
  next->blocks_ = std::move(reader.blocks);
  std::sort(next->apis_.begin(), next->apis_.end(), [](const DisabledApi& a, const DisabledApi& b) { return a.uid < b.uid; });
  std::sort(next->drained_.begin(), next->drained_.end());
  next->index_blocks();
  result.outcome = PrepareOutcome::kReady;
  result.switches = std::move(next);
  return result;
}

void SwitchesBuilder::commit(Result result) {
  StreamState state = result.switches->state_;
  switches_ = std::move(result.switches);
  entries_.commit(std::move(result.delta), state);
}

}  // namespace gw
