#include "controlplane/admin/engine.h"

#include <algorithm>

#include "common/base/random.h"
#include "common/base/status.h"
#include "common/crypto/digest_sum.h"
#include "controlplane/snapshot/emit.h"

namespace gw {
namespace {

// The entry of a key that is in force.
EntryPtr key_entry(const KeyRow& key) {
  v1::KeyEntry e;
  e.set_app(key.app);
  e.set_sha256(key.sha256);
  if (!key.imported) e.set_key_id(key.key_id);
  e.set_live(key.live);
  e.set_expires_at(key.expires_at);
  return make_entry({v1::ENTRY_KEY, key.uid}, e.SerializeAsString(), "key " + key.key_id);
}

Digest changed_digest(Digest digest, const EntryTable& before, const EntryDelta& delta) {
  auto drop = [&](const EntryKey& key) {
    if (auto at = before.find(key); at != before.end()) subtract(digest, at->second->hash);
  };
  for (const EntryPtr& entry : delta.upserts) {
    drop(entry->key);
    add(digest, entry->hash);
  }
  for (const EntryKey& key : delta.removals) drop(key);
  return digest;
}

}  // namespace

absl::Status refusal_of(const DiagnosticList& found) {
  bool limits = std::all_of(found.items().begin(), found.items().end(), [](const Diagnostic& d) {
    return d.severity() != Diagnostic::ERROR || d.code().starts_with("GW16");
  });
  return to_status(found, limits ? absl::StatusCode::kResourceExhausted : absl::StatusCode::kInvalidArgument);
}

uint64_t Engine::draw_uid() {
  uint64_t uid = 0;
  while (uid == 0) secure_random(&uid, sizeof uid);
  return uid;
}

CompileOptions Engine::compile_options() const {
  CompileOptions out;
  out.now_ms = now_ms();
  out.admin = options_.own_addresses;
  if (!options_.nodes) return out;
  for (const v1::NodeInfo& node : options_.nodes->nodes()) {
    size_t colon = node.admin().rfind(':');
    if (colon == std::string::npos) continue;
    std::string host = node.admin().substr(0, colon);
    if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
    out.admin.push_back({host, std::atoi(node.admin().c_str() + colon + 1)});
  }
  return out;
}

CompileOptions Engine::options_now() const {
  std::lock_guard lock(mutex_);
  return compile_options();
}

absl::StatusOr<Committed> Engine::commit(const Build& build) {
  std::lock_guard lock(mutex_);
  Pending p;
  GW_RETURN_IF_ERROR(build(compiler_.catalog(), p.change));
  p.compiled = compiler_.apply(p.change.objects, compile_options());
  if (p.compiled.diagnostics.has_errors()) return refusal_of(p.compiled.diagnostics);
  absl::Status status = prepare(p);
  bool writes = status.ok() && !p.change.dry_run;
  if (writes) status = options_.db->write([&](Connection& db) { return write(db, p); });
  if (!writes || !status.ok()) {
    compiler_.rollback();
    if (!status.ok()) return status;
  } else {
    compiler_.keep();
    take_over(p);
    publish(p);
    if (after_commit_) after_commit_();
  }
  Committed out;
  out.diagnostics.append(p.compiled.diagnostics);
  out.diagnostics.append(p.notes);
  if (writes && p.makes_version) out.version = p.row.number;
  if (writes && p.makes_directory) out.directory_version = p.directory_number;
  if (writes && p.makes_certificates) out.certificates_version = p.certificates_number;
  return out;
}

absl::Status Engine::prepare(Pending& p) {
  GW_RETURN_IF_ERROR(work_out_keys(p));
  const auto& objects = p.change.objects;
  // A record that comes or goes can change what a name in the configuration means.
  p.makes_version = !p.compiled.config.empty() ||
                    std::any_of(objects.begin(), objects.end(), [](const ObjectChange& c) { return !is_record(c.key.kind); });
  p.makes_directory = !p.directory.empty();
  auto config = std::make_shared<EntryTable>();
  p.config_table = config_;
  if (!p.compiled.config.empty()) {
    *config = *config_;
    apply_delta(*config, p.compiled.config);
    p.config_table = config;
  }
  p.directory_table = directory_;
  if (p.makes_directory) {
    auto directory = std::make_shared<EntryTable>(*directory_);
    apply_delta(*directory, p.directory);
    p.directory_table = directory;
  }
  work_out_certificates(p);
  p.directory_number = directory_version_ + (p.makes_directory ? 1 : 0);
  p.directory_digest = changed_digest(directory_digest_, *directory_, p.directory);
  p.row.number = version_ + 1;
  p.row.lineage = options_.db->lineage();
  p.row.digest = changed_digest(digest_, *config_, p.compiled.config);
  p.row.actor = p.change.actor;
  p.row.message = p.change.message;
  p.row.set = p.change.set;
  p.row.created_at_ms = now_ms();
  p.row.phase = "offered";
  p.row.undoes = p.change.undoes;
  p.row.needs_directory = p.directory_number;
  p.row.needs_certificates = p.needs->empty() ? 0 : *p.needs == *needs_ ? needs_certificates_ : p.certificates_number;
  GW_RETURN_IF_ERROR(check_nodes(p));
  return load_dry(p);
}

// Keys follow their App: whoever deletes it revokes them.
absl::Status Engine::work_out_keys(Pending& p) {
  p.directory = p.compiled.directory;
  for (const ObjectChange& change : p.change.objects) {
    if (change.key.kind != v1::Object::kApp || change.after) continue;
    for (const EntryKey& gone : p.compiled.directory.removals) {
      if (gone.kind != v1::ENTRY_APP) continue;
      GW_RETURN_IF_ERROR(options_.db->read([&](Connection& db) -> absl::Status {
        GW_ASSIGN_OR_RETURN(std::vector<KeyRow> keys, keys_of(db, gone.uid));
        for (KeyRow& key : keys) {
          bool known = std::any_of(p.change.revoked_keys.begin(), p.change.revoked_keys.end(),
                                   [&](const KeyRow& k) { return k.uid == key.uid; });
          if (key.revoked_at == 0 && !known) p.change.revoked_keys.push_back(std::move(key));
        }
        return absl::OkStatus();
      }));
    }
  }
  for (const KeyRow& key : p.change.new_keys) p.directory.upserts.push_back(key_entry(key));
  for (const KeyRow& key : p.change.changed_keys) p.directory.upserts.push_back(key_entry(key));
  for (const KeyRow& key : p.change.revoked_keys) p.directory.removals.push_back({v1::ENTRY_KEY, key.uid});
  return absl::OkStatus();
}

// Their entries, and who needs them: a change of either makes a version of the certificates.
void Engine::work_out_certificates(Pending& p) const {
  const EntryDelta& delta = p.compiled.certificates;
  p.needs = needs_;
  bool any = !certificates_->empty() || !delta.upserts.empty();
  if (any && !p.compiled.config.empty()) p.needs = std::make_shared<const CertificateNeeds>(certificate_needs(*p.config_table));
  p.makes_certificates = !delta.empty() || *p.needs != *needs_;
  p.certificates_table = certificates_;
  if (!delta.empty()) {
    auto table = std::make_shared<EntryTable>(*certificates_);
    apply_delta(*table, delta);
    p.certificates_table = table;
  }
  p.certificates_number = certificates_version_ + (p.makes_certificates ? 1 : 0);
  p.certificates_digest = changed_digest(certificates_digest_, *certificates_, delta);
}

absl::Status Engine::check_nodes(const Pending& p) const {
  if (!options_.nodes || p.compiled.config.empty()) return absl::OkStatus();
  DiagnosticList found;
  for (const LackingNode& lacking : options_.nodes->lacking(*p.config_table)) {
    size_t space = lacking.object.find(' ');
    ObjectLabel label{lacking.object.substr(0, space), space == std::string::npos ? "" : lacking.object.substr(space + 1)};
    Diagnostic& d = found.error("GW4008", label, "", "node " + lacking.node + " does not understand " + lacking.capability);
    d.set_node(lacking.node);
    d.set_cure("update the node's program, or take it out of the Gateway's labels");
  }
  return found.has_errors() ? to_status(found, absl::StatusCode::kFailedPrecondition) : absl::OkStatus();
}

absl::Status Engine::load_dry(Pending& p) {
  if (!p.compiled.config.empty()) {
    const StreamState& base = dry_config_.state();
    StreamState result{p.row.lineage, base.version + 1, p.row.digest};
    bool delta = base.digest == digest_ && base.version > 0 && base.lineage == p.row.lineage;
    p.snapshot = dry_config_.prepare(
        offer_of(v1::STREAM_CONFIG, delta ? &base : nullptr, *p.config_table, p.compiled.config, result));
    if (p.snapshot.outcome == PrepareOutcome::kMismatch) return internal_error("the dry load's digest does not match");
    if (p.snapshot.outcome != PrepareOutcome::kReady) return refusal_of(p.snapshot.diagnostics);
    p.notes.append(p.snapshot.diagnostics);
  }
  if (p.makes_directory) {
    const StreamState& base = dry_directory_.state();
    StreamState result{p.row.lineage, base.version + 1, p.directory_digest};
    bool delta = base.digest == directory_digest_ && base.version > 0 && base.lineage == p.row.lineage;
    p.directory_load = dry_directory_.prepare(
        offer_of(v1::STREAM_DIRECTORY, delta ? &base : nullptr, *p.directory_table, p.directory, result));
    if (p.directory_load.outcome == PrepareOutcome::kMismatch) return internal_error("the directory's digest does not match");
    if (p.directory_load.outcome != PrepareOutcome::kReady) return refusal_of(p.directory_load.diagnostics);
  }
  if (p.makes_certificates) {
    const StreamState& base = dry_certificates_.state();
    StreamState result{p.row.lineage, base.version + 1, p.certificates_digest};
    bool delta = base.digest == certificates_digest_ && base.version > 0 && base.lineage == p.row.lineage;
    p.certificates_load = dry_certificates_.prepare(
        offer_of(v1::STREAM_CERTIFICATES, delta ? &base : nullptr, *p.certificates_table, p.compiled.certificates, result));
    if (p.certificates_load.outcome == PrepareOutcome::kMismatch) return internal_error("the certificates' digest does not match");
    if (p.certificates_load.outcome != PrepareOutcome::kReady) return refusal_of(p.certificates_load.diagnostics);
  }
  return absl::OkStatus();
}

void Engine::take_over(Pending& p) {
  config_ = p.config_table;
  digest_ = p.row.digest;
  directory_ = p.directory_table;
  directory_digest_ = p.directory_digest;
  directory_version_ = p.directory_number;
  if (p.makes_version) version_ = p.row.number;
  certificates_ = p.certificates_table;
  certificates_digest_ = p.certificates_digest;
  certificates_version_ = p.certificates_number;
  needs_ = p.needs;
  needs_certificates_ = p.row.needs_certificates;
  for (const EntryPtr& entry : p.compiled.certificates.upserts) certificates_changed_[entry->key] = p.certificates_number;
  for (const EntryKey& key : p.compiled.certificates.removals) certificates_changed_.erase(key);
  if (p.snapshot.outcome == PrepareOutcome::kReady) dry_config_.commit(std::move(p.snapshot));
  if (p.directory_load.outcome == PrepareOutcome::kReady) dry_directory_.commit(std::move(p.directory_load));
  if (p.certificates_load.outcome == PrepareOutcome::kReady) dry_certificates_.commit(std::move(p.certificates_load));
}

Publication Engine::config_publication(const VersionRow& row, const std::shared_ptr<const EntryTable>& table,
                                       std::shared_ptr<const CertificateNeeds> needs) const {
  Publication out;
  out.stream = v1::STREAM_CONFIG;
  out.lineage = options_.db->lineage();
  out.version = row.number;
  out.previous = published_;
  out.entries = table;
  out.needs_directory = row.needs_directory;
  out.needs_certificates = row.needs_certificates;
  out.needs = std::move(needs);
  return out;
}

void Engine::publish(const Pending& p) {
  if (!publisher_) return;
  if (p.makes_directory) {
    Publication out;
    out.stream = v1::STREAM_DIRECTORY;
    out.lineage = p.row.lineage;
    out.version = p.directory_number;
    out.previous = published_directory_;
    out.entries = p.directory_table;
    out.upserts = p.directory.upserts;
    out.removals = p.directory.removals;
    published_directory_ = p.directory_number;
    publisher_->publish(std::move(out));
  }
  if (p.makes_certificates) {
    Publication out;
    out.stream = v1::STREAM_CERTIFICATES;
    out.lineage = p.row.lineage;
    out.version = p.certificates_number;
    out.previous = published_certificates_;
    out.entries = p.certificates_table;
    out.upserts = p.compiled.certificates.upserts;
    out.removals = p.compiled.certificates.removals;
    out.needs = p.needs;
    published_certificates_ = p.certificates_number;
    publisher_->publish(std::move(out));
  }
  if (!p.makes_version) return;
  Publication out = config_publication(p.row, p.config_table, p.needs);
  // After a restart the version before may not have been published, if nodes had refused it.
  EntryDelta delta = published_ + 1 == p.row.number ? p.compiled.config : difference(*published_table_, *p.config_table);
  out.upserts = std::move(delta.upserts);
  out.removals = std::move(delta.removals);
  published_ = p.row.number;
  published_table_ = p.config_table;
  publisher_->publish(std::move(out));
}

}  // namespace gw
