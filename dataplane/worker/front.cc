#include "dataplane/worker/front.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/http/proxy_protocol.h"
#include "dataplane/exchange/describe.h"

namespace gw {
namespace {

// RFC 9113 §3.4.
constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

}  // namespace

Front::Front(Loop& loop, FrontHost& host, uint32_t listener, const FrontRules& rules)
    : ServerConnection(listener),
      loop_(loop),
      host_(host),
      rules_(rules),
      stream_(loop, *this),
      timer_([](void* self) { static_cast<Front*>(self)->timed_out(); }, this) {}

Front::~Front() { end_handshake(false, false); }

int Front::start(int fd) {
  if (int error = stream_.accept(fd); error != 0) return error;
  describe(stream_, info_);
  if (!rules_.proxy_header) return enter_next();
  if (!host_.believes_proxy_header(listener(), info_.peer)) {
    host_.proxy_header_refused();
    return -EACCES;
  }
  state_ = State::kProxyHeader;
  loop_.arm(timer_, rules_.head_timeout_ms);
  return stream_.read_start();
}

// Behind the PROXY protocol header, if there is one. Negative errno: close.
int Front::enter_next() {
  if (!rules_.tls) {
    state_ = State::kPreface;
    loop_.arm(timer_, rules_.head_timeout_ms);
    return stream_.read_start();
  }
  std::unique_ptr<TlsFilter> filter = host_.open_tls(*this);
  if (filter == nullptr) return -EAGAIN;
  state_ = State::kHandshake;
  loop_.arm(timer_, rules_.handshake_timeout_ms);
  if (begin_ < end_) filter->feed({block_.data() + begin_, end_ - begin_});
  filter->park();
  block_ = Block();
  begin_ = end_ = 0;
  tls_ = filter.get();
  if (int error = stream_.secure(std::move(filter)); error != 0) return error;
  stream_.read_stop();  // so that reading begins with what is parked
  return stream_.read_start();
}

std::span<char> Front::read_buffer() {
  if (!block_) block_ = loop_.blocks().get();
  return {block_.data() + end_, block_.capacity() - end_};
}

void Front::on_read(size_t size) {
  end_ += size;
  if (state_ == State::kProxyHeader && !read_proxy_header()) return;
  if (state_ == State::kPreface) read_preface();
}

// False: wait for more bytes, or the connection is closed.
bool Front::read_proxy_header() {
  ProxyHeader header;
  ProxyHeaderResult result = parse_proxy_header({block_.data(), end_}, header);
  if (result == ProxyHeaderResult::kMore) return false;
  if (result == ProxyHeaderResult::kBad) {
    host_.proxy_header_refused();
    close();
    return false;
  }
  begin_ = header.size;
  if (header.has_addresses) {
    describe_peer(header.source, header.source_port, info_);
    info_.local = header.destination;
    info_.local_port = header.destination_port;
  }
  if (!host_.admit(*this) || enter_next() != 0) {
    close();
    return false;
  }
  return true;
}

// As many bytes as tell one from the other; HTTP/1 needs no more than the first.
void Front::read_preface() {
  std::string_view have(block_.data() + begin_, end_ - begin_);
  if (have.empty() && rules_.http2) return;
  size_t common = std::min(have.size(), kPreface.size());
  bool http2 = rules_.http2 && have.substr(0, common) == kPreface.substr(0, common);
  if (http2 && have.size() < kPreface.size()) return;
  promote(http2);
}

void Front::on_secured() {
  info_.tls = tls_->info();
  bool http2 = tls_->http2();
  end_handshake(true, false);
  promote(http2);
}

void Front::end_handshake(bool done, bool late) {
  if (tls_ == nullptr) return;
  TlsFilter* filter = done ? tls_ : nullptr;
  tls_ = nullptr;
  host_.tls_ended(*this, filter, late);
}

void Front::promote(bool http2) {
  state_ = State::kGone;
  timer_.cancel();
  info_.http2 = http2;
  host_.promote(*this, stream_, http2, block_ ? std::string_view(block_.data() + begin_, end_ - begin_) : std::string_view());
  host_.connection_closed(*this);
}

void Front::on_read_end(int error) {
  (void)error;  // what it means for a handshake, the filter knows
  end_handshake(true, false);
  close();
}

void Front::on_write_error(int) { close(); }

void Front::timed_out() {
  if (state_ == State::kProxyHeader) host_.proxy_header_refused();
  end_handshake(false, true);
  close();
}

// It has not said what it wants: it may, for as long as it may have asked.
void Front::drain(int64_t idle_ms) {
  if (state_ == State::kGone) return;
  int64_t most_ms = state_ == State::kHandshake ? rules_.handshake_timeout_ms : rules_.head_timeout_ms;
  int64_t wait_ms = std::min(idle_ms, most_ms);
  if (wait_ms > 0 || stream_.has_unread()) loop_.arm(timer_, std::max<int64_t>(wait_ms, 1));
  else close();
}

void Front::close() {
  if (state_ == State::kGone) return;
  state_ = State::kGone;
  timer_.cancel();
  end_handshake(false, false);
  stream_.close();
  host_.connection_closed(*this);
}

}  // namespace gw
