#include "dataplane/tls/client_context.h"

#include "common/base/status.h"
#include "common/http/address.h"
#include "dataplane/tls/filter_ssl.h"
#include "dataplane/tls/peer_check.h"

namespace gw {

struct TlsClientContext::Impl {
  bssl::UniquePtr<SSL_CTX> context;
};

struct TlsClientContext::Callbacks {
  static ssl_verify_result_t verify(SSL* ssl, uint8_t* alert) {
    TlsFilter::Ssl& state = TlsFilter::Ssl::of(ssl);
    const TlsClientConfig& config = static_cast<const TlsClientContext*>(state.context.get())->config_;
    PeerRules rules{.trust = config.verify ? config.trust.get() : nullptr, .server = true, .names = config.names, .pins = &config.pins};
    if (rules.names.empty()) rules.names.push_back(state.server_name);
    PeerVerdict verdict = check_peer(ssl, rules);
    if (!verdict.ok) {
      *alert = verdict.alert;
      TlsFilter::Ssl::filter_of(ssl).fail(TlsFilter::Failure::kCertificate, "the target's certificate does not hold: " + verdict.why);
      return ssl_verify_invalid;
    }
    return ssl_verify_ok;
  }
};

TlsClientContext::TlsClientContext() : impl_(std::make_unique<Impl>()) {}
TlsClientContext::~TlsClientContext() = default;

absl::StatusOr<std::shared_ptr<const TlsClientContext>> TlsClientContext::make(TlsClientConfig config) {
  std::shared_ptr<TlsClientContext> self(new TlsClientContext);
  self->config_ = std::move(config);
  const TlsClientConfig& c = self->config_;
  if (c.verify && c.trust == nullptr) return invalid_argument("there are no CA certificates to verify with");
  SSL_CTX* context = SSL_CTX_new(TLS_with_buffers_method());
  self->impl_->context.reset(context);
  if (context == nullptr || SSL_CTX_set_min_proto_version(context, c.tls13_only ? TLS1_3_VERSION : TLS1_2_VERSION) != 1) {
    return internal_error("TLS cannot be set up: " + take_tls_error());
  }
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_custom_verify(context, SSL_VERIFY_PEER, Callbacks::verify);
  if (c.key_pair != nullptr) {
    const TlsKeyPair::Impl& pair = c.key_pair->impl();
    if (SSL_CTX_set_chain_and_key(context, pair.chain_view.data(), pair.chain_view.size(), pair.key.get(), nullptr) != 1) {
      return invalid_argument("the client certificate cannot be used: " + take_tls_error());
    }
  }
  return std::shared_ptr<const TlsClientContext>(std::move(self));
}

std::unique_ptr<TlsFilter> TlsClientContext::open(Loop& loop, std::string_view host, bool http2) const {
  auto state = std::make_unique<TlsFilter::Ssl>();
  state->ssl.reset(SSL_new(impl_->context.get()));
  if (state->ssl == nullptr) return nullptr;
  SSL_set_connect_state(state->ssl.get());
  std::string_view offer = http2 ? std::string_view("\x02h2", 3) : std::string_view("\x08http/1.1", 9);
  SSL_set_alpn_protos(state->ssl.get(), reinterpret_cast<const uint8_t*>(offer.data()), static_cast<unsigned>(offer.size()));
  state->context = shared_from_this();
  state->server_name = config_.server_name.empty() ? std::string(host) : config_.server_name;
  // An address is no server name (RFC 6066 §3).
  if (!IpAddress::parse(state->server_name)) SSL_set_tlsext_host_name(state->ssl.get(), state->server_name.c_str());
  return std::make_unique<TlsFilter>(loop, std::move(state));
}

}  // namespace gw
