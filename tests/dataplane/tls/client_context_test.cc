#include "dataplane/tls/client_context.h"

#include <catch2/catch.hpp>
#include <condition_variable>
#include <ctime>
#include <mutex>
#include <thread>

#include "common/crypto/certificates.h"
#include "dataplane/loop/socket_address.h"
#include "dataplane/loop/tcp_stream.h"
#include "tests/support/certificates.h"
#include "tests/support/tls_client.h"

namespace gw::test {
namespace {

// One connection of the context's, on a loop of its own: says "hello" and waits for the answer or the end.
class Caller final : private TcpStream::Events {
 public:
  Caller(std::shared_ptr<const TlsClientContext> context, uint16_t port, std::string host, bool offer_http2)
      : context_(std::move(context)), host_(std::move(host)), offer_http2_(offer_http2), stream_(loop_, *this) {
    loop_.post([this, port] {
      sockaddr_storage address;
      socklen_t size = fill_socket_address(*IpAddress::parse("127.0.0.1"), port, address);
      stream_.connect(reinterpret_cast<sockaddr*>(&address), size);
    });
    thread_ = std::thread([this] { loop_.run(); });
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::milliseconds(kCapMs), [&] { return done_; });
    loop_.stop();
    lock.unlock();
    thread_.join();
    stream_.close();
  }

  std::string got, why;
  bool http2 = false;

 private:
  std::span<char> read_buffer() override { return room_; }
  void on_read(size_t size) override {
    got.append(room_, size);
    finish();
  }
  void on_connected(int) override {
    // Before the handshake is done it is kept.
    auto filter = context_->open(loop_, host_, offer_http2_);
    filter_ = filter.get();
    stream_.secure(std::move(filter));
    stream_.write("hel", "lo");
    stream_.read_start();
  }
  void on_secured() override { http2 = filter_->http2(); }
  void on_read_end(int) override { finish(); }
  void on_write_error(int) override { finish(); }
  void finish() {
    std::lock_guard lock(mutex_);
    why = filter_->why();
    done_ = true;
    changed_.notify_all();
  }

  Loop loop_;
  std::shared_ptr<const TlsClientContext> context_;
  std::string host_;
  bool offer_http2_;
  TcpStream stream_;
  TlsFilter* filter_ = nullptr;
  char room_[4096];
  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
  std::thread thread_;
};

// A server that shows a key pair and answers "NAME CLIENT", with the host that was asked for and the subject of the certificate shown.
class TlsTarget {
 public:
  explicit TlsTarget(TlsOptions options) : server_([options](Connection& connection, int) {
    TlsConnection tls(connection, options);
    if (!tls.handshake() || tls.read().empty()) return;
    tls.send(tls.server_name() + " " + tls.peer_subject());
    tls.read();
  }) {}
  uint16_t port() const { return server_.port(); }

 private:
  Server server_;
};

struct Called {
  std::string got, why;
  bool http2;
};

Called call(TlsClientConfig config, const TlsTarget& target, const std::string& host = "api.internal", bool http2 = false) {
  auto context = TlsClientContext::make(std::move(config));
  REQUIRE(context.ok());
  Caller caller(*context, target.port(), host, http2);
  return {caller.got, caller.why, caller.http2};
}

std::shared_ptr<const TrustStore> trusting(const std::string& ca) {
  auto store = TrustStore::parse(ca, {});
  REQUIRE(store.ok());
  return *store;
}

TEST_CASE("A target's certificate is checked: authority, name, date, purpose, pins", "[tls]") {
  int64_t now = std::time(nullptr);
  CertificateMaker ca(now), strangers(now, "Strangers");
  Issued fine = ca.issue({.dns = {"api.internal"}, .uri = {"spiffe://internal/api"}});
  TlsTarget target({.key_pair = fine.pem()});
  TlsClientConfig config;
  config.trust = trusting(ca.root());
  CHECK(call(config, target).got == "api.internal ");
  CHECK(call(config, target, "other.internal").why == "the target's certificate does not hold: the certificate is not for other.internal");
  CHECK(call(config, target, "127.0.0.1").why == "the target's certificate does not hold: the certificate is not for 127.0.0.1");
  TlsClientConfig named = config;
  named.server_name = "api.internal";
  CHECK(call(named, target, "127.0.0.1").got == "api.internal ");
  TlsClientConfig spiffe = config;
  spiffe.names = {"spiffe://internal/api"};
  CHECK(call(spiffe, target, "127.0.0.1").got == " ");
  spiffe.names = {"spiffe://internal/other"};
  CHECK(call(spiffe, target).got.empty());
  TlsClientConfig pinned = config;
  auto facts = parse_chain(fine.certificate);
  REQUIRE(facts.ok());
  pinned.pins = {std::string(64, '0'), facts->leaf().spki_sha256};
  CHECK(call(pinned, target).got == "api.internal ");
  pinned.pins.pop_back();
  CHECK(call(pinned, target).why.find("pins") != std::string::npos);
  pinned.verify = false;
  CHECK(call(pinned, target).why.find("pins") != std::string::npos);

  IssueOptions expired{.dns = {"api.internal"}};
  expired.not_before = -7200;
  expired.not_after = -3600;
  IssueOptions wrong{.dns = {"api.internal"}, .server = false, .client = true};
  for (const Issued& bad : {ca.issue(expired), ca.issue(wrong), strangers.issue({"api.internal"})}) {
    TlsTarget other({.key_pair = bad.pem()});
    CHECK(call(config, other).got.empty());
    TlsClientConfig whoever;
    whoever.verify = false;
    CHECK(call(whoever, other).got == "api.internal ");
  }
}

TEST_CASE("The gateway shows its own certificate to targets that ask", "[tls]") {
  int64_t now = std::time(nullptr);
  CertificateMaker ca(now);
  IssueOptions mine{.dns = {"gateway.internal"}, .server = false, .client = true};
  TlsTarget target({.ca = ca.root(), .key_pair = ca.issue({"api.internal"}).pem()});
  TlsClientConfig config;
  config.trust = trusting(ca.root());
  CHECK(call(config, target).got.empty());
  auto pair = TlsKeyPair::parse(ca.issue(mine).pem(), {});
  REQUIRE(pair.ok());
  config.key_pair = *pair;
  CHECK(call(config, target).got == "api.internal gateway.internal");
}

TEST_CASE("ALPN tells which version of HTTP a target speaks", "[tls]") {
  CertificateMaker ca(std::time(nullptr));
  std::string pem = ca.issue({"api.internal"}).pem();
  TlsTarget modern({.alpn = std::string("\x02h2", 3), .key_pair = pem}), plain({.alpn = std::string("\x08http/1.1", 9), .key_pair = pem});
  TlsClientConfig config;
  config.trust = trusting(ca.root());
  CHECK(call(config, modern, "api.internal", true).http2);
  CHECK_FALSE(call(config, plain, "api.internal", true).http2);
  CHECK_FALSE(call(config, modern, "api.internal", false).http2);
}

}  // namespace
}  // namespace gw::test
