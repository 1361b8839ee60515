// A node for the agent, and offers of a small configuration, for tests of the agent.
#pragma once

#include <catch2/catch.hpp>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "common/base/diagnostic.h"
#include "common/base/status.h"
#include "dataplane/agent/node_sink.h"
#include "dataplane/snapshot/certificates.h"
#include "dataplane/snapshot/directory.h"
#include "dataplane/snapshot/endpoints.h"
#include "dataplane/snapshot/snapshot.h"
#include "dataplane/snapshot/switches.h"
#include "dataplane/snapshot/tickets.h"
#include "google/protobuf/text_format.h"
#include "tests/dataplane/snapshot/stream_maker.h"
#include "tests/support/temp_dir.h"

namespace gw::agent_test {

using test::TempDir;

template <class M>
M text(const std::string& proto) {
  M out;
  if (!google::protobuf::TextFormat::ParseFromString(proto, &out)) FAIL("not a message: " << proto);
  return out;
}

// Notes what it is told: "prepare 2", "activate 2", "abandon 2", "directory 1", "quota 1", "quota 1 stale", "switches 1", "tickets 1",
// "certificates 1".
// Any thread.
class FakeSink final : public NodeSink {
 public:
  absl::Status prepare(std::shared_ptr<const Snapshot> snapshot) override {
    note("prepare " + std::to_string(snapshot->version()));
    std::lock_guard lock(mu_);
    if (port_in_use.empty()) return absl::OkStatus();
    DiagnosticList list;
    list.error("GW3020", {"Gateway", "platform/edge"}, "spec.listeners[0].port", port_in_use);
    return to_status(list, absl::StatusCode::kFailedPrecondition);
  }
  void activate(std::shared_ptr<const Snapshot> snapshot) override {
    note("activate " + std::to_string(snapshot->version()));
    uint64_t before;
    std::function<void(uint64_t)> done;
    {
      std::lock_guard lock(mu_);
      before = active_;
      active_ = snapshot->version();
      done = on_drained;
    }
    if (done && before != 0) done(before);
  }
  void abandon(uint64_t version) override { note("abandon " + std::to_string(version)); }
  void directory(std::shared_ptr<const Directory> d) override { note("directory " + std::to_string(d->version())); }
  void quota(std::shared_ptr<const QuotaView> q) override {
    note("quota " + std::to_string(q->version()) + (q->stale() ? " stale" : ""));
  }
  void switches(std::shared_ptr<const Switches> s) override { note("switches " + std::to_string(s->version())); }
  void endpoints(std::shared_ptr<const Endpoints> e) override { note("endpoints " + std::to_string(e->version())); }
  void tickets(std::shared_ptr<const TicketKeys> k) override { note("tickets " + std::to_string(k->version())); }
  absl::Status certificates(std::shared_ptr<const CertificateTable> t) override {
    note("certificates " + std::to_string(t->version()));
    std::lock_guard lock(mu_);
    table_ = t;
    return certificates_unusable.empty() ? absl::OkStatus() : invalid_argument(certificates_unusable);
  }
  std::vector<v1::BoundListener> listeners() override {
    v1::BoundListener l;
    l.set_name("http");
    l.set_port(8080);
    return {l};
  }

  std::vector<std::string> calls() {
    std::lock_guard lock(mu_);
    return calls_;
  }
  std::vector<std::string> take() {
    std::lock_guard lock(mu_);
    return std::exchange(calls_, {});
  }
  // The last that it was given.
  std::shared_ptr<const CertificateTable> table() {
    std::lock_guard lock(mu_);
    return table_;
  }
  void set_certificates_unusable(std::string why) {
    std::lock_guard lock(mu_);
    certificates_unusable = std::move(why);
  }
  void set_port_in_use(std::string why) {
    std::lock_guard lock(mu_);
    port_in_use = std::move(why);
  }
  // Waits for the event, with a generous cap.
  bool wait_for(const std::string& call) {
    std::unique_lock lock(mu_);
    return changed_.wait_for(lock, std::chrono::seconds(60), [&] {
      for (const std::string& c : calls_) {
        if (c == call) return true;
      }
      return false;
    });
  }
  // Called with the version that the new one took the place of; empty: the test says when.
  std::function<void(uint64_t)> on_drained;

 private:
  void note(std::string call) {
    std::lock_guard lock(mu_);
    calls_.push_back(std::move(call));
    changed_.notify_all();
  }
  std::mutex mu_;
  std::condition_variable changed_;
  std::vector<std::string> calls_;
  std::string port_in_use, certificates_unusable;
  std::shared_ptr<const CertificateTable> table_ = CertificateTable::none();
  uint64_t active_ = 0;
};

// A gateway, an Api and a route; each change is another answer of the route.
struct Config {
  gw::testing::StreamMaker maker{v1::STREAM_CONFIG};

  Config() {
    maker.put(v1::ENTRY_GATEWAY, 1,
              text<v1::GatewayEntry>("name { owner: 'platform' name: 'edge' } listeners { name: 'http' address: '127.0.0.1' "
                                     "port: 8080 protocol: PROTOCOL_HTTP }"));
    maker.put(v1::ENTRY_API, 2,
              text<v1::ApiEntry>("name { owner: 'platform' name: 'all' } gateways: 1 hosts: '*' base_path: '/' "
                                 "allow_anonymous: true"));
    answer("v1");
  }
  void answer(const std::string& body, int status = 200) {
    maker.put(v1::ENTRY_ROUTE, 3,
              text<v1::RouteEntry>("name { owner: 'platform' name: 'all' } api: 2 match { path { prefix: '/' } } respond { status: " +
                                   std::to_string(status) + " body: '" + body + "' }"));
  }
  v1::Offer whole() { return maker.whole(); }
  v1::Offer change(const std::string& body) {
    answer(body);
    return maker.delta();
  }
};

struct Records {
  gw::testing::StreamMaker maker{v1::STREAM_DIRECTORY};
  uint64_t next = 1;
  Records() { add(); }
  void add() {
    maker.put(v1::ENTRY_CONSUMER, next,
              text<v1::ConsumerEntry>("name { owner: 'platform' name: 'c" + std::to_string(next) + "' }"));
    ++next;
  }
  v1::Offer whole() { return maker.whole(); }
  v1::Offer change() {
    add();
    return maker.delta();
  }
};

}  // namespace gw::agent_test
