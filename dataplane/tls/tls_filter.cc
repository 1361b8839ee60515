#include "dataplane/tls/tls_filter.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "dataplane/loop/tcp_stream.h"
#include "dataplane/tls/filter_ssl.h"

namespace gw {
namespace {

constexpr size_t kRecord = SSL3_RT_MAX_PLAIN_LENGTH;

}  // namespace

// The socket that BoringSSL sees: the bytes that were fed, and the loop's buffer for what goes out.
struct TlsBio {
  static int read(BIO* bio, char* out, int size) {
    auto* filter = static_cast<TlsFilter*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    if (filter->wire_.empty()) {
      BIO_set_retry_read(bio);
      return -1;
    }
    size_t take = std::min(static_cast<size_t>(size), filter->wire_.size());
    std::memcpy(out, filter->wire_.data(), take);
    filter->wire_.remove_prefix(take);
    return static_cast<int>(take);
  }
  static int write(BIO* bio, const char* data, int size) {
    auto* filter = static_cast<TlsFilter*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    filter->loop_.cipher_out().append({data, static_cast<size_t>(size)});
    return size;
  }
  static long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

  static const BIO_METHOD* method() {
    static const BIO_METHOD* made = [] {
      BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "gateway");
      BIO_meth_set_read(m, read);
      BIO_meth_set_write(m, write);
      BIO_meth_set_ctrl(m, control);
      return m;
    }();
    return made;
  }
};

int TlsFilter::Ssl::index() {
  static const int made = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return made;
}

TlsFilter::TlsFilter(Loop& loop, std::unique_ptr<Ssl> ssl) : loop_(loop), ssl_(std::move(ssl)) {
  BIO* bio = BIO_new(TlsBio::method());
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_->ssl.get(), bio, bio);
  SSL_set_ex_data(ssl_->ssl.get(), Ssl::index(), this);
  SSL_set_shed_handshake_config(ssl_->ssl.get(), 1);
}

TlsFilter::~TlsFilter() {
  if (ssl_->signing != nullptr) ssl_->signing->filter = nullptr;
}

int TlsFilter::begin() {
  if (SSL_is_server(ssl_->ssl.get())) return 0;
  ssize_t done = handshake();
  return done == 0 || done == -EAGAIN ? 0 : static_cast<int>(done);
}

void TlsFilter::feed(std::string_view wire) {
  if (parked_.empty()) {
    wire_ = wire;
    return;
  }
  parked_.erase(0, parked_.size() - wire_.size());
  parked_.append(wire);
  wire_ = parked_;
}

void TlsFilter::park() {
  if (wire_.empty()) {
    std::string().swap(parked_);
  } else if (parked_.empty()) {
    parked_ = wire_;
  } else {
    parked_.erase(0, parked_.size() - wire_.size());
  }
  wire_ = parked_;
}

// 0: done; -EAGAIN: more of the peer's, or of ours (blocked), is needed.
ssize_t TlsFilter::handshake() {
  int result = SSL_do_handshake(ssl_->ssl.get());
  blocked_ = false;
  if (result != 1) {
    int error = SSL_get_error(ssl_->ssl.get(), result);
    if (error == SSL_ERROR_WANT_READ) return -EAGAIN;
    if (error == SSL_ERROR_WANT_PRIVATE_KEY_OPERATION) {
      blocked_ = true;
      return -EAGAIN;
    }
    return broken(error);
  }
  ready_ = true;
  if (ssl_->describe != nullptr) info_ = ssl_->describe(*ssl_);
  if (info_ != nullptr) info_->early = SSL_in_early_data(ssl_->ssl.get()) == 1;
  if (!early_.empty()) {
    std::string early;
    early.swap(early_);
    if (!seal(early.data(), early.size())) return -EPROTO;
  }
  return 0;
}

ssize_t TlsFilter::read(std::span<char> room) {
  if (broken_) return -EPROTO;
  if (!ready_) {
    ssize_t done = handshake();
    return done == 0 ? -EAGAIN : done;
  }
  int got = SSL_read(ssl_->ssl.get(), room.data(), static_cast<int>(room.size()));
  // Once the handshake has ended, what came before is known to be of the client that ended it.
  if (info_ != nullptr && info_->early) info_->early = SSL_in_early_data(ssl_->ssl.get()) == 1;
  if (got > 0) return got;
  int error = SSL_get_error(ssl_->ssl.get(), got);
  if (error == SSL_ERROR_WANT_READ) return -EAGAIN;
  if (error == SSL_ERROR_ZERO_RETURN) return 0;
  return broken(error);
}

ssize_t TlsFilter::broken(int) {
  broken_ = true;
  uint32_t first = ERR_peek_error();
  std::string why = take_tls_error();
  if (failure_ == Failure::kNone) {
    bool alert = ERR_GET_LIB(first) == ERR_LIB_SSL && ERR_GET_REASON(first) >= SSL_AD_REASON_OFFSET;
    failure_ = alert ? Failure::kPeer : Failure::kProtocol;
    if (ERR_GET_LIB(first) == ERR_LIB_SSL && ERR_GET_REASON(first) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) {
      failure_ = Failure::kCertificate;
    }
    why_ = alert ? "the peer refused: " + why : why;
  }
  return -EPROTO;
}

bool TlsFilter::seal(const char* data, size_t size) {
  while (size > 0) {
    int taken = SSL_write(ssl_->ssl.get(), data, static_cast<int>(std::min(size, kRecord)));
    if (taken <= 0) {
      broken(SSL_get_error(ssl_->ssl.get(), taken));
      return false;
    }
    data += taken;
    size -= static_cast<size_t>(taken);
  }
  return true;
}

bool TlsFilter::write(std::string_view a, std::string_view b, std::string_view c) {
  if (broken_ || ended_) return false;
  if (!ready_) {
    early_.append(a).append(b).append(c);
    return true;
  }
  // Pieces that fit one record together leave in one.
  char record[kRecord];
  size_t held = 0;
  for (std::string_view part : {a, b, c}) {
    while (!part.empty()) {
      if (held == 0 && part.size() >= kRecord) {
        size_t whole = part.size() - part.size() % kRecord;
        if (!seal(part.data(), whole)) return false;
        part.remove_prefix(whole);
        continue;
      }
      size_t take = std::min(part.size(), kRecord - held);
      std::memcpy(record + held, part.data(), take);
      held += take;
      part.remove_prefix(take);
      if (held == kRecord) {
        if (!seal(record, held)) return false;
        held = 0;
      }
    }
  }
  return held == 0 || seal(record, held);
}

void TlsFilter::end() {
  if (ended_ || broken_ || !ready_) return;
  ended_ = true;
  SSL_shutdown(ssl_->ssl.get());
  ERR_clear_error();
}

std::string_view TlsFilter::protocol() const {
  const uint8_t* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_->ssl.get(), &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

bool TlsFilter::resumed() const { return SSL_session_reused(ssl_->ssl.get()) == 1; }

const char* TlsFilter::version() const { return SSL_get_version(ssl_->ssl.get()); }

void TlsFilter::unblock() {
  if (stream != nullptr) stream->filter_unblocked();
}

}  // namespace gw
