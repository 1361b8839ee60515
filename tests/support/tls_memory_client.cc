#include "tests/support/tls_memory_client.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <utility>

namespace gw::test {

struct TlsMemoryClient::Impl {
  bssl::UniquePtr<SSL_CTX> context;
  bssl::UniquePtr<SSL> ssl;
  BIO* in = nullptr;   // the SSL's
  BIO* out = nullptr;  // the SSL's
  std::string plain;
  bool done = false, broken = false;

  void note(int result) {
    int error = SSL_get_error(ssl.get(), result);
    broken = broken || (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE && error != SSL_ERROR_ZERO_RETURN);
    ERR_clear_error();
  }
};

TlsMemoryClient::TlsMemoryClient(const std::string& server_name, uint16_t max_version) : impl_(std::make_unique<Impl>()) {
  impl_->context.reset(SSL_CTX_new(TLS_method()));
  SSL_CTX_set_max_proto_version(impl_->context.get(), max_version);
  impl_->ssl.reset(SSL_new(impl_->context.get()));
  impl_->in = BIO_new(BIO_s_mem());
  impl_->out = BIO_new(BIO_s_mem());
  BIO_set_mem_eof_return(impl_->in, -1);
  SSL_set_bio(impl_->ssl.get(), impl_->in, impl_->out);
  SSL_set_tlsext_host_name(impl_->ssl.get(), server_name.c_str());
  SSL_set_connect_state(impl_->ssl.get());
  feed({});
}

TlsMemoryClient::~TlsMemoryClient() = default;

void TlsMemoryClient::feed(std::string_view bytes) {
  if (impl_->broken) return;
  if (!bytes.empty()) BIO_write(impl_->in, bytes.data(), static_cast<int>(bytes.size()));
  if (!impl_->done) {
    int result = SSL_do_handshake(impl_->ssl.get());
    impl_->done = result == 1;
    if (!impl_->done) {
      impl_->note(result);
      return;
    }
  }
  char room[16384];
  int got;
  while ((got = SSL_read(impl_->ssl.get(), room, sizeof room)) > 0) impl_->plain.append(room, static_cast<size_t>(got));
  impl_->note(got);
}

std::string TlsMemoryClient::take_wire() {
  std::string wire(BIO_pending(impl_->out), '\0');
  if (!wire.empty()) BIO_read(impl_->out, wire.data(), static_cast<int>(wire.size()));
  return wire;
}

std::string TlsMemoryClient::take_plain() { return std::exchange(impl_->plain, {}); }

bool TlsMemoryClient::write(std::string_view bytes) {
  if (!impl_->done || impl_->broken || bytes.empty()) return false;
  int sent = SSL_write(impl_->ssl.get(), bytes.data(), static_cast<int>(bytes.size()));
  if (sent <= 0) impl_->note(sent);
  return sent == static_cast<int>(bytes.size());
}

void TlsMemoryClient::update_keys() {
  if (impl_->done && !impl_->broken) SSL_key_update(impl_->ssl.get(), SSL_KEY_UPDATE_REQUESTED);
  ERR_clear_error();
}

void TlsMemoryClient::shutdown() {
  if (impl_->done && !impl_->broken) SSL_shutdown(impl_->ssl.get());
  ERR_clear_error();
}

bool TlsMemoryClient::done() const { return impl_->done; }
bool TlsMemoryClient::broken() const { return impl_->broken; }

}  // namespace gw::test
