// Objects to entries, with every finding on the way. Pure: no I/O, no clock; the state is what was compiled last.
//
// A change is applied whole or not at all: apply() works out what it makes of the objects and checks everything that it
// touches (and nothing else: changing one route compiles one route); then keep() or rollback(). Errors roll back at once.
// Owner: the control plane's engine under its mutex; one thread.
#pragma once

#include <set>
#include <vector>

#include "common/base/diagnostic.h"
#include "controlplane/snapshot/catalog.h"
#include "controlplane/snapshot/check.h"
#include "controlplane/snapshot/publication.h"

namespace gw {

// `after` null: the object is deleted. A new object has its uid already. `before` is what stands there now, or null; the
// compiler looks it up by itself, the store is told.
struct ObjectChange {
  ObjectKey key;
  ObjectPtr before;
  ObjectPtr after;
  SecretPtr secret;  // of a Secret: its new value; null: it keeps the one that it has
};

// What a change does to one stream.
struct EntryDelta {
  std::vector<EntryPtr> upserts;
  std::vector<EntryKey> removals;
  bool empty() const { return upserts.empty() && removals.empty(); }
};

struct Compilation {
  DiagnosticList diagnostics;
  EntryDelta config;
  EntryDelta directory;  // Consumers, Apps, Subscriptions; keys are the engine's
  EntryDelta certificates;
  size_t objects_compiled = 0;
};

class Compiler {
 public:
  // Takes a state that was compiled before, unchecked; entries of certificates are made here, as only the values of Secrets are
  // stored. REQUIRES: empty.
  void load(const std::vector<ObjectPtr>& objects, const std::map<uint64_t, SecretPtr>& secrets, EntryTable entries);

  // REQUIRES: keep() or rollback() since the last one without errors.
  Compilation apply(const std::vector<ObjectChange>& changes, const CompileOptions& options);
  void keep() { journal_ = {}; }
  void rollback();

  // With the change that was applied last.
  const Catalog& catalog() const { return catalog_; }
  // Entries of objects, all streams.
  const EntryTable& entries() const { return entries_; }

 private:
  struct Journal {
    std::vector<std::pair<ObjectKey, ObjectPtr>> objects;  // as they were, newest last
    std::vector<std::pair<EntryKey, EntryPtr>> entries;   // null: was not there
    std::vector<std::pair<uint64_t, SecretPtr>> secrets;  // the same
  };

  void put(const ObjectChange& change);
  void put_secret(uint64_t uid, SecretPtr value);
  std::set<ObjectKey> touched();
  void touch_users(const ObjectKey& key, std::set<ObjectKey>& out) const;
  void touch_secrets(const v1::Object& user, std::set<ObjectKey>& out) const;
  void check(const CheckContext& c, const std::set<ObjectKey>& keys);
  void emit_all(const std::set<ObjectKey>& keys, Compilation& out);
  void set_entry(const EntryKey& key, EntryPtr entry, Compilation& out);

  Catalog catalog_;
  EntryTable entries_;
  MatchCache matches_;
  Journal journal_;
};

// Everything at once, for gwctl: objects without uid get one, and values of Secrets are taken out of them. Findings, and the entries when there is no error.
struct Compiled {
  DiagnosticList diagnostics;
  EntryTable config;
  EntryTable directory;
  EntryTable certificates;
  Catalog catalog;
};
Compiled compile(const std::vector<v1::Object>& objects, const CompileOptions& options);

// The entries as an Offer of the whole, for SnapshotBuilder and DirectoryBuilder.
v1::Offer whole_offer(v1::Stream stream, const EntryTable& entries, uint64_t version, const Lineage& lineage = {});

}  // namespace gw
