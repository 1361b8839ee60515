#include "controlplane/admin/endpoint_board.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "common/base/status.h"
#include "controlplane/admin/engine.h"
#include "controlplane/snapshot/emit.h"
#include "controlplane/store/versions.h"
#include "dataplane/snapshot/endpoints.h"

namespace gw {
namespace {

EntryKey endpoint_key(const EndpointRow& row) { return {v1::ENTRY_ENDPOINT, row.uid}; }

std::string endpoint_body(const EndpointRow& row) {
  v1::EndpointEntry entry;
  set_name(*entry.mutable_name(), row.name);
  entry.set_upstream(row.upstream);
  v1::Target& target = *entry.mutable_target();
  target.set_url("http://" + row.address);
  if (row.weight != 1) target.set_weight(row.weight);
  target.set_zone(row.zone);
  if (row.priority != 0) target.set_priority(row.priority);
  entry.set_expires_at(row.expires_at);
  return entry.SerializeAsString();
}

EntryPtr endpoint_entry(const EndpointRow& row) {
  return make_entry(endpoint_key(row), row.body, "Upstream " + row.name + " endpoint " + row.address);
}

bool same_endpoint(const EndpointRow& a, const EndpointRow& b) {
  return std::tie(a.weight, a.zone, a.priority, a.expires_at) == std::tie(b.weight, b.zone, b.priority, b.expires_at);
}

const char* action_of(v1::EndpointChange kind) {
  if (kind == v1::ENDPOINT_ADD) return "add endpoints";
  return kind == v1::ENDPOINT_REMOVE ? "remove endpoints" : "set endpoints";
}

}  // namespace

absl::Status EndpointBoard::start(Publisher& publisher, const Exists& exists) {
  {
    std::lock_guard lock(mutex_);
    std::vector<EndpointRow> rows;
    uint64_t version = 0;
    GW_RETURN_IF_ERROR(db_.read([&](Connection& db) -> absl::Status {
      GW_ASSIGN_OR_RETURN(rows, all_endpoints(db));
      GW_ASSIGN_OR_RETURN(version, latest_endpoints(db));
      return absl::OkStatus();
    }));
    EntryTable entries;
    for (EndpointRow& row : rows) {
      entries[endpoint_key(row)] = endpoint_entry(row);
      rows_[key_of(row)] = std::move(row);
    }
    stream_.load(std::move(entries), version);
  }
  GW_RETURN_IF_ERROR(forget_gone(exists));
  std::lock_guard lock(mutex_);
  stream_.open(publisher);
  return absl::OkStatus();
}

void EndpointBoard::stop() {
  std::lock_guard lock(mutex_);
  stream_.close();
}

absl::Status EndpointBoard::check_room(const Change& change, const Step& step) const {
  std::set<Key> after;
  for (const auto& [key, row] : rows_) after.insert(key);
  for (const EndpointRow& row : step.gone) after.erase(key_of(row));
  for (const auto& [key, row] : step.puts) after.insert(key);
  auto own = std::count_if(after.begin(), after.end(), [&](const Key& key) { return key.first == change.upstream; });
  if (static_cast<size_t>(own) > change.max) {
    return resource_exhausted("Upstream " + change.name + " takes at most " + std::to_string(change.max) +
                              " endpoints (spec.discovery.endpoints.max)");
  }
  if (after.size() > Endpoints::kMax) return resource_exhausted("there are at most " + std::to_string(Endpoints::kMax) + " endpoints in all");
  return absl::OkStatus();
}

absl::StatusOr<EndpointBoard::Outcome> EndpointBoard::change(const Change& change) {
  std::lock_guard lock(mutex_);
  Step step;
  Outcome out;
  std::set<Key> named;
  std::string addresses;
  for (const EndpointRow& wanted : change.targets) {
    EndpointRow row = wanted;
    row.upstream = change.upstream;
    row.name = change.name;
    row.actor = change.actor;
    row.since = now_s();
    if (!named.insert(key_of(row)).second) return invalid_argument(row.address + " is named twice");
    if (addresses.size() < 500) addresses += (addresses.empty() ? "" : ", ") + row.address;
    auto at = rows_.find(key_of(row));
    bool there = at != rows_.end() && !over(at->second);
    if (change.kind == v1::ENDPOINT_REMOVE) {
      if (!there) return not_found("Upstream " + change.name + " has no endpoint " + row.address);
      step.gone.push_back(at->second);
      ++out.removed;
      continue;
    }
    if (there && same_endpoint(at->second, row)) continue;
    row.uid = at != rows_.end() ? at->second.uid : Engine::draw_uid();
    row.body = endpoint_body(row);
    ++(there ? out.changed : out.added);
    step.puts[key_of(row)] = std::move(row);
  }
  for (const auto& [key, row] : rows_) {
    bool replaced = change.kind == v1::ENDPOINT_SET && key.first == change.upstream && !named.contains(key);
    if (replaced && !over(row)) ++out.removed;
    if (replaced || (over(row) && !named.contains(key))) step.gone.push_back(row);
  }
  GW_RETURN_IF_ERROR(check_room(change, step));
  if (out.added + out.changed + out.removed > 0) {
    GW_RETURN_IF_ERROR(commit(std::move(step), change.actor, action_of(change.kind),
                              "Upstream " + change.name + (addresses.empty() ? "" : " " + addresses), change.message));
  }
  out.version = stream_.version();
  return out;
}

absl::Status EndpointBoard::forget_gone(const Exists& exists) {
  std::lock_guard lock(mutex_);
  Step step;
  std::set<std::string> names;
  for (const auto& [key, row] : rows_) {
    if (exists(key.first)) continue;
    step.gone.push_back(row);
    names.insert(row.name);
  }
  if (step.gone.empty()) return absl::OkStatus();
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "Upstream " : ", ") + name;
  return commit(std::move(step), "northgate", "remove endpoints", text, "the Upstream is gone");
}

