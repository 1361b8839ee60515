// The engine's state: read at the start, written with each change, shown to readers.
#include <algorithm>

#include <spdlog/spdlog.h>

#include "common/base/status.h"
#include "common/crypto/digest_sum.h"
#include "controlplane/admin/engine.h"
#include "controlplane/snapshot/emit.h"
#include "controlplane/store/secrets.h"

namespace gw {
namespace {

void fill(v1::Offer& offer, const std::vector<EntryPtr>& upserts) {
  for (const EntryPtr& entry : upserts) {
    v1::Entry& e = *offer.add_upserts();
    e.set_kind(entry->key.kind);
    e.set_uid(entry->key.uid);
    e.set_body(entry->bytes);
  }
}

const char* verb(const ObjectPtr& before, const ObjectPtr& after) { return !before ? "create" : !after ? "delete" : "change"; }

}  // namespace

EntryDelta difference(const EntryTable& from, const EntryTable& to) {
  EntryDelta out;
  for (const auto& [key, entry] : to) {
    auto at = from.find(key);
    if (at == from.end() || at->second->hash != entry->hash) out.upserts.push_back(entry);
  }
  for (const auto& [key, entry] : from) {
    if (!to.contains(key)) out.removals.push_back(key);
  }
  return out;
}

void apply_delta(EntryTable& table, const EntryDelta& delta) {
  for (const EntryPtr& entry : delta.upserts) table[entry->key] = entry;
  for (const EntryKey& key : delta.removals) table.erase(key);
}

v1::Offer offer_of(v1::Stream stream, const StreamState* base, const EntryTable& table, const EntryDelta& delta,
                   const StreamState& result) {
  if (!base) return whole_offer(stream, table, result.version, result.lineage);
  v1::Offer out;
  out.set_stream(stream);
  out.set_lineage(std::string(result.lineage.begin(), result.lineage.end()));
  out.set_version(result.version);
  out.set_base(base->version);
  fill(out, delta.upserts);
  for (const EntryKey& key : delta.removals) {
    v1::EntryRef& r = *out.add_removals();
    r.set_kind(key.kind);
    r.set_uid(key.uid);
  }
  out.set_digest(result.digest.data(), result.digest.size());
  out.set_activate(true);
  return out;
}

absl::StatusOr<std::unique_ptr<Engine>> Engine::load(Options options) {
  std::unique_ptr<Engine> out(new Engine(std::move(options)));
  GW_RETURN_IF_ERROR(out->load_state());
  out->load_dry();
  return out;
}

absl::Status Engine::load_state() {
  return options_.db->read([&](Connection& db) -> absl::Status {
    GW_ASSIGN_OR_RETURN(std::vector<ObjectPtr> objects, objects_at(db, 0));
    GW_ASSIGN_OR_RETURN(std::vector<ObjectPtr> records, all_records(db));
    GW_ASSIGN_OR_RETURN(EntryTable config, entries_at(db, 0));
    GW_ASSIGN_OR_RETURN(EntryTable directory, directory_entries(db));
    GW_ASSIGN_OR_RETURN(std::optional<VersionRow> latest, latest_version(db));
    GW_ASSIGN_OR_RETURN(directory_version_, latest_directory(db));
    version_ = latest ? latest->number : 0;
    objects.insert(objects.end(), records.begin(), records.end());
    GW_ASSIGN_OR_RETURN(std::vector<SecretRow> secrets, all_secrets(db, *options_.master_key));
    GW_ASSIGN_OR_RETURN(uint64_t certificates, latest_certificates(db));
    EntryTable compiled = config;
    for (const auto& [key, entry] : directory) {
      if (key.kind != v1::ENTRY_KEY) compiled[key] = entry;
    }
    std::map<uint64_t, SecretPtr> values;
    for (SecretRow& row : secrets) values[row.uid] = SecretValue::make(std::move(row.value), row.changed_at_ms, std::move(row.changed_by));
    compiler_.load(objects, values, std::move(compiled));
    load_certificates(certificates, latest ? latest->needs_certificates : 0, config);
    digest_ = digest_of(config);
    directory_digest_ = digest_of(directory);
    config_ = std::make_shared<EntryTable>(std::move(config));
    directory_ = std::make_shared<EntryTable>(std::move(directory));
    return absl::OkStatus();
  });
}

// Their entries were made anew from what is sealed. Version 0 becomes 1, so that a node of another life is told that there is
// nothing here.
void Engine::load_certificates(uint64_t version, uint64_t needed, const EntryTable& config) {
  auto table = std::make_shared<EntryTable>();
  for (const auto& [key, entry] : compiler_.entries()) {
    if (stream_of(key.kind) == v1::STREAM_CERTIFICATES) table->emplace(key, entry);
  }
  certificates_digest_ = digest_of(*table);
  certificates_ = std::move(table);
  certificates_version_ = certificates_at_start_ = std::max<uint64_t>(version, 1);
  needs_ = std::make_shared<const CertificateNeeds>(certificate_needs(config));
  needs_certificates_ = needed;
}

// A stored state that this build's nodes would refuse is still served to those that hold it; the next change then has to
// make it loadable, because it is loaded whole.
void Engine::load_dry() {
  Lineage lineage = options_.db->lineage();
  auto config = dry_config_.prepare(whole_offer(v1::STREAM_CONFIG, *config_, std::max<uint64_t>(version_, 1), lineage));
  if (config.outcome == PrepareOutcome::kReady) dry_config_.commit(std::move(config));
  auto directory = dry_directory_.prepare(
      whole_offer(v1::STREAM_DIRECTORY, *directory_, std::max<uint64_t>(directory_version_, 1), lineage));
  if (directory.outcome == PrepareOutcome::kReady) dry_directory_.commit(std::move(directory));
  auto certificates = dry_certificates_.prepare(whole_offer(v1::STREAM_CERTIFICATES, *certificates_, certificates_version_, lineage));
  if (certificates.outcome == PrepareOutcome::kReady) dry_certificates_.commit(std::move(certificates));
}

absl::StatusOr<Engine::Start> Engine::start() {
  std::lock_guard lock(mutex_);
  Start out;
  out.directory.stream = v1::STREAM_DIRECTORY;
  out.directory.lineage = options_.db->lineage();
  out.directory.version = directory_version_;
  out.directory.entries = directory_;
  published_directory_ = directory_version_;
  out.certificates.stream = v1::STREAM_CERTIFICATES;
  out.certificates.lineage = out.directory.lineage;
  out.certificates.version = published_certificates_ = certificates_version_;
  out.certificates.entries = certificates_;
  out.certificates.needs = needs_;
  GW_RETURN_IF_ERROR(options_.db->read([&](Connection& db) -> absl::Status {
    GW_ASSIGN_OR_RETURN(std::optional<VersionRow> latest, latest_version(db));
    GW_ASSIGN_OR_RETURN(uint64_t active, last_activated(db));
    if (active > 0) {
      GW_ASSIGN_OR_RETURN(EntryTable entries, entries_at(db, active));
      published_table_ = std::make_shared<EntryTable>(std::move(entries));
      GW_ASSIGN_OR_RETURN(std::optional<VersionRow> row, find_version(db, active));
      VersionRow of = row.value_or(VersionRow());
      of.number = active;
      out.active = config_publication(of, published_table_, std::make_shared<const CertificateNeeds>(certificate_needs(*published_table_)));
      published_ = active;
    }
    bool settled = !latest || latest->number <= active || latest->phase == "refused" || latest->phase == "superseded";
    if (settled) return absl::OkStatus();
    out.pending = config_publication(*latest, config_, needs_);
    EntryDelta delta = difference(*published_table_, *config_);
    out.pending->upserts = std::move(delta.upserts);
    out.pending->removals = std::move(delta.removals);
    published_ = latest->number;
    published_table_ = config_;
    return absl::OkStatus();
  }));
  return out;
}

void Engine::set_publisher(Publisher* publisher) {
  std::lock_guard lock(mutex_);
  publisher_ = publisher;
}

void Engine::set_after_commit(std::function<void()> fn) {
  std::lock_guard lock(mutex_);
  after_commit_ = std::move(fn);
}

void Engine::set_own_addresses(std::vector<AdminAddress> addresses) {
  std::lock_guard lock(mutex_);
  options_.own_addresses = std::move(addresses);
}

absl::Status Engine::write(Connection& db, const Pending& p) {
  if (p.makes_version) GW_RETURN_IF_ERROR(write_config(db, p));
  GW_RETURN_IF_ERROR(write_directory(db, p));
  GW_RETURN_IF_ERROR(write_certificates(db, p));
  int64_t now = p.row.created_at_ms;
  if (!p.change.hold.empty()) GW_RETURN_IF_ERROR(put_hold(db, {p.change.hold, p.row.number, p.change.actor}, now));
  if (!p.change.release.empty()) GW_RETURN_IF_ERROR(delete_hold(db, p.change.release).status());
  for (const auto& [action, object] : p.change.audit) {
    GW_RETURN_IF_ERROR(put_audit(db, now, p.change.actor, action, object, p.change.message));
  }
  return absl::OkStatus();
}

absl::Status Engine::write_config(Connection& db, const Pending& p) {
  GW_RETURN_IF_ERROR(insert_version(db, p.row));
  for (const ObjectChange& change : p.change.objects) {
    if (is_record(change.key.kind)) continue;
    if (change.before && (!change.after || change.after->uid() != change.before->uid())) {
      GW_RETURN_IF_ERROR(end_object(db, change.before->uid(), p.row.number));
    }
    if (!change.after) continue;
    bool fresh = !change.before && change.after->generation() == 1;
    if (fresh) GW_RETURN_IF_ERROR(take_uid(db, change.after->uid()));
    GW_RETURN_IF_ERROR(put_object(db, *change.after, p.row.number));
  }
  for (const EntryKey& key : p.compiled.config.removals) GW_RETURN_IF_ERROR(end_entry(db, key, p.row.number));
  for (const EntryPtr& entry : p.compiled.config.upserts) GW_RETURN_IF_ERROR(put_entry(db, *entry, p.row.number));
  return absl::OkStatus();
}

absl::Status Engine::write_directory(Connection& db, const Pending& p) {
  int64_t now = p.row.created_at_ms;
  for (const ObjectChange& change : p.change.objects) {
    if (!is_record(change.key.kind)) continue;
    if (change.before && !change.after) GW_RETURN_IF_ERROR(delete_record(db, change.before->uid()));
    if (!change.before) GW_RETURN_IF_ERROR(take_uid(db, change.after->uid()));
    if (change.after) GW_RETURN_IF_ERROR(put_record(db, *change.after));
    std::string fields = change.after ? change.after->ShortDebugString().substr(0, 4000) : "";
    if (change.secret) fields += " value: (set) " + change.secret->summary();
    GW_RETURN_IF_ERROR(put_audit(db, now, p.change.actor, verb(change.before, change.after), change.key.text(), fields));
  }
  for (const KeyRow& key : p.change.new_keys) {
    GW_RETURN_IF_ERROR(take_uid(db, key.uid));
    GW_RETURN_IF_ERROR(insert_key(db, key));
    GW_RETURN_IF_ERROR(put_audit(db, now, p.change.actor, key.imported ? "import key" : "create key", key.app_name, key.key_id));
  }
  for (const KeyRow& key : p.change.changed_keys) {
    GW_RETURN_IF_ERROR(set_key_expiry(db, key.uid, key.expires_at));
    GW_RETURN_IF_ERROR(put_audit(db, now, p.change.actor, "expire key", key.app_name, key.key_id));
  }
  for (const KeyRow& key : p.change.revoked_keys) {
    GW_RETURN_IF_ERROR(revoke_key(db, key.uid, now / 1000));
    GW_RETURN_IF_ERROR(put_audit(db, now, p.change.actor, "revoke key", key.app_name, key.key_id));
  }
  if (!p.makes_directory) return absl::OkStatus();
  GW_RETURN_IF_ERROR(insert_directory_version(db, p.directory_number, p.directory_digest, now, p.change.actor));
  for (const EntryKey& key : p.directory.removals) GW_RETURN_IF_ERROR(delete_directory_entry(db, key));
  for (const EntryPtr& entry : p.directory.upserts) GW_RETURN_IF_ERROR(put_directory_entry(db, *entry, p.directory_number));
  return absl::OkStatus();
}

absl::Status Engine::write_certificates(Connection& db, const Pending& p) {
  for (const ObjectChange& change : p.change.objects) {
    if (change.key.kind != v1::Object::kSecret) continue;
    if (change.before && (!change.after || change.after->uid() != change.before->uid())) {
      GW_RETURN_IF_ERROR(delete_secret(db, change.before->uid()));
    }
    if (!change.after || !change.secret) continue;
    const SecretValue& value = *change.secret;
    GW_RETURN_IF_ERROR(put_secret(db, *options_.master_key, {change.after->uid(), value.bytes, value.changed_at_ms, value.changed_by}));
  }
  return p.makes_certificates ? set_certificates_version(db, p.certificates_number) : absl::OkStatus();
}

// The file has the new key before anything is sealed under it, and the old one until nothing is.
absl::StatusOr<int> Engine::rotate_master(const std::string& actor) {
  std::lock_guard lock(mutex_);
  MasterKey& key = *options_.master_key;
  GW_RETURN_IF_ERROR(key.begin_change());
  int secrets = 0;
  GW_RETURN_IF_ERROR(options_.db->write([&](Connection& db) -> absl::Status {
    GW_ASSIGN_OR_RETURN(secrets, seal_anew(db, key));
    return put_audit(db, now_ms(), actor, "rotate master key", key.id(), std::to_string(secrets) + " secrets");
  }));
  if (absl::Status status = key.end_change(); !status.ok()) {
    spdlog::warn("the former master key is still in {}, which the next start mends: {}", key.path(), message_of(status));
  }
  return secrets;
}

uint64_t Engine::certificates_version() const {
  std::lock_guard lock(mutex_);
  return certificates_version_;
}

uint64_t Engine::certificate_changed_in(const EntryKey& key) const {
  std::lock_guard lock(mutex_);
  auto at = certificates_changed_.find(key);
  return at == certificates_changed_.end() ? certificates_at_start_ : at->second;
}

void Engine::read(const std::function<void(const Catalog&)>& fn) const {
  std::lock_guard lock(mutex_);
  fn(compiler_.catalog());
}

uint64_t Engine::version() const {
  std::lock_guard lock(mutex_);
  return version_;
}

uint64_t Engine::directory_version() const {
  std::lock_guard lock(mutex_);
  return directory_version_;
}

absl::StatusOr<Tables> Engine::tables(uint64_t version) {
  Tables out;
  out.quota = std::make_shared<QuotaView>();
  Lineage lineage = options_.db->lineage();
  {
    std::lock_guard lock(mutex_);
    out.directory = dry_directory_.directory();
    out.certificates = dry_certificates_.table();
    if (version == version_) out.snapshot = dry_config_.snapshot();
  }
  if (out.snapshot) return out;
  EntryTable entries;
  GW_RETURN_IF_ERROR(options_.db->read([&](Connection& db) -> absl::Status {
    GW_ASSIGN_OR_RETURN(std::optional<VersionRow> row, find_version(db, version));
    if (!row) return not_found("there is no version " + std::to_string(version));
    GW_ASSIGN_OR_RETURN(entries, entries_at(db, version));
    return absl::OkStatus();
  }));
  SnapshotBuilder builder;
  auto built = builder.prepare(whole_offer(v1::STREAM_CONFIG, entries, version, lineage));
  if (built.outcome != PrepareOutcome::kReady) return refusal_of(built.diagnostics);
  out.snapshot = built.snapshot;
  return out;
}

}  // namespace gw
