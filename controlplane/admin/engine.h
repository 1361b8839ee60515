// The state of the control plane: all objects, what was compiled of them, and the one way to change it. A change is built
// from the latest state, compiled, checked against the connected nodes, loaded dry by the nodes' own code, committed, and
// only then published. Whatever fails before the commit leaves everything as it was.
//
// Owner: the Server. Thread-safe: one change at a time under a mutex, which readers of the current state share. No call
// waits for a node.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "controlplane/push/rollouts.h"
#include "controlplane/snapshot/certificate_needs.h"
#include "controlplane/snapshot/compiler.h"
#include "controlplane/snapshot/publication.h"
#include "controlplane/store/database.h"
#include "controlplane/store/master_key.h"
#include "controlplane/store/records.h"
#include "controlplane/store/versions.h"
#include "dataplane/snapshot/certificates.h"
#include "dataplane/snapshot/directory_builder.h"
#include "dataplane/snapshot/snapshot_builder.h"
#include "dataplane/snapshot/tables.h"

namespace gw {

// One change, as its builder makes it.
struct ChangeSet {
  std::string actor, message, set;
  bool dry_run = false;
  uint64_t undoes = 0;
  std::string hold;         // set to hold from now on; empty: none
  std::string release;      // set to release; empty: none
  std::vector<ObjectChange> objects;
  // Keys live beside objects, in the directory.
  std::vector<KeyRow> new_keys;
  std::vector<KeyRow> changed_keys;  // other expires_at
  std::vector<KeyRow> revoked_keys;
  // What is written to the audit log: action and object.
  std::vector<std::pair<std::string, std::string>> audit;
};

struct Committed {
  uint64_t version = 0;            // 0: none was made
  uint64_t directory_version = 0;  // 0: none was made
  uint64_t certificates_version = 0;  // 0: none was made
  DiagnosticList diagnostics;      // warnings
};

class Engine {
 public:
  struct Options {
    Database* db = nullptr;
    MasterKey* master_key = nullptr;
    const Clock* clock = &SystemClock::instance();
    NodeDirectory* nodes = nullptr;
    // Addresses of the control plane itself, which no Upstream may lead to.
    std::vector<AdminAddress> own_addresses;
  };

  // Reads the state. Errors are the store's.
  static absl::StatusOr<std::unique_ptr<Engine>> load(Options options);

  // What to publish when the process starts: directory, the config that was active, and the newer one that had not settled.
  struct Start {
    Publication directory;
    Publication certificates;
    std::optional<Publication> active;
    std::optional<Publication> pending;
  };
  absl::StatusOr<Start> start();
  // From now on commits are published to it, in order of their versions. It outlives the engine's last commit.
  void set_publisher(Publisher* publisher);
  // Called after each commit, under the mutex; must only queue. For the quota tracker.
  void set_after_commit(std::function<void()> fn);
  void set_own_addresses(std::vector<AdminAddress> addresses);

  // `build` fills in the change from the state that it will be committed on. Errors: its own; INVALID_ARGUMENT and
  // RESOURCE_EXHAUSTED (limits) with the findings, FAILED_PRECONDITION when a connected node lacks a capability, the
  // store's.
  using Build = std::function<absl::Status(const Catalog& now, ChangeSet& change)>;
  absl::StatusOr<Committed> commit(const Build& build);

  // `fn` sees the current state and must not keep it.
  void read(const std::function<void(const Catalog&)>& fn) const;
  uint64_t version() const;
  uint64_t directory_version() const;
  uint64_t certificates_version() const;
  // Version in which the entry was changed last; after a restart the latest one stands for all before it.
  uint64_t certificate_changed_in(const EntryKey& key) const;
  // Makes a new master key and seals everything anew. The number of Secrets. Whatever fails, and whenever, what is stored can be
  // opened.
  absl::StatusOr<int> rotate_master(const std::string& actor);
  std::string master_key_id() const { return options_.master_key->id(); }
  // What a node would hold of a version, with the current directory. NOT_FOUND: there is no such version. The snapshot's own
  // version is that of the dry load.
  absl::StatusOr<Tables> tables(uint64_t version);

