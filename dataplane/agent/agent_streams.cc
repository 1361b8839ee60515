#include "dataplane/agent/agent_streams.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "common/base/status.h"

namespace gw {
namespace {

std::string first_text(const DiagnosticList& list) {
  return list.empty() ? std::string("no reason given") : to_text(list.items().front());
}

v1::StreamPosition position(v1::Stream stream, const StreamState& state) {
  v1::StreamPosition out;
  out.set_stream(stream);
  out.set_lineage(std::string(state.lineage.begin(), state.lineage.end()));
  out.set_version(state.version);
  out.set_digest(std::string(state.digest.begin(), state.digest.end()));
  return out;
}

}  // namespace

AgentStreams::AgentStreams(NodeSink& sink, std::vector<std::string> without_capabilities, AckFn ack)
    : sink_(sink), without_capabilities_(without_capabilities.begin(), without_capabilities.end()), ack_(std::move(ack)) {}

void AgentStreams::ack(v1::Stream stream, uint64_t version, v1::NodeState state) {
  v1::Ack out;
  out.set_stream(stream);
  out.set_version(version);
  out.set_state(state);
  ack_(std::move(out));
}

void AgentStreams::refuse(v1::Stream stream, uint64_t version, v1::NodeState state, const DiagnosticList& why) {
  if (state == v1::REFUSED) {
    ++refused_;
    spdlog::error("{} version {} refused: {}", v1::Stream_Name(stream), version, first_text(why));
  }
  v1::Ack out;
  out.set_stream(stream);
  out.set_version(version);
  out.set_state(state);
  for (const Diagnostic& d : why.items()) *out.add_diagnostics() = d;
  ack_(std::move(out));
}

std::string AgentStreams::load(const LastGood& content, bool on_disk) {
  auto at = content.find(v1::STREAM_DIRECTORY);
  if (at != content.end() && directory_version() == 0) offered_directory(at->second);
  at = content.find(v1::STREAM_QUOTA);
  if (at != content.end() && quota_version() == 0) offered_quota(at->second);
  at = content.find(v1::STREAM_SWITCHES);  // before the config: what is stopped is stopped from the first request on
  if (at != content.end() && switches_version() == 0) offered_switches(at->second);
  at = content.find(v1::STREAM_ENDPOINTS);
  if (at != content.end() && endpoints_version() == 0) offered_endpoints(at->second);
  at = content.find(v1::STREAM_CERTIFICATES);
  if (at != content.end() && certificates_version() == 0) offered_certificates(at->second);
  at = content.find(v1::STREAM_TICKETS);
  if (at != content.end() && tickets_version() == 0) offered_tickets(at->second);
  at = content.find(v1::STREAM_CONFIG);
  if (at == content.end()) return {};
  auto result = config_.prepare(at->second);
  if (result.outcome != PrepareOutcome::kReady) {
    return "version " + std::to_string(at->second.version()) + " cannot be built: " + first_text(result.diagnostics);
  }
  absl::Status status = sink_.prepare(result.snapshot);
  if (!status.ok()) return "version " + std::to_string(at->second.version()) + " cannot be served: " + message_of(status);
  pending_ = std::move(result);
  activate_pending();
  if (on_disk) persisted(change_);
  return {};
}

void AgentStreams::offered(v1::Offer offer) {
  switch (offer.stream()) {
    case v1::STREAM_CONFIG: offered_config(std::move(offer)); return;
    case v1::STREAM_DIRECTORY: offered_directory(offer); return;
    case v1::STREAM_QUOTA: offered_quota(offer); return;
    case v1::STREAM_SWITCHES: offered_switches(offer); return;
    case v1::STREAM_ENDPOINTS: offered_endpoints(offer); return;
    case v1::STREAM_CERTIFICATES: offered_certificates(offer); return;
    case v1::STREAM_TICKETS: offered_tickets(offer); return;
    default: spdlog::warn("an offer of stream {} is not known to this build", static_cast<int>(offer.stream()));
  }
}

void AgentStreams::offered_config(v1::Offer offer) {
  abandon_pending();
  held_.reset();
  ack(v1::STREAM_CONFIG, offer.version(), v1::RECEIVED);
  held_ = std::move(offer);
  try_held();
}

bool AgentStreams::has_needs(const v1::Offer& config) const {
  return config.needs_directory() <= directory_version() && config.needs_certificates() <= certificates_version();
}

// The configuration that waits, if what it waits for has come, or will not.
void AgentStreams::try_held() {
  if (!held_) return;
  if (has_needs(*held_)) {
    v1::Offer config = *std::exchange(held_, std::nullopt);
    if (prepare_config(config) && config.activate()) activate_pending();
  } else if (held_->needs_certificates() > certificates_version() && held_->needs_certificates() <= certificates_refused_) {
    uint64_t version = std::exchange(held_, std::nullopt)->version();
    config_fresh_ = false;
    DiagnosticList why;
    why.error("GW3031", {}, "", "it needs version " + std::to_string(certificates_refused_) + " of the certificates, which this node refused")
        .set_cure("mend the certificates that `gwctl cert check` names, then apply again");
    refuse(v1::STREAM_CONFIG, version, v1::REFUSED, why);
  }
}

bool AgentStreams::lacks_capability(const v1::Offer& offer, DiagnosticList& out) const {
  if (without_capabilities_.empty()) return false;
  for (const v1::Entry& entry : offer.upserts()) {
    for (const std::string& capability : capabilities_of(entry.kind(), entry.body())) {
      if (without_capabilities_.count(capability) == 0) continue;
      Diagnostic& d = out.error("GW3010", {std::string(kind_name(entry.kind())), std::to_string(entry.uid())}, "",
                                "needs " + capability + ", which this build does not understand");
      d.set_cure("update the node");
    }
  }
  return !out.empty();
}

bool AgentStreams::prepare_config(const v1::Offer& offer) {
  DiagnosticList lacking;
  if (lacks_capability(offer, lacking)) {
    config_fresh_ = false;
    refuse(v1::STREAM_CONFIG, offer.version(), v1::REFUSED, lacking);
    return false;
  }
  auto result = config_.prepare(offer);
  config_fresh_ = result.outcome == PrepareOutcome::kReady;
  if (result.outcome != PrepareOutcome::kReady) {
    refuse(v1::STREAM_CONFIG, offer.version(),
           result.outcome == PrepareOutcome::kMismatch ? v1::MISMATCH : v1::REFUSED, result.diagnostics);
    return false;
  }
  absl::Status status = sink_.prepare(result.snapshot);
  if (!status.ok()) {
    config_fresh_ = false;
    DiagnosticList why;
    if (!diagnostics_of(status, why)) why.error("GW3011", {}, "", message_of(status));
    refuse(v1::STREAM_CONFIG, offer.version(), v1::REFUSED, why);
    return false;
  }
  v1::Ack built;
  built.set_stream(v1::STREAM_CONFIG);
  built.set_version(offer.version());
  built.set_state(v1::BUILT);
  built.set_build_micros(result.stats.micros);
  built.set_snapshot_bytes(static_cast<int64_t>(result.stats.bytes));
  pending_ = std::move(result);
  ack_(std::move(built));
  return true;
}

void AgentStreams::activate(uint64_t version) {
  if (pending_ && pending_->snapshot->version() == version) {
    activate_pending();
  } else if (config_version() == version) {
    ack(v1::STREAM_CONFIG, version, v1::ACTIVE);
  } else {
    DiagnosticList why;
    why.error("GW3012", {}, "", "version " + std::to_string(version) + " was activated but is not prepared here");
    refuse(v1::STREAM_CONFIG, version, v1::MISMATCH, why);
  }
}

void AgentStreams::activate_pending() {
  SnapshotBuilder::Result result = *std::exchange(pending_, std::nullopt);
  uint64_t version = result.snapshot->version();
  sink_.activate(result.snapshot);
  int64_t micros = result.stats.micros;
  config_.commit(std::move(result));
  activations_.push_back({.version = version, .change = ++change_});
  spdlog::info("version {} active (built in {} us)", version, micros);
  v1::Ack active;
  active.set_stream(v1::STREAM_CONFIG);
  active.set_version(version);
  active.set_state(v1::ACTIVE);
  active.set_build_micros(micros);
  for (v1::BoundListener& l : sink_.listeners()) *active.add_listeners() = std::move(l);
  ack_(std::move(active));
  check_drained();
}

void AgentStreams::abandon_pending() {
  if (!pending_) return;
  uint64_t version = pending_->snapshot->version();
  pending_.reset();
  sink_.abandon(version);
}

void AgentStreams::abort(uint64_t version, const std::string& why) {
  if (held_ && held_->version() == version) held_.reset();
  if (!pending_ || pending_->snapshot->version() != version) return;
  spdlog::warn("version {} given up: {}", version, why);
  abandon_pending();
}

void AgentStreams::disconnected() {
  held_.reset();
  abandon_pending();
}

void AgentStreams::connected() {
  config_fresh_ = directory_fresh_ = true;
  if (activations_.empty()) return;
  const Activation& newest = activations_.back();
  if (newest.on_disk) ack(v1::STREAM_CONFIG, newest.version, v1::PERSISTED);
  if (newest.clear_before) ack(v1::STREAM_CONFIG, newest.version, v1::DRAINED);
}

template <class Result>
bool AgentStreams::ready(const v1::Offer& offer, const Result& result) {
  if (result.outcome == PrepareOutcome::kReady) return true;
  refuse(offer.stream(), offer.version(), result.outcome == PrepareOutcome::kMismatch ? v1::MISMATCH : v1::REFUSED, result.diagnostics);
  return false;
}

void AgentStreams::offered_directory(const v1::Offer& offer) {
  auto result = directory_.prepare(offer);
  directory_fresh_ = result.outcome == PrepareOutcome::kReady;
  if (!ready(offer, result)) return;
  sink_.directory(result.directory);
  directory_.commit(std::move(result));
  ++change_;
  ack(v1::STREAM_DIRECTORY, offer.version(), v1::ACTIVE);
  try_held();
}

void AgentStreams::offered_quota(const v1::Offer& offer) {
  auto result = quota_.prepare(offer);
  if (!ready(offer, result)) return;
  quota_.commit(std::move(result));
  sink_.quota(quota_.with_stale(stale_));
  ++change_;
  ack(v1::STREAM_QUOTA, offer.version(), v1::ACTIVE);
}

void AgentStreams::offered_switches(const v1::Offer& offer) {
  auto result = switches_.prepare(offer);
  if (!ready(offer, result)) return;
  switches_.commit(std::move(result));
  sink_.switches(switches_.switches());
  ++change_;
  ack(v1::STREAM_SWITCHES, offer.version(), v1::ACTIVE);
}

void AgentStreams::offered_endpoints(const v1::Offer& offer) {
  auto result = endpoints_.prepare(offer);
  if (!ready(offer, result)) return;
  endpoints_.commit(std::move(result));
  sink_.endpoints(endpoints_.endpoints());
  ++change_;
  ack(v1::STREAM_ENDPOINTS, offer.version(), v1::ACTIVE);
}

void AgentStreams::offered_tickets(const v1::Offer& offer) {
  auto result = tickets_.prepare(offer);
  if (!ready(offer, result)) return;
  tickets_.commit(std::move(result));
  sink_.tickets(tickets_.keys());
  ++change_;
  ack(v1::STREAM_TICKETS, offer.version(), v1::ACTIVE);
}

void AgentStreams::offered_certificates(const v1::Offer& offer) {
  auto result = certificates_.prepare(offer);
  if (result.outcome == PrepareOutcome::kReady) {
    if (absl::Status status = sink_.certificates(result.table); !status.ok()) {
      if (!diagnostics_of(status, result.diagnostics)) result.diagnostics.error("GW3030", {}, "", message_of(status));
      result.outcome = PrepareOutcome::kRefused;
    }
  }
  if (ready(offer, result)) {
    certificates_.commit(std::move(result));
    ++change_;
    ack(v1::STREAM_CERTIFICATES, offer.version(), v1::ACTIVE);
  } else if (result.outcome == PrepareOutcome::kRefused) {
    certificates_refused_ = std::max(certificates_refused_, offer.version());
  }
  try_held();
}

void AgentStreams::set_stale(bool stale) {
  if (stale_ == stale) return;
  stale_ = stale;
  sink_.quota(quota_.with_stale(stale));
}

void AgentStreams::drained(uint64_t version) {
  for (Activation& a : activations_) {
    if (a.version != version || !a.in_use || &a == &activations_.back()) continue;
    a.in_use = false;
    break;
  }
  check_drained();
}

// DRAINED of a version: nothing runs on what was before it.
void AgentStreams::check_drained() {
  for (Activation& a : activations_) {
    if (!a.clear_before) {
      a.clear_before = true;
      ack(v1::STREAM_CONFIG, a.version, v1::DRAINED);
    }
    if (a.in_use) break;
  }
  trim();
}

void AgentStreams::trim() {
  while (activations_.size() > 1 && !activations_.front().in_use && activations_.front().on_disk) activations_.pop_front();
}

std::vector<v1::StreamPosition> AgentStreams::positions() const {
  std::vector<v1::StreamPosition> out;
  if (config_version() > 0) out.push_back(position(v1::STREAM_CONFIG, config_.state()));
  if (directory_version() > 0) out.push_back(position(v1::STREAM_DIRECTORY, directory_.state()));
  if (quota_version() > 0) out.push_back(position(v1::STREAM_QUOTA, quota_.state()));
  if (switches_version() > 0) out.push_back(position(v1::STREAM_SWITCHES, switches_.state()));
  if (endpoints_version() > 0) out.push_back(position(v1::STREAM_ENDPOINTS, endpoints_.state()));
  if (certificates_version() > 0) out.push_back(position(v1::STREAM_CERTIFICATES, certificates_.state()));
  if (tickets_version() > 0) out.push_back(position(v1::STREAM_TICKETS, tickets_.state()));
  return out;
}

LastGood AgentStreams::whole() const {
  LastGood out;
  if (config_version() > 0) {
    v1::Offer& offer = out[v1::STREAM_CONFIG] = config_.whole();
    offer.set_needs_directory(0);  // it starts with the directory that lies beside it
  }
  if (directory_version() > 0) out[v1::STREAM_DIRECTORY] = directory_.whole();
  if (quota_version() > 0) out[v1::STREAM_QUOTA] = quota_.whole();
  if (switches_version() > 0) out[v1::STREAM_SWITCHES] = switches_.whole();
  if (endpoints_version() > 0) out[v1::STREAM_ENDPOINTS] = endpoints_.whole();
  if (certificates_version() > 0) out[v1::STREAM_CERTIFICATES] = certificates_.whole();
  if (tickets_version() > 0) out[v1::STREAM_TICKETS] = tickets_.whole();
  return out;
}

void AgentStreams::persisted(uint64_t change) {
  for (Activation& a : activations_) {
    if (a.change > change || a.on_disk) continue;
    a.on_disk = true;
    persisted_version_ = a.version;
    ack(v1::STREAM_CONFIG, a.version, v1::PERSISTED);
  }
  trim();
}

}  // namespace gw
