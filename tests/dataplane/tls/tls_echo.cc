#include "tests/dataplane/tls/tls_echo.h"

#include <stdexcept>

#include "dataplane/loop/tcp_stream.h"
#include "tests/support/net.h"

namespace gw::test {

struct TlsEcho::One final : TcpStream::Events {
  One(TlsEcho& echo, int fd) : all(echo), stream(echo.loop_, *this) {
    stream.accept(fd);
    auto opened = echo.open_(echo.loop_);
    filter = opened.get();
    stream.secure(std::move(opened));
    stream.read_start();
  }
  std::span<char> read_buffer() override { return room; }
  void on_read(size_t size) override {
    if (filter->info()->early) early += size;
    stream.write({room, size});
    // As a session does: what cannot be sent on is not read either.
    if (stream.queued() > TcpStream::kHighWater) stream.read_stop();
  }
  void on_drained() override { stream.read_start(); }
  void on_secured() override {
    std::lock_guard lock(all.mutex_);
    all.info_ = filter->info();
    all.changed_.notify_all();
  }
  void on_read_end(int error) override { end(error); }
  void on_write_error(int error) override { end(error); }
  void end(int error) {
    if (!stream.is_open()) return;
    {
      std::lock_guard lock(all.mutex_);
      bool ready = filter->ready();
      all.ended_.push_back({ready, filter->failure(), filter->why(), error, ready && filter->http2(), ready && filter->resumed(),
                            filter->info(), early});
      all.changed_.notify_all();
    }
    stream.shutdown();
    stream.close();
  }

  TlsEcho& all;
  TcpStream stream;
  TlsFilter* filter;
  size_t early = 0;
  char room[8192];
};

TlsEcho::TlsEcho(Open open) : open_(std::move(open)) { start(); }

TlsEcho::TlsEcho(std::shared_ptr<const TlsServerContext> context, std::shared_ptr<const TicketKeys> tickets)
    : TlsEcho([context, tickets](Loop& loop) { return context->open(loop, tickets); }) {}

void TlsEcho::start() {
  auto socket = ListenSocket::open(*IpAddress::parse("127.0.0.1"), 0, 1);
  if (!socket.ok()) throw std::runtime_error("no port to listen on");
  socket_ = std::make_unique<ListenSocket>(*std::move(socket));
  listener_ = std::make_unique<Listener>(loop_, socket_->fds().front(), false,
                                         [this](int fd) { connections_.push_back(std::make_unique<One>(*this, fd)); });
  thread_ = std::thread([this] { loop_.run(); });
}

TlsEcho::~TlsEcho() {
  loop_.stop();
  thread_.join();
  listener_.reset();
  connections_.clear();
}

TlsEcho::Ended TlsEcho::ended(size_t count) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::milliseconds(kCapMs), [&] { return ended_.size() >= count; });
  return ended_.size() >= count ? ended_[count - 1] : Ended{};
}

std::shared_ptr<const TlsInfo> TlsEcho::info() {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::milliseconds(kCapMs), [&] { return info_ != nullptr; });
  return info_;
}

}  // namespace gw::test