  // With what objects are compiled now.
  CompileOptions options_now() const;

  Database& db() { return *options_.db; }
  int64_t now_ms() const { return options_.clock->wall_ns() / 1'000'000; }
  int64_t now_s() const { return now_ms() / 1000; }

  // A uid that nothing has.
  static uint64_t draw_uid();

 private:
  explicit Engine(Options options) : options_(std::move(options)) {}

  // All that a commit has worked out before it is written.
  struct Pending {
    ChangeSet change;
    Compilation compiled;
    EntryDelta directory;  // of records and keys
    bool makes_certificates = false;
    uint64_t certificates_number = 0;
    Digest certificates_digest{};
    std::shared_ptr<const EntryTable> certificates_table;
    std::shared_ptr<const CertificateNeeds> needs;
    CertificatesBuilder::Result certificates_load;
    bool makes_version = false;
    bool makes_directory = false;
    VersionRow row;
    uint64_t directory_number = 0;
    Digest directory_digest{};
    std::shared_ptr<const EntryTable> config_table, directory_table;
    SnapshotBuilder::Result snapshot;
    DirectoryBuilder::Result directory_load;
    DiagnosticList notes;
  };

  absl::Status load_state();
  void load_dry();
  void load_certificates(uint64_t version, uint64_t needed, const EntryTable& config);
  CompileOptions compile_options() const;
  absl::Status prepare(Pending& p);
  absl::Status work_out_keys(Pending& p);
  void work_out_certificates(Pending& p) const;
  absl::Status check_nodes(const Pending& p) const;
  absl::Status load_dry(Pending& p);
  absl::Status write(Connection& db, const Pending& p);
  absl::Status write_config(Connection& db, const Pending& p);
  absl::Status write_directory(Connection& db, const Pending& p);
  absl::Status write_certificates(Connection& db, const Pending& p);
  void take_over(Pending& p);
  void publish(const Pending& p);
  Publication config_publication(const VersionRow& row, const std::shared_ptr<const EntryTable>& table,
                                 std::shared_ptr<const CertificateNeeds> needs) const;

  Options options_;
  mutable std::mutex mutex_;
  Publisher* publisher_ = nullptr;
  std::function<void()> after_commit_;
  Compiler compiler_;
  uint64_t version_ = 0;
  uint64_t directory_version_ = 0;
  uint64_t certificates_version_ = 0;
  Digest digest_{};
  Digest directory_digest_{};
  Digest certificates_digest_{};
  std::shared_ptr<const EntryTable> config_ = std::make_shared<EntryTable>();
  std::shared_ptr<const EntryTable> directory_ = std::make_shared<EntryTable>();
  std::shared_ptr<const EntryTable> certificates_ = std::make_shared<EntryTable>();
  // Who needs which of them, and the version that the configuration needs at least (0: nobody needs any).
  std::shared_ptr<const CertificateNeeds> needs_ = std::make_shared<CertificateNeeds>();
  uint64_t needs_certificates_ = 0;
  std::map<EntryKey, uint64_t> certificates_changed_;  // since the start
  uint64_t certificates_at_start_ = 0;
  // What was published last, which the next publication starts from.
  uint64_t published_ = 0;
  std::shared_ptr<const EntryTable> published_table_ = std::make_shared<EntryTable>();
  uint64_t published_directory_ = 0;
  uint64_t published_certificates_ = 0;
  SnapshotBuilder dry_config_;
  DirectoryBuilder dry_directory_;
  CertificatesBuilder dry_certificates_;
};

// The findings as a Status: RESOURCE_EXHAUSTED when they speak only of limits, else INVALID_ARGUMENT.
absl::Status refusal_of(const DiagnosticList& found);
// What turns `from` into `to`.
EntryDelta difference(const EntryTable& from, const EntryTable& to);
void apply_delta(EntryTable& table, const EntryDelta& delta);
// An Offer of `delta` upon `base`, or of the whole table when `base` is null.
v1::Offer offer_of(v1::Stream stream, const StreamState* base, const EntryTable& table, const EntryDelta& delta,
                   const StreamState& result);

}  // namespace gw
