// The control channel over TLS: what each side shows, and when it shows another certificate.
#include <algorithm>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <mutex>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "common/crypto/certificates.h"
#include "common/crypto/issuing.h"
#include "controlplane/grpc_listener.h"
#include "controlplane/push/config_sync_service.h"
#include "dataplane/agent/grpc_channels.h"

using namespace gw;

namespace {

int64_t tls_now() { return SystemClock::instance().wall_ns() / 1'000'000'000; }

CaPair tls_ca() { return *make_ca("Northgate test", tls_now() - 60, tls_now() + 3600); }

CaPair issued_by(const CaPair& ca, const std::string& name, bool server) {
  IssueTerms terms;
  terms.name = name;
  terms.server = server;
  terms.client = !server;
  if (server) terms.ip = {"127.0.0.1"};
  terms.not_before = tls_now() - 60;
  terms.not_after = tls_now() + 600;
  CaPair out;
  out.key = make_private_key();
  out.certificate = issue_certificate(ca, *make_signing_request(out.key, name), terms)->certificate;
  return out;
}

// Notes what nodes show, and turns every one away.
class Noting final : public NodeLinkHandler {
 public:
  void join(std::string, v1::JoinRequest request, GrantDone done) override {
    done(NodeGrant{"token of " + request.node(), request.signing_request(), ""});
  }
  void renew(NodeCredentials credentials, v1::RenewRequest, GrantDone done) override {
    done(NodeGrant{"", credentials.certificate, ""});
  }
  void opened(std::shared_ptr<NodeLink> link, NodeCredentials credentials) override {
    {
      std::lock_guard lock(mu);
      all.push_back(std::move(credentials));
    }
    link->close(aborted("seen"));
  }
  void received(std::shared_ptr<NodeLink>, v1::FromNode, Done done) override { done(); }
  void closed(std::shared_ptr<NodeLink>) override {}

  // What was shown, in order.
  std::vector<NodeCredentials> shown() {
    std::lock_guard lock(mu);
    return all;
  }

 private:
  std::mutex mu;
  std::vector<NodeCredentials> all;
};

class Ended final : public SyncEvents {
 public:
  void on_message(v1::ToNode) override {}
  void on_closed(absl::Status status) override {
    std::lock_guard lock(mu_);
    status_ = std::move(status);
    changed_.notify_all();
  }
  absl::Status wait() {
    std::unique_lock lock(mu_);
    REQUIRE(changed_.wait_for(lock, std::chrono::seconds(60), [&] { return status_.has_value(); }));
    return *std::exchange(status_, std::nullopt);
  }

 private:
  std::mutex mu_;
  std::condition_variable changed_;
  std::optional<absl::Status> status_;
};

struct TlsServer {
  CaPair ca = tls_ca();
  Noting seen;
  ConfigSyncService service{seen};
  std::mutex mu;
  ControlTls::Pair pair;
  std::unique_ptr<GrpcListener> listener;

  TlsServer() {
    show(issued_by(ca, "server", true));
    ControlTls tls{ca.certificate, [this] {
                     std::lock_guard lock(mu);
                     return pair;
                   }};
    listener = *GrpcListener::start("127.0.0.1", 0, {service.service()}, std::move(tls));
  }
  ~TlsServer() { listener->stop(); }
  void show(CaPair made) {
    std::lock_guard lock(mu);
    pair = {pair.number + 1, made.certificate, made.key};
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(listener->port()); }
  absl::Status dial(SyncChannel& channel) {
    Ended events;
    channel.open("token", events);
    absl::Status out = events.wait();
    channel.close();
    return out;
  }
};

void hold(IdentityHolder& holder, const std::string& ca, const CaPair& own) {
  ControlIdentity identity;
  identity.ca = ca;
  identity.certificate = own.certificate;
  identity.key = own.key;
  holder.set(std::move(identity));
}

std::string serial_of(const std::string& certificate) {
  auto chain = parse_chain(certificate);
  return chain.ok() ? chain->leaf().serial : "";
}

}  // namespace

TEST_CASE(
    "over TLS a node shows the certificate that is in force when it dials, and none to join") {
  TlsServer server;
  auto holder = std::make_shared<IdentityHolder>();
  CaPair first = issued_by(server.ca, "n1", false), second = issued_by(server.ca, "n1", false);
  hold(*holder, server.ca.certificate, first);
  auto channel = make_grpc_sync_channel(server.address(), holder);
  auto joined = channel->join("join", "n1", "request");
  INFO(message_of(joined.status()));
  REQUIRE(joined.ok());
  CHECK(joined->node_token() == "token of n1");
  CHECK(server.dial(*channel).code() == absl::StatusCode::kAborted);
  CHECK(serial_of(channel->renew("token", "request")->certificate()) ==
        serial_of(first.certificate));
  hold(*holder, server.ca.certificate, second);
  CHECK(server.dial(*channel).code() == absl::StatusCode::kAborted);
  std::vector<NodeCredentials> shown = server.seen.shown();
  REQUIRE(shown.size() == 2);
  CHECK(serial_of(shown[0].certificate) == serial_of(first.certificate));
  CHECK(serial_of(shown[1].certificate) == serial_of(second.certificate));
}

TEST_CASE("a control plane that shows another certificate is asked for it at the next handshake") {
  TlsServer server;
  auto holder = std::make_shared<IdentityHolder>();
  CaPair own = issued_by(server.ca, "n1", false);
  hold(*holder, server.ca.certificate, own);
  auto channel = make_grpc_sync_channel(server.address(), holder);
  CHECK(server.dial(*channel).code() == absl::StatusCode::kAborted);
  CaPair other = tls_ca();
  server.show(issued_by(other, "server", true));
  REQUIRE(channel->renew("token", "request").ok());  // the connection that stands goes on
  absl::Status refused = server.dial(*channel);
  CHECK(refused.code() == absl::StatusCode::kUnavailable);
  CHECK(message_of(refused).find("not one of the CA that this node trusts") != std::string::npos);
  hold(*holder, other.certificate, own);
  CHECK(server.dial(*channel).code() == absl::StatusCode::kAborted);
}

TEST_CASE("a certificate of another CA does not get through the handshake") {
  TlsServer server;
  CaPair other = tls_ca();
  auto holder = std::make_shared<IdentityHolder>();
  hold(*holder, server.ca.certificate, issued_by(other, "n1", false));
  auto channel = make_grpc_sync_channel(server.address(), holder);
  CHECK(server.dial(*channel).code() == absl::StatusCode::kUnavailable);
  // Nor does that of a server, shown by a client.
  hold(*holder, server.ca.certificate, issued_by(server.ca, "n1", true));
  CHECK(server.dial(*channel).code() == absl::StatusCode::kUnavailable);
  CHECK(server.seen.shown().empty());
}
