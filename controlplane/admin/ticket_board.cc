#include "controlplane/admin/ticket_board.h"

#include <algorithm>
#include <utility>

#include <spdlog/spdlog.h>

#include "common/base/random.h"
#include "common/base/status.h"
#include "controlplane/admin/engine.h"
#include "controlplane/snapshot/emit.h"

namespace gw {
namespace {

constexpr auto kLookEvery = std::chrono::milliseconds(10'000);
constexpr int64_t kOpensForPeriods = 3;

EntryPtr ticket_entry(const TicketKeyRow& row) {
  v1::TicketKeyEntry entry;
  entry.set_name(row.name);
  entry.set_secret(row.secret);
  entry.set_not_before(row.not_before);
  entry.set_not_after(row.not_after);
  return make_entry({v1::ENTRY_TICKET_KEY, row.uid}, entry.SerializeAsString(), "ticket key");
}

}  // namespace

TicketKeyRow TicketBoard::make_key(int64_t not_before) const {
  TicketKeyRow out;
  out.uid = Engine::draw_uid();
  out.name = secure_random_bytes(16);
  out.secret = secure_random_bytes(64);
  out.not_before = not_before;
  out.not_after = not_before + every_s_ * (1 + kOpensForPeriods);
  return out;
}

absl::Status TicketBoard::start(Publisher& publisher) {
  std::lock_guard lock(mutex_);
  uint64_t version = 0;
  GW_RETURN_IF_ERROR(db_.read([&](Connection& db) -> absl::Status {
    GW_ASSIGN_OR_RETURN(keys_, all_ticket_keys(db, key_));
    GW_ASSIGN_OR_RETURN(version, latest_tickets(db));
    return absl::OkStatus();
  }));
  EntryTable entries;
  for (const TicketKeyRow& row : keys_) entries[{v1::ENTRY_TICKET_KEY, row.uid}] = ticket_entry(row);
  stream_.load(std::move(entries), version);
  GW_RETURN_IF_ERROR(turn_locked());
  stream_.open(publisher);
  thread_ = std::thread([this] { run(); });
  return absl::OkStatus();
}

void TicketBoard::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    stream_.close();
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void TicketBoard::run() {
  std::unique_lock lock(mutex_);
  // Often enough that what is made ahead is there in time.
  auto every = std::min(kLookEvery, std::chrono::milliseconds(ahead_s() * 250));
  while (!wake_.wait_for(lock, every, [&] { return stopping_; })) {
    if (absl::Status status = turn_locked(); !status.ok()) {
      spdlog::error("a ticket key could not be made, which is tried again: {}", message_of(status));
    }
  }
}

absl::Status TicketBoard::turn() {
  std::lock_guard lock(mutex_);
  return turn_locked();
}

absl::Status TicketBoard::turn_locked() {
  int64_t now = now_s();
  std::vector<TicketKeyRow> kept, gone, made;
  for (const TicketKeyRow& row : keys_) (row.not_after <= now ? gone : kept).push_back(row);
  bool any = std::any_of(kept.begin(), kept.end(), [&](const TicketKeyRow& row) { return row.not_before <= now; });
  if (!any) {
    made.push_back(make_key(now));
  } else if (int64_t due = kept.back().not_before + every_s_; now >= due - ahead_s()) {
    made.push_back(make_key(std::max(due, now + ahead_s())));
  }
  if (gone.empty() && made.empty()) return absl::OkStatus();
  GW_RETURN_IF_ERROR(db_.write([&](Connection& db) -> absl::Status {
    for (const TicketKeyRow& row : gone) GW_RETURN_IF_ERROR(delete_ticket_key(db, row.uid));
    for (const TicketKeyRow& row : made) GW_RETURN_IF_ERROR(insert_ticket_key(db, key_, row));
    return set_tickets_version(db, stream_.version() + 1);
  }));
  std::vector<EntryPtr> upserts;
  std::vector<EntryKey> removals;
  for (const TicketKeyRow& row : made) upserts.push_back(ticket_entry(row));
  for (const TicketKeyRow& row : gone) removals.push_back({v1::ENTRY_TICKET_KEY, row.uid});
  kept.insert(kept.end(), made.begin(), made.end());
  std::sort(kept.begin(), kept.end(), [](const TicketKeyRow& a, const TicketKeyRow& b) { return a.not_before < b.not_before; });
  keys_ = std::move(kept);
  stream_.advance(std::move(upserts), std::move(removals));
  return absl::OkStatus();
}

std::vector<TicketKeyRow> TicketBoard::keys() const {
  std::lock_guard lock(mutex_);
  return keys_;
}

uint64_t TicketBoard::version() const {
  std::lock_guard lock(mutex_);
  return stream_.version();
}

}  // namespace gw
