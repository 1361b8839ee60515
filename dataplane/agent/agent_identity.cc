// AgentLoop's certificate: by what it is let in, and its renewal.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "common/base/status.h"
#include "common/crypto/issuing.h"
#include "dataplane/agent/agent_loop.h"
#include "dataplane/agent/node_token.h"

namespace gw {
namespace {

constexpr int64_t kRenewRetryMinMs = 200;
constexpr int64_t kRenewRetryMaxMs = 60'000;
// A certificate is renewed when so much of its time is over, in thousandths; the nodes of one
// roll-out not all at once.
constexpr int64_t kRenewFrom = 600;
constexpr int64_t kRenewSpread = 130;

}  // namespace

// From the files, as they are now: another node process, or an operator, may have changed them.
absl::Status AgentLoop::load_identity() {
  if (!options_.identity) return absl::OkStatus();
  ControlIdentity found;
  auto kept = read_identity(options_.state_dir);
  if (kept.ok())
    found = *std::move(kept);
  else if (!absl::IsNotFound(kept.status()) && !std::exchange(identity_problem_said_, true)) {
    spdlog::warn("{}; the node joins anew", message_of(kept.status()));
  }
  if (!options_.control_ca_file.empty()) {
    GW_ASSIGN_OR_RETURN(found.ca, read_ca_file(options_.control_ca_file));
  } else if (!options_.join_token_file.empty()) {
    // What an operator put there counts beside what the node was told when it joined.
    auto file = read_join_file(options_.join_token_file);
    if (file.ok() && found.ca.find(file->ca) == std::string::npos) found.ca += file->ca;
  }
  if (found.ca.empty() && !options_.control.empty() && !is_loopback_control(options_.control)) {
    return failed_precondition("the control plane at " + options_.control +
                               " is not on this machine, so it is reached by TLS alone, and its CA "
                               "is not known: give the file of `gwctl node join-token` with "
                               "--join-token-file, or the CA with --control-ca-file");
  }
  if (found.ca.empty() || !is_issued_by(found.certificate, found.ca)) {
    found = ControlIdentity{std::move(found.ca), "", "", "", 0, 0};
  }
  take_identity(std::move(found));
  return absl::OkStatus();
}

void AgentLoop::take_identity(ControlIdentity identity) {
  mine_.certificate_ends = identity.not_after;
  if (identity.serial != serial_) {
    serial_ = identity.serial;
    int64_t thousandths = kRenewFrom + static_cast<int64_t>(random_.below(kRenewSpread));
    int64_t due_ms =
        identity.not_before * 1000 + (identity.not_after - identity.not_before) * thousandths;
    renew_at_ = now() + Millis(std::max<int64_t>(0, due_ms - wall_ms()));
  }
  options_.identity->set(std::move(identity));
}

// Whether a certificate is needed that the node does not have.
bool AgentLoop::lacks_certificate() const {
  if (!options_.identity) return false;
  auto identity = options_.identity->current().identity;
  return !identity->ca.empty() &&
         (identity->certificate.empty() || identity->not_after * 1000 <= wall_ms());
}

bool AgentLoop::renews() const { return link_ == Link::kUp && !serial_.empty() && !suspended_; }

// The join token for a node token, and over TLS a certificate.
absl::StatusOr<std::string> AgentLoop::join() {
  GW_ASSIGN_OR_RETURN(JoinFile file, read_join_file(options_.join_token_file));
  bool tls = options_.identity && !options_.identity->current().identity->ca.empty();
  std::string key, request;
  if (tls) {
    key = make_private_key();
    GW_ASSIGN_OR_RETURN(request, make_signing_request(key, options_.node));
  }
  GW_ASSIGN_OR_RETURN(v1::JoinResponse answer, channel_->join(file.token, options_.node, request));
  if (tls) GW_RETURN_IF_ERROR(keep_certificate(std::move(key), answer.certificate(), answer.ca()));
  GW_RETURN_IF_ERROR(write_node_token(options_.state_dir, answer.node_token()));
  token_refused_ = false;
  spdlog::info("joined {} as node {}{}", options_.control, options_.node,
               tls ? "; certificate " + serial_ : "");
  return answer.node_token();
}

absl::Status AgentLoop::keep_certificate(std::string key, const std::string& certificate,
                                         const std::string& ca) {
  auto made = make_identity(std::move(key), certificate, ca);
  if (!made.ok())
    return invalid_argument("the control plane's answer: " + message_of(made.status()));
  GW_RETURN_IF_ERROR(write_identity(options_.state_dir, *made));
  identity_problem_said_ = false;
  // An operator's own file says whom to trust, whatever the answer says.
  if (!options_.control_ca_file.empty()) made->ca = options_.identity->current().identity->ca;
  take_identity(*std::move(made));
  return absl::OkStatus();
}

// The streams begin anew with the new certificate: that costs no traffic, and no stream lives on
// one that has ended.
void AgentLoop::renew() {
  std::string key = make_private_key();
  auto request = make_signing_request(key, options_.node);
  auto token = read_token_file(node_token_path(options_.state_dir));
  absl::Status status = request.ok() ? token.status() : request.status();
  if (status.ok()) {
    auto answer = channel_->renew(*token, *request);
    status = answer.ok() ? keep_certificate(std::move(key), answer->certificate(), answer->ca())
                         : answer.status();
  }
  if (status.ok()) {
    spdlog::info("the certificate of node {} was renewed: {}", options_.node, serial_);
    leave();
    connect_at_ = now();
    return;
  }
  int64_t left_ms = mine_.certificate_ends * 1000 - wall_ms();
  renew_at_ = now() + Millis(std::clamp(left_ms / 10, kRenewRetryMinMs, kRenewRetryMaxMs));
  spdlog::warn("the certificate of node {}, which ends in {} s, could not be renewed: {}",
               options_.node, left_ms / 1000, message_of(status));
}

}  // namespace gw
