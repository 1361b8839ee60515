// Plain blocking sockets for tests: a client that speaks raw bytes, and an upstream that is a function. Everything on
// 127.0.0.1, ports chosen by the kernel, every wait capped.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace gw::test {

// Longest wait for anything that a test expects; only a broken program reaches it.
inline constexpr int kCapMs = 20'000;

// One connection. Not thread-safe.
class Connection {
 public:
  explicit Connection(int fd) : fd_(fd) {}
  static Connection to(uint16_t port);
  // Reads what `read` brings, as read(2) would, in place of a socket's bytes.
  using Read = std::function<long(char* out, size_t size)>;
  explicit Connection(Read read) : fd_(-1), read_(std::move(read)) {}
  Connection(Connection&& other) noexcept : fd_(other.fd_), buffer_(std::move(other.buffer_)), read_(std::move(other.read_)) { other.fd_ = -1; }
  ~Connection() { close(); }

  bool send(std::string_view bytes);
  // Reads until `done(buffer)`; false at the end of the stream, or at the cap.
  bool read_until(const std::function<bool(std::string_view)>& done);
  // Takes `size` bytes off the front of what was read, reading more as needed.
  std::string take(size_t size);
  // Up to and with `mark`.
  std::string take_through(std::string_view mark);
  // Whatever comes until the peer closes.
  std::string read_to_end();
  // True: the peer has closed and nothing is left to read.
  bool at_end();
  void finish_sending();  // FIN
  void reset();           // RST
  void close();
  std::string& buffer() { return buffer_; }
  int fd() const { return fd_; }

 private:
  bool fill();  // one read; false at the end or the cap
  int fd_;
  std::string buffer_;
  Read read_;
};

struct Message {
  std::string start_line;
  std::vector<std::pair<std::string, std::string>> fields;  // names in lower case
  std::string body;
  bool complete = false;

  int status() const;
  // First value, or "".
  std::string field(std::string_view name) const;
  size_t count(std::string_view name) const;
};
// A response or request with its body (by length, chunks, or, for responses, until close). `head_only`: answers to HEAD.
Message read_message(Connection& connection, bool head_only = false);

// Accepts connections and runs `serve` for each on a thread of its own.
class Server {
 public:
  explicit Server(std::function<void(Connection&, int number)> serve);
  ~Server();
  uint16_t port() const { return port_; }
  int connections() const { return connections_.load(); }

 private:
  std::function<void(Connection&, int)> serve_;
  int fd_ = -1;
  uint16_t port_ = 0;
  std::atomic<int> connections_{0};
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::vector<std::thread> threads_;
  std::vector<int> open_;
  std::thread acceptor_;
};

// An upstream that keeps connections alive, records what it was asked and answers by a function.
class Upstream {
 public:
  // The returned bytes are the whole answer; empty: close the connection.
  using Answer = std::function<std::string(const Message& request, const std::string& raw_head)>;
  explicit Upstream(Answer answer = nullptr);  // null: 200 "ok"

  uint16_t port() const { return server_.port(); }
  int connections() const { return server_.connections(); }
  std::vector<Message> requests() const;
  std::vector<std::string> raw_heads() const;

 private:
  Answer answer_;
  mutable std::mutex mutex_;
  std::vector<Message> requests_;
  std::vector<std::string> raw_heads_;
  Server server_;
};

std::string ok_response(std::string_view body = "ok\n");

}  // namespace gw::test
