// What the node holds of each stream, and what becomes of an offer: built, handed to the sink, activated, drained,
// persisted, each step acknowledged. No thread, no connection, no disk of its own.
//
// Owner: ConfigAgent, on its thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "dataplane/agent/last_good.h"
#include "dataplane/agent/node_sink.h"
#include "dataplane/snapshot/certificates.h"
#include "dataplane/snapshot/directory_builder.h"
#include "dataplane/snapshot/snapshot_builder.h"
#include "dataplane/snapshot/endpoints.h"
#include "dataplane/snapshot/switches.h"
#include "dataplane/snapshot/tickets.h"
#include "gw/v1/config_sync.pb.h"

namespace gw {

class AgentStreams {
 public:
  using AckFn = std::function<void(v1::Ack)>;
  // `ack` may be called within any call below; it drops what cannot be sent.
  AgentStreams(NodeSink& sink, std::vector<std::string> without_capabilities, AckFn ack);

  // Puts into force what disk or seed hold. Empty: done (or nothing was there); else why the config could not be (nothing
  // of it is in force then; the other streams are, if they could be read). `on_disk`: it need not be written again.
  std::string load(const LastGood& content, bool on_disk);

  void offered(v1::Offer offer);
  void activate(uint64_t version);
  void abort(uint64_t version, const std::string& why);
  // The stream to the control plane ended: what was prepared there is given up.
  void disconnected();
  // A new one began: says again what the control plane may not have heard.
  void connected();
  void drained(uint64_t version);
  // The control plane's word on quotas is no longer (or again) fresh.
  void set_stale(bool stale);

  std::vector<v1::StreamPosition> positions() const;
  uint64_t config_version() const { return config_.state().version; }
  uint64_t directory_version() const { return directory_.state().version; }
  uint64_t quota_version() const { return quota_.state().version; }
  uint64_t switches_version() const { return switches_.state().version; }
  uint64_t endpoints_version() const { return endpoints_.state().version; }
  uint64_t certificates_version() const { return certificates_.state().version; }
  uint64_t tickets_version() const { return tickets_.state().version; }
  uint64_t refused() const { return refused_; }
  uint64_t persisted_version() const { return persisted_version_; }
  // The last offer of the stream was taken: what is held is what the control plane has.
  bool config_fresh() const { return config_fresh_; }
  bool directory_fresh() const { return directory_fresh_; }

  // Rises with every change of what is held.
  uint64_t change() const { return change_; }
  LastGood whole() const;
  // What whole() gave at `change` is on disk.
  void persisted(uint64_t change);

 private:
  // One activation of a config version, oldest first; ended when all acknowledgements for it were sent.
  struct Activation {
    uint64_t version = 0;
    uint64_t change = 0;
    bool in_use = true;    // some exchange may still run on it, or it is the newest
    bool clear_before = false;  // DRAINED was sent: nothing older is in use
    bool on_disk = false;
  };

  void offered_config(v1::Offer offer);
  void offered_directory(const v1::Offer& offer);
  void offered_quota(const v1::Offer& offer);
  void offered_switches(const v1::Offer& offer);
  void offered_endpoints(const v1::Offer& offer);
  void offered_certificates(const v1::Offer& offer);
  void offered_tickets(const v1::Offer& offer);
  // Whether what was prepared may be put in force; says so to the control plane if not.
  template <class Result>
  bool ready(const v1::Offer& offer, const Result& result);
  bool has_needs(const v1::Offer& config) const;
  void try_held();
  bool lacks_capability(const v1::Offer& offer, DiagnosticList& out) const;
  bool prepare_config(const v1::Offer& offer);
  void activate_pending();
  void abandon_pending();
  void refuse(v1::Stream stream, uint64_t version, v1::NodeState state, const DiagnosticList& why);
  void ack(v1::Stream stream, uint64_t version, v1::NodeState state);
  void check_drained();
  void trim();

  NodeSink& sink_;
  const std::set<std::string> without_capabilities_;
  const AckFn ack_;
  SnapshotBuilder config_;
  DirectoryBuilder directory_;
  QuotaBuilder quota_;
  SwitchesBuilder switches_;
  EndpointsBuilder endpoints_;
  CertificatesBuilder certificates_;
  TicketKeysBuilder tickets_;
  std::optional<SnapshotBuilder::Result> pending_;  // prepared in builder and sink
  std::optional<v1::Offer> held_;                   // waits for a version of the directory or the certificates
  uint64_t certificates_refused_ = 0;               // newest version of them that was refused
  std::deque<Activation> activations_;
  uint64_t change_ = 0;
  uint64_t refused_ = 0;
  uint64_t persisted_version_ = 0;
  bool config_fresh_ = true, directory_fresh_ = true;
  bool stale_ = true;
};

}  // namespace gw
