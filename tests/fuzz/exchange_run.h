// Any bytes from a client and any answer of an upstream through a real worker: for the fuzz target `exchange` and the
// integration test that walks its corpus.
//
// An input is three bytes and two texts: the size of the client's pieces, the size of the upstream's, flags (bit 0: the
// upstream keeps its connection), what the client sends, the mark "\n--\n", what the upstream answers to every request. A client
// of HTTP/2 sends its preface before that, and a GOAWAY behind it.
#pragma once

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <list>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/http1/chunked.h"
#include "dataplane/http1/framing.h"
#include "dataplane/http1/head_parser.h"
#include "tests/support/worker_fixture.h"

namespace gw::fuzz {

class ExchangeRun {
 public:
  enum class Client { kHttp1, kHttp2 };

  explicit ExchangeRun(Client client = Client::kHttp1)
      : http2_(client == Client::kHttp2),
        listener_(listen()),
        worker_(test::Config{.upstream_port = port_of(listener_), .listener = http2_ ? "http2: true" : ""}.yaml()) {}
  ~ExchangeRun() { ::close(listener_); }

  // What does not hold, or null.
  const char* run(std::string_view input) {
    constexpr std::string_view kMark = "\n--\n";
    if (input.size() < 3) return nullptr;
    size_t client_piece = piece_size(input[0]);
    upstream_piece_ = piece_size(input[1]);
    keep_ = (input[2] & 1) != 0;
    input.remove_prefix(3);
    size_t mark = input.find(kMark);
    std::string all(input.substr(0, mark));
    if (http2_) all = std::string(kPreface) + all + std::string(kGoaway);
    std::string_view request = all;
    answer_ = mark == std::string_view::npos ? std::string_view() : input.substr(mark + kMark.size());
    streams_.clear();
    seen_.clear();

    test::Connection client = test::Connection::to(worker_.port());
    if (client.fd() < 0) return "no connection to the gateway";
    fcntl(client.fd(), F_SETFL, O_NONBLOCK);
    response_.clear();
    bool sent = false, ended = false;
    for (int quiet = 0; !ended;) {
      if (!sent) sent = send_piece(client.fd(), request, client_piece, !http2_);
      ended = turn(client.fd(), quiet, sent ? kTurnMs : kPieceMs);
      if (!sent) quiet = 0;
      if (ended) break;
      if (quiet == kQuietTurns) {  // nobody has anything to say: the upstream ends it
        close_streams(true);
        if (http2_) shutdown(client.fd(), SHUT_WR);
      }
      if (quiet == kHungTurns) return "the exchange hangs although client and upstream have ended";
    }
    close_streams(false);
    for (const std::string& bytes : seen_) {
      if (const char* wrong = check_requests(bytes)) return wrong;
    }
    if (http2_) return check_frames(response_);
    if (!response_.empty() && !std::string_view("HTTP/1.1 ").starts_with(std::string_view(response_).substr(0, 9))) {
      return "the client got bytes that are no answer";
    }
    return nullptr;
  }

 private:
  static constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  static constexpr std::string_view kGoaway{"\0\0\x8\x7\0\0\0\0\0\0\0\0\0\0\0\0\0", 17};
  static constexpr int kTurnMs = 5, kPieceMs = 1;  // waits for an event, at most
  static constexpr int kQuietTurns = 4, kHungTurns = 4000;

  struct Stream {
    explicit Stream(int f) : fd(f) {}
    ~Stream() {
      if (fd >= 0) ::close(fd);
    }
    Stream(const Stream&) = delete;
    int fd;
    std::string got;
    size_t answered = 0;  // heads
    std::string_view left;
    bool finished = false;
  };

  static size_t piece_size(char c) { return c == 0 ? 1 << 16 : static_cast<unsigned char>(c); }

  static int listen() {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
    ::listen(fd, 64);
    return fd;
  }
  static uint16_t port_of(int fd) {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    return ntohs(address.sin_port);
  }

  // True: all is sent, or the gateway takes no more.
  static bool send_piece(int fd, std::string_view& left, size_t piece, bool end) {
    ssize_t n = left.empty() ? 0 : ::send(fd, left.data(), std::min(piece, left.size()), MSG_NOSIGNAL);
    if (n > 0) left.remove_prefix(static_cast<size_t>(n));
    if (n < 0 && errno == EAGAIN) return false;
    if (n >= 0 && !left.empty()) return false;
    if (end) shutdown(fd, SHUT_WR);
    return true;
  }

