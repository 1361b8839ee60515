#include "tests/support/net.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace gw::test {

Connection Connection::to(uint16_t port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    ::close(fd);
    return Connection(-1);
  }
  int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return Connection(fd);
}

bool Connection::send(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

bool Connection::fill() {
  char chunk[65536];
  pollfd p{fd_, POLLIN, 0};
  if (!read_ && (fd_ < 0 || poll(&p, 1, kCapMs) <= 0)) return false;
  ssize_t n = read_ ? read_(chunk, sizeof chunk) : recv(fd_, chunk, sizeof chunk, 0);
  if (n <= 0) return false;
  buffer_.append(chunk, static_cast<size_t>(n));
  return true;
}

bool Connection::read_until(const std::function<bool(std::string_view)>& done) {
  while (!done(buffer_)) {
    if (!fill()) return false;
  }
  return true;
}

std::string Connection::take(size_t size) {
  while (buffer_.size() < size && fill()) {
  }
  size = std::min(size, buffer_.size());
  std::string out = buffer_.substr(0, size);
  buffer_.erase(0, size);
  return out;
}

std::string Connection::take_through(std::string_view mark) {
  size_t at;
  while ((at = buffer_.find(mark)) == std::string::npos) {
    if (!fill()) return {};
  }
  return take(at + mark.size());
}

std::string Connection::read_to_end() {
  while (fill()) {
  }
  std::string out;
  out.swap(buffer_);
  return out;
}

bool Connection::at_end() { return buffer_.empty() && !fill() && buffer_.empty(); }

void Connection::finish_sending() { shutdown(fd_, SHUT_WR); }

void Connection::reset() {
  linger hard{1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  close();
}

void Connection::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

int Message::status() const { return start_line.size() > 12 ? std::atoi(start_line.c_str() + 9) : 0; }

std::string Message::field(std::string_view name) const {
  for (const auto& [n, v] : fields) {
    if (n == name) return v;
  }
  return {};
}

size_t Message::count(std::string_view name) const {
  return static_cast<size_t>(std::count_if(fields.begin(), fields.end(), [&](const auto& f) { return f.first == name; }));
}

namespace {

bool read_chunks(Connection& connection, std::string& body) {
  while (true) {
    std::string line = connection.take_through("\r\n");
    if (line.empty()) return false;
    size_t size = std::strtoul(line.c_str(), nullptr, 16);
    if (size == 0) {
      while (!line.empty() && line != "\r\n") line = connection.take_through("\r\n");
      return line == "\r\n";
    }
    std::string data = connection.take(size + 2);
    if (data.size() != size + 2) return false;
    body += data.substr(0, size);
  }
}

Message parse_head(const std::string& head) {
  Message m;
  size_t end = head.find("\r\n");
  m.start_line = head.substr(0, end);
  size_t at = end + 2;
  while (at < head.size() && (end = head.find("\r\n", at)) != std::string::npos && end > at) {
    std::string line = head.substr(at, end - at);
    size_t colon = line.find(':');
    std::string name = line.substr(0, colon), value = colon == std::string::npos ? "" : line.substr(colon + 1);
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    while (!value.empty() && value.front() == ' ') value.erase(0, 1);
    m.fields.emplace_back(name, value);
    at = end + 2;
  }
  return m;
}

Message read_rest(Connection& connection, const std::string& head, bool head_only) {
  Message m = parse_head(head);
  bool response = m.start_line.starts_with("HTTP/");
  int status = response ? m.status() : 0;
  if (head_only || (response && (status < 200 || status == 204 || status == 304))) {
    m.complete = true;
  } else if (m.field("transfer-encoding") == "chunked") {
    m.complete = read_chunks(connection, m.body);
  } else if (m.count("content-length") > 0) {
    size_t size = std::strtoul(m.field("content-length").c_str(), nullptr, 10);
    m.body = connection.take(size);
    m.complete = m.body.size() == size;
  } else if (response) {
    m.body = connection.read_to_end();
    m.complete = true;
  } else {
    m.complete = true;
  }
  return m;
}

}  // namespace

Message read_message(Connection& connection, bool head_only) {
  std::string head = connection.take_through("\r\n\r\n");
  if (head.empty()) return {};
  return read_rest(connection, head, head_only);
}

Server::Server(std::function<void(Connection&, int)> serve) : serve_(std::move(serve)) {
  fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address);
  listen(fd_, 512);
  socklen_t size = sizeof address;
  getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] {
    while (!stop_.load()) {
      pollfd p{fd_, POLLIN, 0};
      if (poll(&p, 1, 20) <= 0) continue;
      int client = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
      int one = 1;  // small frames do not wait for each other's acknowledgements
      if (client >= 0) setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      if (client < 0) continue;
      int number = ++connections_;
      std::lock_guard lock(mutex_);
      open_.push_back(client);
      threads_.emplace_back([this, client, number] {
        Connection connection(dup(client));
        serve_(connection, number);
        connection.close();
        shutdown(client, SHUT_RDWR);
      });
    }
  });
}

Server::~Server() {
  stop_ = true;
  acceptor_.join();
  ::close(fd_);
  {
    std::lock_guard lock(mutex_);
    for (int fd : open_) shutdown(fd, SHUT_RDWR);
  }
  for (std::thread& thread : threads_) thread.join();
  for (int fd : open_) ::close(fd);
}

Upstream::Upstream(Answer answer)
    : answer_(std::move(answer)), server_([this](Connection& connection, int) {
        while (true) {
          std::string head = connection.take_through("\r\n\r\n");
          if (head.empty()) return;
          Message request = read_rest(connection, head, false);
          {
            std::lock_guard lock(mutex_);
            requests_.push_back(request);
            raw_heads_.push_back(head);
          }
          std::string answer = answer_ ? answer_(request, head) : ok_response();
          if (answer.empty() || !connection.send(answer)) return;
        }
      }) {}

std::vector<Message> Upstream::requests() const {
  std::lock_guard lock(mutex_);
  return requests_;
}

std::vector<std::string> Upstream::raw_heads() const {
  std::lock_guard lock(mutex_);
  return raw_heads_;
}

std::string ok_response(std::string_view body) {
  return "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

}  // namespace gw::test