// One transaction and one version.
absl::Status EndpointBoard::commit(Step step, const std::string& actor, const std::string& action, const std::string& object,
                                   const std::string& message) {
  GW_RETURN_IF_ERROR(db_.write([&](Connection& db) -> absl::Status {
    for (const EndpointRow& row : step.gone) GW_RETURN_IF_ERROR(delete_endpoint(db, row));
    for (const auto& [key, row] : step.puts) GW_RETURN_IF_ERROR(put_endpoint(db, row));
    GW_RETURN_IF_ERROR(set_endpoints_version(db, stream_.version() + 1));
    return put_audit(db, clock_.wall_ns() / 1'000'000, actor, action, object, message);
  }));
  std::vector<EntryPtr> upserts;
  std::vector<EntryKey> removed;
  for (const EndpointRow& row : step.gone) {
    removed.push_back(endpoint_key(row));
    rows_.erase(key_of(row));
  }
  for (auto& [key, row] : step.puts) {
    upserts.push_back(endpoint_entry(row));
    rows_[key] = std::move(row);
  }
  stream_.advance(std::move(upserts), std::move(removed));
  return absl::OkStatus();
}

std::vector<EndpointRow> EndpointBoard::all(uint64_t upstream) const {
  std::lock_guard lock(mutex_);
  std::vector<EndpointRow> out;
  for (const auto& [key, row] : rows_) {
    if (!over(row) && (upstream == 0 || key.first == upstream)) out.push_back(row);
  }
  return out;
}

uint64_t EndpointBoard::version() const {
  std::lock_guard lock(mutex_);
  return stream_.version();
}

v1::EndpointInfo to_info(const EndpointRow& row) {
  v1::EndpointInfo out;
  out.set_upstream(row.name);
  out.set_address(row.address);
  out.set_weight(row.weight);
  out.set_zone(row.zone);
  out.set_priority(row.priority);
  out.set_actor(row.actor);
  out.set_since(row.since);
  out.set_expires_at(row.expires_at);
  return out;
}

}  // namespace gw
