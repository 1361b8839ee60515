#include "tests/support/tls_client.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>

#include <optional>

namespace gw::test {

struct TlsConnection::Impl {
  TlsOptions options;
  std::optional<Connection> own;
  Connection* connection = nullptr;
  bssl::UniquePtr<SSL_CTX> context;
  bssl::UniquePtr<SSL> ssl;
  // What the peer says, for the parser of messages.
  Connection plain{[this](char* out, size_t size) {
    int got = SSL_read(ssl.get(), out, static_cast<int>(size));
    if (got <= 0) failed(got);
    return static_cast<long>(got);
  }};
  std::string alert, session;
  bool clean = false;

  static int index() {
    static const int made = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return made;
  }

  void use_key_pair() {
    bssl::UniquePtr<BIO> in(BIO_new_mem_buf(options.key_pair.data(), static_cast<int>(options.key_pair.size())));
    bool leaf = true;
    while (X509* certificate = PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr)) {
      if (leaf) SSL_CTX_use_certificate(context.get(), certificate);
      else SSL_CTX_add1_chain_cert(context.get(), certificate);
      X509_free(certificate);
      leaf = false;
    }
    ERR_clear_error();
    in.reset(BIO_new_mem_buf(options.key_pair.data(), static_cast<int>(options.key_pair.size())));
    bssl::UniquePtr<EVP_PKEY> key(PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr));
    SSL_CTX_use_PrivateKey(context.get(), key.get());
  }

  void trust() {
    bssl::UniquePtr<BIO> in(BIO_new_mem_buf(options.ca.data(), static_cast<int>(options.ca.size())));
    while (X509* certificate = PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr)) {
      X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), certificate);
      X509_free(certificate);
    }
    ERR_clear_error();
  }

  void start(bool server) {
    timeval cap{kCapMs / 1000, 0};
    setsockopt(connection->fd(), SOL_SOCKET, SO_RCVTIMEO, &cap, sizeof cap);
    context.reset(SSL_CTX_new(TLS_method()));
    SSL_CTX_set_min_proto_version(context.get(), options.min_version);
    SSL_CTX_set_max_proto_version(context.get(), options.max_version);
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_CLIENT);
    SSL_CTX_sess_set_new_cb(context.get(), [](SSL* of, SSL_SESSION* got) {
      auto* self = static_cast<Impl*>(SSL_get_ex_data(of, index()));
      uint8_t* data = nullptr;
      size_t size = 0;
      if (SSL_SESSION_to_bytes(got, &data, &size) == 1) self->session.assign(reinterpret_cast<char*>(data), size);
      OPENSSL_free(data);
      return 0;
    });
    if (!options.key_pair.empty()) use_key_pair();
    if (!options.ca.empty()) {
      trust();
      SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    }
    if (!options.signatures.empty()) SSL_CTX_set1_sigalgs_list(context.get(), options.signatures.c_str());
    if (server && !options.alpn.empty()) {
      SSL_CTX_set_alpn_select_cb(context.get(), [](SSL*, const uint8_t** out, uint8_t* out_size, const uint8_t* in, unsigned size, void* self) {
        const std::string& alpn = static_cast<Impl*>(self)->options.alpn;
        uint8_t* chosen = nullptr;
        int found = SSL_select_next_proto(&chosen, out_size, reinterpret_cast<const uint8_t*>(alpn.data()),
                                          static_cast<unsigned>(alpn.size()), in, size);
        *out = chosen;
        return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
      }, this);
    }
    ssl.reset(SSL_new(context.get()));
    SSL_set_ex_data(ssl.get(), index(), this);
    SSL_set_fd(ssl.get(), connection->fd());
    if (server) {
      SSL_set_accept_state(ssl.get());
      return;
    }
    SSL_set_connect_state(ssl.get());
    SSL_enable_ocsp_stapling(ssl.get());
    if (!options.server_name.empty()) SSL_set_tlsext_host_name(ssl.get(), options.server_name.c_str());
    if (!options.alpn.empty()) {
      SSL_set_alpn_protos(ssl.get(), reinterpret_cast<const uint8_t*>(options.alpn.data()), static_cast<unsigned>(options.alpn.size()));
    }
    if (!options.session.empty()) {
      bssl::UniquePtr<SSL_SESSION> old(SSL_SESSION_from_bytes(reinterpret_cast<const uint8_t*>(options.session.data()),
                                                              options.session.size(), context.get()));
      SSL_set_session(ssl.get(), old.get());
      SSL_set_early_data_enabled(ssl.get(), options.early);
    }
  }

  void failed(int result) {
    clean = SSL_get_error(ssl.get(), result) == SSL_ERROR_ZERO_RETURN;
    uint32_t error = ERR_peek_error();
    if (ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) >= SSL_AD_REASON_OFFSET) {
      alert = SSL_alert_desc_string_long(ERR_GET_REASON(error) - SSL_AD_REASON_OFFSET);
    }
    ERR_clear_error();
  }
};

