#include "dataplane/upstream/health_checker.h"

#include <pthread.h>

#include <algorithm>
#include <map>
#include <thread>
#include <unordered_map>
#include <utility>

#include "dataplane/loop/socket_address.h"
#include "dataplane/snapshot/snapshot.h"
#include "dataplane/upstream/http2_call.h"

namespace gw {
namespace {

using http1::ClientSession;

// One target, asked again and again.
class Probe final : private UpstreamEvents, private http1::ClientHost {
 public:
  using Tell = std::function<void(const HealthChange&)>;

  Probe(Loop& loop, FastRandom& random, const Tell& tell, uint64_t upstream_uid)
      : loop_(loop),
        random_(random),
        tell_(tell),
        upstream_uid_(upstream_uid),
        timer_([](void* self) { static_cast<Probe*>(self)->timed_out(); }, this),
        bury_task_([](void* self) { static_cast<Probe*>(self)->bury(); }, this) {}
  ~Probe() override {
    finish();
    bury();
  }

  void configure(const UpstreamConfig& upstream, const UpstreamTarget& target, std::shared_ptr<const TlsClientContext> tls) {
    speaks_tls_ = upstream.tls.has_value();
    tls_ = std::move(tls);
    bool http2 = upstream.protocol == v1::UpstreamSpec::PROTOCOL_HTTP2 || upstream.active->by_grpc;
    bool again = !(*upstream.active == config_) || http2 != http2_ || upstream.proxy_protocol != proxy_protocol_;
    http2_ = http2;
    limits_ = http2_limits(upstream.http2);
    proxy_protocol_ = upstream.proxy_protocol;
    config_ = *upstream.active;
    target_ = target;
    if (waiting_ && known()) connect();
    if (began_ && !again) return;
    finish();
    // The first one soon, but not at the same moment as all others.
    loop_.arm(timer_, static_cast<int64_t>(random_.below(static_cast<uint64_t>(std::min<int64_t>(config_.interval_ms, 1000)))));
    began_ = true;
  }
  // It is no longer asked: no verdict is left behind.
  void forget() {
    if (!well_) tell_({upstream_uid_, target_.authority, HealthChange::What::kProbeGood, 0});
  }

 private:
  static constexpr size_t kMaxBody = 1024;  // of an answer of the gRPC health protocol

