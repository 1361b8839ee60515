// TLS with clients: which handshakes are begun, and what is told of them.
#include <spdlog/spdlog.h>

#include <algorithm>

#include "dataplane/worker/worker.h"

namespace gw {
namespace {

constexpr int64_t kLogEveryMs = 1000;

TlsResult result_of(const TlsFilter& filter) {
  switch (filter.failure()) {
    case TlsFilter::Failure::kNone: break;
    case TlsFilter::Failure::kProtocol: return TlsResult::kProtocol;
    case TlsFilter::Failure::kNoHost: return TlsResult::kNoHost;
    case TlsFilter::Failure::kNoAlpn: return TlsResult::kNoAlpn;
    case TlsFilter::Failure::kCertificate: return TlsResult::kCertificate;
    case TlsFilter::Failure::kPeer: return TlsResult::kPeer;
  }
  if (!filter.ready()) return TlsResult::kPeer;  // it has left
  bool tls13 = std::string_view(filter.version()) == "TLSv1.3";
  if (filter.resumed()) return tls13 ? TlsResult::kResumed13 : TlsResult::kResumed12;
  return tls13 ? TlsResult::kOk13 : TlsResult::kOk12;
}

}  // namespace

std::unique_ptr<TlsFilter> Worker::open_tls(Front& front) {
  Socket& socket = sockets_[front.listener()];
  if (socket.tls == nullptr || socket.config == nullptr) return nullptr;
  const ListenerTls& limits = socket.config->tls;
  auto share = [this](int32_t of_node) { return std::max<size_t>(1, static_cast<size_t>(of_node) / options_.workers); };
  int64_t now_ms = loop_.now_ms();
  if (now_ms - socket.begun_ms >= 1000) {
    socket.begun_ms = now_ms;
    socket.begun = 0;
  }
  bool too_many = socket.handshakes >= share(limits.max_handshakes) ||
                  (limits.max_handshakes_per_second > 0 && socket.begun >= share(limits.max_handshakes_per_second));
  std::unique_ptr<TlsFilter> filter = too_many ? nullptr : socket.tls->open(loop_, current_->tables.tickets);
  if (filter == nullptr) {
    stats_.handshake(TlsResult::kLimit);
    return nullptr;
  }
  ++socket.begun;
  ++socket.handshakes;
  ++stats_.gauges().handshakes;
  return filter;
}

void Worker::tls_ended(Front& front, TlsFilter* filter, bool late) {
  Socket& socket = sockets_[front.listener()];
  --socket.handshakes;
  --stats_.gauges().handshakes;
  TlsResult result = late ? TlsResult::kTimeout : filter == nullptr ? TlsResult::kPeer : result_of(*filter);
  stats_.handshake(result);
  if (result <= TlsResult::kResumed13) return;
  // One line a second: whoever can connect can make handshakes fail.
  if (loop_.now_ms() < tls_log_ms_) return;
  tls_log_ms_ = loop_.now_ms() + kLogEveryMs;
  const ConnectionInfo& from = front.connection();
  std::string why = late ? "it took too long" : filter != nullptr && !filter->why().empty() ? filter->why() : "the client has left";
  spdlog::info("TLS handshake failed: listener {}, client {}, {}: {}", socket.listener_name,
               std::string_view(from.peer_text, from.peer_text_size), tls_result_name(result).result, why);
}

}  // namespace gw
