#include "controlplane/admin/node_side.h"

#include <algorithm>
#include <set>

#include <spdlog/spdlog.h>

#include "common/base/status.h"
#include "controlplane/store/tokens.h"
#include "controlplane/store/usage.h"

namespace gw {
namespace {

bool is_node_name(std::string_view name) {
  return !name.empty() && name.size() <= 63 && std::all_of(name.begin(), name.end(), [](unsigned char ch) {
    return isalnum(ch) || ch == '-' || ch == '.' || ch == '_';
  });
}

}  // namespace

absl::StatusOr<std::string> StoreNodeTokens::join(std::string_view join_token, std::string_view node) {
  if (!is_node_name(node)) return invalid_argument("a node's name has 1 to 63 letters, digits, `-`, `.` or `_`");
  TokenRow row;
  row.name = std::string(node);
  row.role = "node";
  row.created_at = engine_.now_s();
  NewToken made = make_token(std::move(row));
  GW_RETURN_IF_ERROR(engine_.db().write([&](Connection& db) -> absl::Status {
    GW_ASSIGN_OR_RETURN(TokenRow join, check_token(db, join_token, engine_.now_s()));
    if (join.role != "join") return unauthenticated("a token of role " + join.role + " does not let nodes join");
    GW_RETURN_IF_ERROR(drop_node_tokens(db, node));
    GW_RETURN_IF_ERROR(insert_token(db, made.row));
    return put_audit(db, engine_.now_ms(), join.name, "join", node, "by join token " + join.id);
  }));
  return made.text;
}

absl::StatusOr<std::string> StoreNodeTokens::node_of(std::string_view node_token) {
  TokenRow row;
  GW_RETURN_IF_ERROR(engine_.db().read([&](Connection& db) -> absl::Status {
    GW_ASSIGN_OR_RETURN(row, check_token(db, node_token, engine_.now_s()));
    return absl::OkStatus();
  }));
  if (row.role != "node") return unauthenticated("a token of role " + row.role + " is not a node's");
  return row.name;
}

std::vector<std::string> StoreNodeTokens::known_nodes() {
  std::vector<std::string> out;
  absl::Status status = engine_.db().read([&](Connection& db) -> absl::Status {
    GW_ASSIGN_OR_RETURN(out, node_names(db));
    return absl::OkStatus();
  });
  if (!status.ok()) spdlog::error("the known nodes cannot be read: {}", message_of(status));
  return out;
}

void StoreRolloutLog::start() {
  thread_ = std::thread([this] { run(); });
}

void StoreRolloutLog::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void StoreRolloutLog::node_state(NodeStateRecord record) {
  std::lock_guard lock(mutex_);
  std::pair<uint64_t, std::string> key{record.version, record.node};
  if (waiting_.first.size() >= kWaitingMax && !waiting_.first.contains(key)) {
    ++dropped_;
    return;
  }
  NodeStateRecord& at = waiting_.first[key];
  if (record.build_micros == 0) record.build_micros = at.build_micros;
  at = std::move(record);
  wake_.notify_all();
}

void StoreRolloutLog::phase(uint64_t version, std::string phase) {
  std::lock_guard lock(mutex_);
  waiting_.second[version] = std::move(phase);
  wake_.notify_all();
}

void StoreRolloutLog::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [&] { return stopping_ || !waiting_.first.empty() || !waiting_.second.empty(); });
    if (waiting_.first.empty() && waiting_.second.empty()) return;
    Batch batch = std::move(waiting_);
    waiting_ = {};
    uint64_t dropped = std::exchange(dropped_, 0);
    bool last = stopping_;
    lock.unlock();
    if (dropped > 0) spdlog::warn("{} states of nodes were not kept: the database is too slow for them", dropped);
    absl::Status status = write(batch);
    if (!status.ok()) spdlog::error("states of a rollout could not be stored: {}", message_of(status));
    lock.lock();
    if (status.ok()) continue;
    if (last) return;
    put_back(std::move(batch));
    wake_.wait_for(lock, std::chrono::seconds(1), [&] { return stopping_; });
  }
}

void StoreRolloutLog::put_back(Batch batch) {
  // What came meanwhile is newer.
  waiting_.first.merge(batch.first);
  waiting_.second.merge(batch.second);
}

absl::Status StoreRolloutLog::write(const Batch& batch) {
  return db_.write([&](Connection& db) -> absl::Status {
    uint64_t newest = 0;
    for (const auto& [key, record] : batch.first) {
      GW_RETURN_IF_ERROR(put_node_state(db, record));
      newest = std::max(newest, record.version);
    }
    for (const auto& [version, phase] : batch.second) GW_RETURN_IF_ERROR(set_phase(db, version, phase));
    return newest > kVersionsKept ? trim_node_states(db, newest - kVersionsKept) : absl::OkStatus();
  });
}

absl::StatusOr<uint64_t> StoreUsageSink::apply_usage(std::string_view node, const v1::UsageBatch& batch) {
  struct Name {
    std::string kind, name;
  };
  std::map<uint64_t, Name> names;
  std::set<uint64_t> subscriptions;
  engine_.read([&](const Catalog& now) {
    auto note = [&](uint64_t uid) {
      const v1::Object* object = uid == 0 || names.contains(uid) ? nullptr : now.find_uid(uid);
      if (object) names[uid] = {std::string(kind_name(object->spec_case())), key_of(*object).full_name()};
    };
    for (const v1::UsageCell& cell : batch.cells()) {
      for (uint64_t uid : {cell.subscription(), cell.app(), cell.plan(), cell.api(), cell.route()}) note(uid);
      if (cell.subscription() != 0) subscriptions.insert(cell.subscription());
    }
  });
  UsageApplied done;
  GW_RETURN_IF_ERROR(engine_.db().write([&](Connection& db) -> absl::Status {
    GW_ASSIGN_OR_RETURN(done, apply_usage_batch(db, node, batch, engine_.now_ms()));
    if (!done.fresh) return absl::OkStatus();
    for (const auto& [uid, name] : names) GW_RETURN_IF_ERROR(put_usage_name(db, uid, name.kind, name.name));
    return absl::OkStatus();
  }));
  if (done.missing > 0 && done.fresh) {
    spdlog::warn("usage of node {}: {} batches before {} were acknowledged by a database that is not here any more", node,
                 done.missing, batch.sequence());
  }
  if (done.fresh) quotas_.used(subscriptions);
  return done.sequence;
}

}  // namespace gw