  void ask() {
    response_.clear();
    body_.clear();
    loop_.arm(timer_, config_.timeout_ms);
    bool asks = write_request();
    if (http2_) {
      call_.reset(new Http2Call(loop_, *this, limits_, target_.authority));
      if (proxy_protocol_ != v1::UpstreamSpec::PROXY_PROTOCOL_NONE) call_->announce(proxy_text(proxy_protocol_, ProxyHeader()));
      call_->ask(asks ? &request_ : nullptr, config_.by_grpc ? grpc_health_request(config_.grpc_service) : std::string());
    } else {
      session_ = new ClientSession(loop_, *this);
      session_->retire();  // a connection for each probe
      if (proxy_protocol_ != v1::UpstreamSpec::PROXY_PROTOCOL_NONE) announce(*session_, proxy_protocol_, ProxyHeader());
      session_->lease(*this, Method::kGet);
      if (asks) {
        session_->send_head(request_);
        session_->flush();
      }
    }
    connect();
  }
  // False: a connection is enough.
  bool write_request() {
    request_.clear();
    if (config_.path.empty() && !config_.by_grpc) return false;
    host_ = !config_.host.empty()                                ? config_.host
            : target_.source == UpstreamTarget::Source::kDns ? authority_of(target_.found_by, target_.port)
                                                             : target_.authority;
    request_.authority = host_;
    request_.headers.add("user-agent", "Northgate-health");
    if (config_.by_grpc) {
      request_.method = Method::kPost;
      request_.method_text = "POST";
      request_.target = "/grpc.health.v1.Health/Check";
      request_.headers.add("content-type", "application/grpc");
      request_.has_body = request_.wants_trailers = true;
      return true;
    }
    request_.method = Method::kGet;
    request_.method_text = "GET";
    request_.target = config_.path;
    request_.headers.add("accept", "*/*");
    return true;
  }
  void connect() {
    waiting_ = !known();
    if (waiting_) return;  // timed_out() comes at the latest
    IpAddress address = target_.address;
    if (!target_.is_address) {
      const auto& list = target_.addresses->list;
      if (list.empty()) {
        constexpr const char* kUnknown = "the target's name cannot be resolved";
        call_ != nullptr ? call_->connect_failed(kUnknown) : session_->connect_failed(kUnknown);
        return;
      }
      address = list[next_address_++ % list.size()];
    }
    if (speaks_tls_ && !secure()) return;
    sockaddr_storage where;
    socklen_t size = fill_socket_address(address, target_.port, where);
    const auto* at = reinterpret_cast<sockaddr*>(&where);
    call_ != nullptr ? call_->connect(at, size, config_.timeout_ms) : session_->connect(at, size, config_.timeout_ms);
  }
  // False: the probe has failed.
  bool secure() {
    std::unique_ptr<StreamFilter> filter = tls_ == nullptr ? nullptr : tls_->open(loop_, tls_name_of(target_), http2_);
    if (filter == nullptr) {
      constexpr const char* kNoTls = "TLS to the target could not be set up";
      call_ != nullptr ? call_->connect_failed(kNoTls) : session_->connect_failed(kNoTls);
      return false;
    }
    call_ != nullptr ? call_->secure(std::move(filter)) : session_->secure(std::move(filter));
    return true;
  }
  bool known() const { return target_.is_address || target_.addresses != nullptr; }
  void timed_out() {
    if (!at_work()) {
      ask();
    } else {
      ended(false);
    }
  }
  bool at_work() const { return session_ != nullptr || call_ != nullptr; }
  void ended(bool good) {
    finish();
    waiting_ = false;
    in_row_ = good == last_good_ ? in_row_ + 1 : 1;
    last_good_ = good;
    if (well_ && !good && in_row_ >= config_.unhealthy_after) {
      well_ = false;
      tell_({upstream_uid_, target_.authority, HealthChange::What::kProbeFailed, 0});
    } else if (!well_ && good && in_row_ >= config_.healthy_after) {
      well_ = true;
      tell_({upstream_uid_, target_.authority, HealthChange::What::kProbeGood, 0});
    }
    int64_t tenth = std::max<int64_t>(1, config_.interval_ms / 10);
    loop_.arm(timer_, config_.interval_ms - tenth + static_cast<int64_t>(random_.below(static_cast<uint64_t>(2 * tenth) + 1)));
  }
  void finish() {
    if (ClientSession* session = std::exchange(session_, nullptr)) session->release();
    if (call_ == nullptr) return;
    call_->finish();
    dead_calls_.push_back(std::move(call_));
    loop_.defer(bury_task_);
  }
  void bury() {
    dead_calls_.clear();
    for (ClientSession* session : std::exchange(dead_, {})) delete session;
  }

  // UpstreamEvents
  ResponseHead& response_head() override { return response_; }
  void on_response_interim(int, const HeaderList&) override {}
  void on_response_head() override {
    if (config_.by_grpc && response_.status == 200) return;  // the body and what follows it tell
    ended(!config_.by_grpc && response_.status >= 200 && response_.status < 400);
  }
  void on_response_data(std::string_view piece, bool last, const HeaderList* trailers) override {
    if (call_ == nullptr || !config_.by_grpc) return;
    body_.append(piece);
    if (!last && body_.size() <= kMaxBody) return;
    const HeaderField* status = trailers == nullptr ? nullptr : trailers->find("grpc-status");
    ended(last && status != nullptr && status->value == "0" && grpc_says_serving(body_));
  }
  void on_upstream_failed(const ProxyError&) override { ended(false); }
  void on_upstream_drained() override {
    bool there = call_ != nullptr || (session_ != nullptr && session_->connected());
    if (there && config_.path.empty() && !config_.by_grpc) ended(true);
  }
  void on_response_read_done() override {}
  void on_upstream_available() override {}
  // ClientHost
  void session_idle(ClientSession& session) override { session.close(); }
  void session_closed(ClientSession& session) override {
    dead_.push_back(&session);
    loop_.defer(bury_task_);
  }
  std::string_view session_target(const ClientSession&) const override { return target_.authority; }