  // One look at every socket. True: the client has got all that it will get.
  bool turn(int client, int& quiet, int wait_ms) {
    std::vector<pollfd> fds{{client, POLLIN, 0}, {listener_, POLLIN, 0}};
    for (const Stream& s : streams_) {
      fds.push_back({s.fd, static_cast<short>(POLLIN | (s.left.empty() ? 0 : POLLOUT)), 0});
    }
    if (poll(fds.data(), fds.size(), wait_ms) == 0) {
      ++quiet;
      return false;
    }
    quiet = quiet < kQuietTurns ? 0 : quiet + 1;
    size_t i = 2;
    for (auto s = streams_.begin(); s != streams_.end(); ++i) {
      if (fds[i].revents != 0 && !serve(*s)) {
        seen_.push_back(std::move(s->got));
        s = streams_.erase(s);
      } else {
        ++s;
      }
    }
    if (fds[1].revents != 0) {
      int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (fd >= 0) streams_.emplace_back(fd);
    }
    if (fds[0].revents == 0) return false;
    char chunk[16384];
    ssize_t n = recv(client, chunk, sizeof chunk, 0);
    if (n > 0) response_.append(chunk, static_cast<size_t>(n));
    return n == 0 || (n < 0 && errno != EAGAIN);
  }

  // False: the connection has ended.
  bool serve(Stream& s) {
    char chunk[16384];
    ssize_t n = recv(s.fd, chunk, sizeof chunk, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN)) return false;
    if (n > 0) s.got.append(chunk, static_cast<size_t>(n));
    if (s.left.empty() && heads(s.got) > s.answered && !s.finished) {
      ++s.answered;
      s.left = answer_;
      if (s.left.empty()) return false;
    }
    if (s.left.empty()) return true;
    n = ::send(s.fd, s.left.data(), std::min(upstream_piece_, s.left.size()), MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) return false;
    if (n > 0) s.left.remove_prefix(static_cast<size_t>(n));
    if (s.left.empty() && !keep_) {
      shutdown(s.fd, SHUT_WR);
      s.finished = true;
    }
    return true;
  }

  static size_t heads(std::string_view bytes) {
    size_t count = 0;
    for (size_t at = 0; (at = bytes.find("\r\n\r\n", at)) != std::string_view::npos; at += 4) ++count;
    return count;
  }

  void close_streams(bool only_ours) {
    for (Stream& s : streams_) {
      s.left = {};
      s.finished = true;
      if (only_ours) shutdown(s.fd, SHUT_WR);
      else seen_.push_back(std::move(s.got));
    }
    if (!only_ours) streams_.clear();
  }

  // What an HTTP/2 client got is frames, SETTINGS first; the last one perhaps cut.
  static const char* check_frames(std::string_view bytes) {
    for (bool first = true; bytes.size() >= 9; first = false) {
      auto byte = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
      size_t size = size_t{byte(0)} << 16 | size_t{byte(1)} << 8 | byte(2);
      if (size > 16384) return "the client got a frame that is too large";
      if (first && byte(3) != 4) return "the client's first frame is not SETTINGS";
      if (byte(3) > 9 || byte(3) == 5) return "the client got a frame of no known type";
      bytes.remove_prefix(std::min(bytes.size(), 9 + size));
    }
    return nullptr;
  }

  // What came on one connection to the upstream is whole requests in one meaning, the last perhaps cut.
  static const char* check_requests(std::string_view bytes) {
    constexpr HeadLimits kLimits{1 << 20, 1000};
    while (!bytes.empty()) {
      http1::HeadParser parser(http1::HeadParser::Side::kRequest);
      http1::HeadResult result = parser.feed(bytes.data(), bytes.size(), kLimits);
      if (result == http1::HeadResult::kMore) return nullptr;
      if (result != http1::HeadResult::kComplete) return "the upstream got bytes that are no request";
      HeaderList headers;
      parser.fill(bytes.data(), headers);
      if (headers.count("host") != 1 || headers.count("x-request-id") != 1 || headers.count("via") != 1) {
        return "a request without the gateway's own fields went upstream";
      }
      http1::Framing framing = http1::request_framing(headers, parser.http10());
      bytes.remove_prefix(parser.head_size());
      if (framing.kind == http1::Framing::Kind::kBad) return "a request with unclear framing went upstream";
      if (framing.kind == http1::Framing::Kind::kLength) {
        bytes.remove_prefix(std::min(bytes.size(), static_cast<size_t>(framing.length)));
      } else if (framing.kind == http1::Framing::Kind::kChunked) {
        http1::ChunkedDecoder decoder;
        decoder.restart();
        std::string_view piece;
        http1::ChunkedDecoder::Result end;
        while ((end = decoder.next(bytes, piece)) == http1::ChunkedDecoder::Result::kData) {
        }
        if (end == http1::ChunkedDecoder::Result::kBad) return "malformed chunks went upstream";
        if (end == http1::ChunkedDecoder::Result::kMore) return nullptr;
      }
    }
    return nullptr;
  }

  const bool http2_;
  int listener_;
  test::WorkerFixture worker_;
  size_t upstream_piece_ = 1;
  bool keep_ = false;
  std::string_view answer_;
  std::list<Stream> streams_;
  std::vector<std::string> seen_;
  std::string response_;
};

}  // namespace gw::fuzz
