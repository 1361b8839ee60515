#include "controlplane/admin/switch_board.h"

#include <algorithm>

#include "common/base/status.h"
#include "controlplane/admin/engine.h"
#include "controlplane/snapshot/emit.h"
#include "controlplane/store/versions.h"

namespace gw {
namespace {

EntryKey entry_key(const SwitchRow& row) {
  switch (row.kind) {
    case v1::SWITCH_API: return {v1::ENTRY_API_SWITCH, row.uid};
    case v1::SWITCH_TARGET: return {v1::ENTRY_TARGET_SWITCH, row.uid};
    default: return {v1::ENTRY_BLOCK, row.uid};
  }
}

std::string make_body(const SwitchRow& row) {
  if (row.kind == v1::SWITCH_API) {
    v1::ApiSwitchEntry entry;
    set_name(*entry.mutable_name(), row.name);
    entry.set_message(row.message);
    entry.set_status(row.status);
    entry.set_retry_after(row.retry_after);
    return entry.SerializeAsString();
  }
  if (row.kind == v1::SWITCH_TARGET) {
    v1::TargetSwitchEntry entry;
    set_name(*entry.mutable_name(), row.name);
    entry.set_upstream(row.object);
    entry.set_target(row.target);
    return entry.SerializeAsString();
  }
  v1::BlockEntry entry;
  entry.set_cidr(row.name);
  entry.set_expires_at(row.expires_at);
  entry.set_message(row.message);
  return entry.SerializeAsString();
}

std::string switch_text(const SwitchRow& row) {
  if (row.kind == v1::SWITCH_API) return "Api " + row.name;
  if (row.kind == v1::SWITCH_TARGET) return "Upstream " + row.name + " target " + row.target;
  return "block of " + row.name;
}

EntryPtr entry_of(const SwitchRow& row) { return make_entry(entry_key(row), row.body, switch_text(row)); }

const char* put_action(v1::SwitchKind kind) {
  if (kind == v1::SWITCH_API) return "disable api";
  return kind == v1::SWITCH_TARGET ? "drain target" : "block ip";
}

const char* remove_action(v1::SwitchKind kind) {
  if (kind == v1::SWITCH_API) return "enable api";
  return kind == v1::SWITCH_TARGET ? "undrain target" : "unblock ip";
}

bool same_stop(const SwitchRow& a, const SwitchRow& b) {
  return std::tie(a.object, a.message, a.status, a.retry_after, a.expires_at) ==
         std::tie(b.object, b.message, b.status, b.retry_after, b.expires_at);
}

}  // namespace

absl::Status SwitchBoard::start(Publisher& publisher) {
  std::lock_guard lock(mutex_);
  std::vector<SwitchRow> rows;
  uint64_t version = 0;
  GW_RETURN_IF_ERROR(db_.read([&](Connection& db) -> absl::Status {
    GW_ASSIGN_OR_RETURN(rows, all_switches(db));
    GW_ASSIGN_OR_RETURN(version, latest_switches(db));
    return absl::OkStatus();
  }));
  EntryTable entries;
  for (SwitchRow& row : rows) {
    entries[entry_key(row)] = entry_of(row);
    rows_[key_of(row)] = std::move(row);
  }
  stream_.load(std::move(entries), version);
  stream_.open(publisher);
  return absl::OkStatus();
}

void SwitchBoard::stop() {
  std::lock_guard lock(mutex_);
  stream_.close();
}

// One transaction and one version: what is asked for, and what has run out goes with it.
absl::Status SwitchBoard::commit(const std::vector<SwitchRow>& puts, const std::vector<SwitchRow>& removals, const char* action,
                                 const SwitchRow& about) {
  std::vector<SwitchRow> gone = removals;
  for (const auto& [key, row] : rows_) {
    if (over(row) && key != key_of(about)) gone.push_back(row);
  }
  GW_RETURN_IF_ERROR(db_.write([&](Connection& db) -> absl::Status {
    for (const SwitchRow& row : gone) GW_RETURN_IF_ERROR(delete_switch(db, row));
    for (const SwitchRow& row : puts) GW_RETURN_IF_ERROR(put_switch(db, row));
    GW_RETURN_IF_ERROR(set_switches_version(db, stream_.version() + 1));
    return put_audit(db, clock_.wall_ns() / 1'000'000, about.actor, action, switch_text(about), about.message);
  }));
  std::vector<EntryPtr> upserts;
  std::vector<EntryKey> removed;
  for (const SwitchRow& row : gone) {
    removed.push_back(entry_key(row));
    rows_.erase(key_of(row));
  }
  for (const SwitchRow& row : puts) {
    upserts.push_back(entry_of(row));
    rows_[key_of(row)] = row;
  }
  stream_.advance(std::move(upserts), std::move(removed));
  return absl::OkStatus();
}

absl::StatusOr<SwitchBoard::Change> SwitchBoard::put(SwitchRow row) {
  std::lock_guard lock(mutex_);
  row.since = now_s();
  auto at = rows_.find(key_of(row));
  bool there = at != rows_.end() && !over(at->second);
  if (there && same_stop(at->second, row)) return Change{at->second, false, stream_.version()};
  if (!there) {
    auto kind = std::count_if(rows_.begin(), rows_.end(), [&](const auto& item) { return item.second.kind == row.kind && !over(item.second); });
    if (static_cast<size_t>(kind) >= Switches::kMaxOfKind) {
      return resource_exhausted("at most " + std::to_string(Switches::kMaxOfKind) + " of this kind are stopped at once; take others back first, "
                                "or block wider networks");
    }
  }
  // An Api's switch is found by its uid; the others get one of their own.
  row.uid = row.kind == v1::SWITCH_API ? row.object : at != rows_.end() ? at->second.uid : Engine::draw_uid();
  row.body = make_body(row);
  std::vector<SwitchRow> replaced;
  if (at != rows_.end() && at->second.uid != row.uid) replaced.push_back(at->second);  // of an Api that is gone
  GW_RETURN_IF_ERROR(commit({row}, replaced, put_action(row.kind), row));
  return Change{row, true, stream_.version()};
}

absl::StatusOr<SwitchBoard::Change> SwitchBoard::remove(v1::SwitchKind kind, const std::string& name, const std::string& target,
                                                        const std::string& actor, const std::string& message) {
  std::lock_guard lock(mutex_);
  SwitchRow row;
  row.kind = kind;
  row.name = name;
  row.target = target;
  auto at = rows_.find(key_of(row));
  if (at == rows_.end() || over(at->second)) return Change{row, false, stream_.version()};
  row = at->second;
  SwitchRow about = row;
  about.actor = actor;
  about.message = message;
  GW_RETURN_IF_ERROR(commit({}, {row}, remove_action(kind), about));
  return Change{row, true, stream_.version()};
}

std::vector<SwitchRow> SwitchBoard::all() const {
  std::lock_guard lock(mutex_);
  std::vector<SwitchRow> out;
  for (const auto& [key, row] : rows_) {
    if (!over(row)) out.push_back(row);
  }
  return out;
}

uint64_t SwitchBoard::version() const {
  std::lock_guard lock(mutex_);
  return stream_.version();
}

std::shared_ptr<const Switches> SwitchBoard::view() const {
  std::shared_ptr<const EntryTable> entries;
  {
    std::lock_guard lock(mutex_);
    entries = stream_.entries();
  }
  SwitchesBuilder builder;
  auto built = builder.prepare(whole_offer(v1::STREAM_SWITCHES, *entries, 1));
  return built.switches ? built.switches : Switches::none();
}

v1::SwitchInfo to_info(const SwitchRow& row) {
  v1::SwitchInfo out;
  out.set_kind(row.kind);
  out.set_name(row.name);
  out.set_target(row.target);
  out.set_message(row.message);
  out.set_status(row.status);
  out.set_retry_after(row.retry_after);
  out.set_actor(row.actor);
  out.set_since(row.since);
  out.set_expires_at(row.expires_at);
  return out;
}

}  // namespace gw