  Loop& loop_;
  FastRandom& random_;
  const Tell& tell_;
  const uint64_t upstream_uid_;
  ActiveHealthConfig config_;
  UpstreamTarget target_;
  v1::UpstreamSpec::ProxyProtocol proxy_protocol_ = v1::UpstreamSpec::PROXY_PROTOCOL_NONE;
  std::string host_;
  RequestHead request_;
  ResponseHead response_;
  std::string body_;
  // The probe in work: one of both.
  ClientSession* session_ = nullptr;
  std::unique_ptr<Http2Call> call_;
  std::vector<ClientSession*> dead_;
  std::vector<std::unique_ptr<Http2Call>> dead_calls_;
  Http2Limits limits_;
  Timer timer_;  // to the next probe, or of the one in work
  Deferred bury_task_;
  size_t next_address_ = 0;
  int in_row_ = 0;
  bool well_ = true, last_good_ = true, waiting_ = false, began_ = false;
  bool http2_ = false;
  bool speaks_tls_ = false;
  std::shared_ptr<const TlsClientContext> tls_;
};

}  // namespace

class HealthChecker::Impl {
 public:
  explicit Impl(std::function<void(const HealthChange&)> tell) : tell_(std::move(tell)) {
    thread_ = std::thread([this] {
      pthread_setname_np(pthread_self(), "gw-health");
      loop_.run();
      upstreams_.clear();
    });
  }
  ~Impl() {
    loop_.stop();
    thread_.join();
  }

  void configure(std::shared_ptr<const Snapshot> snapshot, std::shared_ptr<const TlsClients> clients) {
    loop_.post([this, snapshot = std::move(snapshot), clients = std::move(clients)] { take(*snapshot, *clients); });
  }
  void apply(std::shared_ptr<const std::vector<TargetsChange>> changes) {
    loop_.post([this, changes = std::move(changes)] {
      for (const TargetsChange& change : *changes) take(change);
    });
  }

 private:
  using Probes = std::map<std::string, std::unique_ptr<Probe>>;  // by authority

  struct Probed {
    std::shared_ptr<const UpstreamConfig> config;
    std::shared_ptr<const TlsClientContext> tls;
    Probes probes;
  };

  void take(const Snapshot& snapshot, const TlsClients& clients) {
    std::map<uint64_t, Probed> before = std::exchange(upstreams_, {});
    for (const auto& config : snapshot.upstreams()) {
      if (config == nullptr || !config->active) continue;
      Probed& upstream = upstreams_[config->uid];
      if (auto known = before.find(config->uid); known != before.end()) upstream = std::move(known->second);
      auto tls = clients.find(config->uid);
      std::shared_ptr<const TlsClientContext> context = tls != clients.end() ? tls->second : nullptr;
      bool same = upstream.config == config && upstream.tls == context;
      upstream.config = config;
      upstream.tls = std::move(context);
      if (!same) aim(upstream);
    }
    for (auto& [uid, upstream] : before) {
      for (auto& [authority, probe] : upstream.probes) probe->forget();
    }
  }

  void take(const TargetsChange& change) {
    if (change.found == nullptr) {
      found_.erase(change.upstream_uid);
    } else {
      found_[change.upstream_uid] = change.found;
    }
    auto at = upstreams_.find(change.upstream_uid);
    if (at != upstreams_.end()) aim(at->second);
  }

  // A probe for each target; those that stay keep what is known of them.
  void aim(Probed& upstream) {
    const UpstreamConfig& config = *upstream.config;
    auto known = found_.find(config.uid);
    const FoundTargets* found = known == found_.end() ? nullptr : known->second.get();
    Probes before = std::exchange(upstream.probes, {});
    for (const UpstreamTarget& target : merge_targets(config, found, *Switches::none())) {
      if (target.source == UpstreamTarget::Source::kAwaited) continue;
      std::unique_ptr<Probe>& probe = upstream.probes[target.authority];
      if (probe != nullptr) continue;  // the same target twice is asked once
      if (auto kept = before.find(target.authority); kept != before.end()) {
        probe = std::move(kept->second);
        before.erase(kept);
      } else {
        probe = std::make_unique<Probe>(loop_, random_, tell_, config.uid);
      }
      probe->configure(config, target, upstream.tls);
    }
    for (auto& [authority, probe] : before) {
      if (probe != nullptr) probe->forget();
    }
  }

  std::function<void(const HealthChange&)> tell_;
  Loop loop_;
  FastRandom random_;
  std::unordered_map<uint64_t, std::shared_ptr<const FoundTargets>> found_;  // by upstream's uid
  std::map<uint64_t, Probed> upstreams_;                                     // with active health
  std::thread thread_;
};

HealthChecker::HealthChecker(std::function<void(const HealthChange&)> tell) : impl_(std::make_unique<Impl>(std::move(tell))) {}
HealthChecker::~HealthChecker() = default;
void HealthChecker::configure(std::shared_ptr<const Snapshot> snapshot, std::shared_ptr<const TlsClients> clients) {
  impl_->configure(std::move(snapshot), std::move(clients));
}
void HealthChecker::apply(std::shared_ptr<const std::vector<TargetsChange>> changes) { impl_->apply(std::move(changes)); }

}  // namespace gw
