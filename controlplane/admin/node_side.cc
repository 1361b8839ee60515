#include "controlplane/admin/node_side.h"

#include <algorithm>
#include <set>

#include <spdlog/spdlog.h>

#include "common/base/status.h"
#include "common/crypto/certificates.h"
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

// Once a second at most: who asks again and again fills no disk.
void StoreNodeTokens::say_refused(const std::string& who, const absl::Status& why) {
  {
    std::lock_guard lock(mutex_);
    int64_t now = engine_.now_s();
    if (now == refused_said_s_) return;
    refused_said_s_ = now;
  }
  spdlog::warn("{} is not let in: {}", who, message_of(why));
}

absl::StatusOr<NodeGrant> StoreNodeTokens::join(std::string_view join_token, std::string_view node, std::string_view signing_request) {
  if (!is_node_name(node)) return invalid_argument("a node's name has 1 to 63 letters, digits, `-`, `.` or `_`");
  auto grant = try_join(join_token, std::string(node), signing_request);
  if (!grant.ok()) say_refused("node " + std::string(node) + ", which wants to join,", grant.status());
  return grant;
}

absl::StatusOr<NodeGrant> StoreNodeTokens::try_join(std::string_view join_token, const std::string& node, std::string_view signing_request) {
  if (certificates_ && signing_request.empty()) {
    return invalid_argument("this control plane lets nodes in with certificates, and no signing request came; is the node older than it?");
  }
  NodeGrant out;
  Authority::Issued issued;
  if (!signing_request.empty()) {
    GW_ASSIGN_OR_RETURN(issued, authority_.issue_node(node, signing_request));
    out.certificate = issued.certificate;
    out.ca = authority_.ca();
  }
  TokenRow row;
  row.name = node;
  row.role = "node";
  row.created_at = engine_.now_s();
  NewToken made = make_token(std::move(row));
  GW_RETURN_IF_ERROR(engine_.db().write([&](Connection& db) -> absl::Status {
    GW_ASSIGN_OR_RETURN(TokenRow join, check_token(db, join_token, engine_.now_s()));
    if (join.role != "join") return unauthenticated("a token of role " + join.role + " does not let nodes join");
    GW_ASSIGN_OR_RETURN(bool refused, join_is_refused(db, node, join.id));
    if (refused) {
      return unauthenticated("node " + node + " was revoked after join token " + join.id +
                             " was made; it joins again with a newer one: gwctl node join-token");
    }
    GW_RETURN_IF_ERROR(prune_refused_joins(db, engine_.now_s()));
    GW_RETURN_IF_ERROR(drop_node_tokens(db, node));
    GW_RETURN_IF_ERROR(insert_token(db, made.row));
    if (!out.certificate.empty()) GW_RETURN_IF_ERROR(store_certificate(db, issued.row));
    return put_audit(db, engine_.now_ms(), join.name, "join", node, "by join token " + join.id);
  }));
  spdlog::info("node {} has joined{}", node, out.certificate.empty() ? "" : "; its certificate is " + issued.row.serial);
  out.token = made.text;
  return out;
}

absl::Status StoreNodeTokens::store_certificate(Connection& db, const NodeCertificateRow& row) const {
  GW_RETURN_IF_ERROR(prune_node_certificates(db, engine_.now_s() - kEndedKeptS));
  return insert_node_certificate(db, row);
}

absl::StatusOr<NodeGrant> StoreNodeTokens::renew(const NodeCredentials& credentials, std::string_view signing_request) {
  GW_ASSIGN_OR_RETURN(NodeIdentity from, node_of(credentials));
  GW_ASSIGN_OR_RETURN(Authority::Issued issued, authority_.issue_node(from.node, signing_request));
  // The token is looked at again: a node that is being revoked gets nothing that outlives it.
  GW_RETURN_IF_ERROR(engine_.db().write([&](Connection& db) -> absl::Status {
    GW_RETURN_IF_ERROR(check_token(db, credentials.token, engine_.now_s()).status());
    return store_certificate(db, issued.row);
  }));
  spdlog::info("node {} has renewed its certificate, which is {} now", from.node, issued.row.serial);
  return NodeGrant{"", std::move(issued.certificate), authority_.ca()};
}

absl::StatusOr<NodeIdentity> StoreNodeTokens::node_of(const NodeCredentials& credentials) {
  auto out = check(credentials);
  if (!out.ok()) say_refused("a node", out.status());
  return out;
}

absl::StatusOr<NodeIdentity> StoreNodeTokens::check(const NodeCredentials& credentials) {
  NodeIdentity out;
  GW_RETURN_IF_ERROR(engine_.db().read([&](Connection& db) -> absl::Status {
    GW_ASSIGN_OR_RETURN(TokenRow row, check_token(db, credentials.token, engine_.now_s()));
    if (row.role != "node") return unauthenticated("a token of role " + row.role + " is not a node's");
    out.node = row.name;
    return certificates_ ? check_certificate(db, credentials.certificate, out) : absl::OkStatus();
  }));
  return out;
}

// TLS has checked already that it is of our CA and in force.
absl::Status StoreNodeTokens::check_certificate(Connection& db, const std::string& certificate, NodeIdentity& out) const {
  if (certificate.empty()) return unauthenticated("node " + out.node + " shows no certificate; it gets one when it joins with a join token");
  GW_ASSIGN_OR_RETURN(KeyPairFacts chain, parse_chain(certificate));
  const CertificateFacts& leaf = chain.leaf();
  if (leaf.uri != std::vector<std::string>{Authority::uri_of(out.node)}) {
    return permission_denied("the certificate " + leaf.serial + " is that of " + leaf.subject + ", the token that of node " + out.node);
  }
  GW_ASSIGN_OR_RETURN(std::optional<NodeCertificateRow> row, find_node_certificate(db, leaf.serial));
  if (row && row->revoked_at != 0) return unauthenticated("the certificate " + leaf.serial + " of node " + out.node + " was revoked");
  if (leaf.not_after <= engine_.now_s()) return unauthenticated("the certificate " + leaf.serial + " of node " + out.node + " has ended");
  out.serial = leaf.serial;
  out.certificate_ends = leaf.not_after;
  return absl::OkStatus();
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
