// Targets that speak TLS.
#include <spdlog/spdlog.h>

#include "dataplane/tls/tls_filter.h"
#include "dataplane/upstream/endpoint.h"
#include "dataplane/upstream/pool.h"

namespace gw {
namespace {

constexpr int64_t kLogEveryMs = 1000;

}  // namespace

std::string_view tls_name_of(const UpstreamTarget& target) {
  // An address that a name was found by is asked for that name.
  return target.source == UpstreamTarget::Source::kDns ? target.found_by : target.host;
}

const std::shared_ptr<const TlsClientContext>& UpstreamPool::tls_of(uint64_t upstream_uid) const {
  static const std::shared_ptr<const TlsClientContext> kNone;
  auto at = tls_->find(upstream_uid);
  return at != tls_->end() ? at->second : kNone;
}

void UpstreamPool::use_tls(Endpoint& endpoint, const std::shared_ptr<const TlsClientContext>& context) {
  if (endpoint.tls == context) return;
  if (endpoint.tls != nullptr) close_idle(endpoint);
  endpoint.tls = context;
}

void UpstreamPool::configure(std::shared_ptr<const TlsClients> clients) {
  tls_ = std::move(clients);
  for (auto& upstream : upstreams_) {
    if (upstream == nullptr || !upstream->config->tls) continue;
    for (auto& endpoint : upstream->endpoints) use_tls(*endpoint, tls_of(upstream->uid));
  }
}

std::unique_ptr<StreamFilter> UpstreamPool::open_tls(const Endpoint& endpoint, bool http2) {
  return endpoint.tls == nullptr ? nullptr : endpoint.tls->open(loop_, tls_name_of(endpoint.target), http2);
}

void UpstreamPool::session_not_secured(http1::ClientSession& session, StreamFilter& filter) {
  not_secured(*static_cast<const Endpoint*>(session.endpoint), filter);
}

void UpstreamPool::session_not_secured(http2::ClientSession& session, StreamFilter& filter) {
  not_secured(*static_cast<const Endpoint*>(session.endpoint), filter);
}

void UpstreamPool::not_secured(const Endpoint& endpoint, const StreamFilter& filter) {
  options_.stats->count(Counter::kUpstreamTlsFailed);
  if (loop_.now_ms() < tls_log_ms_) return;
  tls_log_ms_ = loop_.now_ms() + kLogEveryMs;
  spdlog::warn("TLS handshake with target {} failed: {}", endpoint.target.authority,
               filter.why().empty() ? "the target has closed the connection" : filter.why());
}

}  // namespace gw