TlsConnection::TlsConnection(uint16_t port, TlsOptions options) : impl_(std::make_unique<Impl>()) {
  impl_->options = std::move(options);
  impl_->own.emplace(Connection::to(port));
  impl_->connection = &*impl_->own;
  impl_->start(false);
}

TlsConnection::TlsConnection(Connection& accepted, TlsOptions options) : impl_(std::make_unique<Impl>()) {
  impl_->options = std::move(options);
  impl_->connection = &accepted;
  impl_->start(true);
}

TlsConnection::~TlsConnection() = default;

bool TlsConnection::handshake() {
  int result = SSL_do_handshake(impl_->ssl.get());
  if (result != 1) impl_->failed(result);
  return result == 1;
}

std::string TlsConnection::alert() const { return impl_->alert; }

bool TlsConnection::send(std::string_view bytes) {
  int sent = SSL_write(impl_->ssl.get(), bytes.data(), static_cast<int>(bytes.size()));
  if (sent <= 0) impl_->failed(sent);
  return sent == static_cast<int>(bytes.size());
}

std::string TlsConnection::read() {
  char room[16384];
  int got = SSL_read(impl_->ssl.get(), room, sizeof room);
  if (got <= 0) impl_->failed(got);
  return got > 0 ? std::string(room, static_cast<size_t>(got)) : std::string();
}

Message TlsConnection::read_message(bool head_only) { return test::read_message(impl_->plain, head_only); }

bool TlsConnection::clean() const { return impl_->clean; }
void TlsConnection::shutdown() { SSL_shutdown(impl_->ssl.get()); }
std::string TlsConnection::version() const { return SSL_get_version(impl_->ssl.get()); }

std::string TlsConnection::alpn() const {
  const uint8_t* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(impl_->ssl.get(), &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

std::string TlsConnection::server_name() const {
  const char* name = SSL_get_servername(impl_->ssl.get(), TLSEXT_NAMETYPE_host_name);
  return name != nullptr ? name : "";
}

bool TlsConnection::resumed() const { return SSL_session_reused(impl_->ssl.get()) == 1; }
bool TlsConnection::early_accepted() const { return SSL_early_data_accepted(impl_->ssl.get()) == 1; }
std::string TlsConnection::session() { return impl_->session; }

std::string TlsConnection::peer_subject() const {
  bssl::UniquePtr<X509> leaf(SSL_get_peer_certificate(impl_->ssl.get()));
  char text[256] = "";
  if (leaf != nullptr) X509_NAME_get_text_by_NID(X509_get_subject_name(leaf.get()), NID_commonName, text, sizeof text);
  return text;
}

std::string TlsConnection::peer_key() const {
  bssl::UniquePtr<X509> leaf(SSL_get_peer_certificate(impl_->ssl.get()));
  bssl::UniquePtr<EVP_PKEY> key(leaf != nullptr ? X509_get_pubkey(leaf.get()) : nullptr);
  if (key == nullptr) return "";
  return EVP_PKEY_id(key.get()) == EVP_PKEY_RSA ? "RSA" : "EC";
}

std::string TlsConnection::stapled() const {
  const uint8_t* data = nullptr;
  size_t size = 0;
  SSL_get0_ocsp_response(impl_->ssl.get(), &data, &size);
  return {reinterpret_cast<const char*>(data), size};
}

Connection& TlsConnection::connection() { return *impl_->connection; }

}  // namespace gw::test
