// Builds directories and quota views from their streams, as SnapshotBuilder does snapshots: prepare on the side, commit.
// Owner: the agent. One thread.
#pragma once

#include <memory>

#include "common/base/diagnostic.h"
#include "dataplane/snapshot/directory.h"
#include "dataplane/snapshot/entry.h"

namespace gw {

class DirectoryBuilder {
 public:
  explicit DirectoryBuilder(EntryLimits limits = {});

  struct Result {
    PrepareOutcome outcome = PrepareOutcome::kRefused;
    DiagnosticList diagnostics;
    std::shared_ptr<const Directory> directory;  // kReady
    EntrySet::Delta delta;
  };
  Result prepare(const v1::Offer& offer) const;
  // REQUIRES: made by this builder's prepare(), no commit since.
  void commit(Result result);

  const StreamState& state() const { return entries_.state(); }
  // Never null.
  const std::shared_ptr<const Directory>& directory() const { return directory_; }
  v1::Offer whole() const { return entries_.whole(v1::STREAM_DIRECTORY); }

 private:
  EntrySet entries_;
  std::shared_ptr<const Directory> directory_;
};

class QuotaBuilder {
 public:
  explicit QuotaBuilder(EntryLimits limits = {});

  struct Result {
    PrepareOutcome outcome = PrepareOutcome::kRefused;
    DiagnosticList diagnostics;
    std::shared_ptr<const QuotaView> quota;  // kReady
    EntrySet::Delta delta;
  };
  Result prepare(const v1::Offer& offer) const;
  // What is in force then is quota(), which is the result's but for stale().
  void commit(Result result);
  // What is in force, said to be stale or not: the control plane cannot be asked, or can again.
  std::shared_ptr<const QuotaView> with_stale(bool stale);

  const StreamState& state() const { return entries_.state(); }
  // Never null.
  const std::shared_ptr<const QuotaView>& quota() const { return quota_; }
  v1::Offer whole() const { return entries_.whole(v1::STREAM_QUOTA); }

 private:
  EntrySet entries_;
  std::shared_ptr<const QuotaView> quota_;
  bool stale_ = false;
};

}  // namespace gw
