#include "dataplane/loop/dns_client.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <netinet/in.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>
#include <string_view>

namespace gw {
namespace {

constexpr const char* kResolvConf = "/etc/resolv.conf";

int64_t changed_at(const char* path) {
  struct stat info;
  return stat(path, &info) == 0 ? info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec : 0;
}

std::vector<IpAddress> addresses_of(const ares_addrinfo& found, int64_t& ttl_s) {
  std::vector<IpAddress> out;
  int64_t least = INT64_MAX;
  for (const ares_addrinfo_cname* at = found.cnames; at != nullptr; at = at->next) least = std::min<int64_t>(least, at->ttl);
  for (const ares_addrinfo_node* at = found.nodes; at != nullptr; at = at->ai_next) {
    IpAddress address;
    if (at->ai_family == AF_INET) {
      address.bytes = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
      std::memcpy(address.bytes.data() + 12, &reinterpret_cast<sockaddr_in*>(at->ai_addr)->sin_addr, 4);
    } else if (at->ai_family == AF_INET6) {
      std::memcpy(address.bytes.data(), &reinterpret_cast<sockaddr_in6*>(at->ai_addr)->sin6_addr, 16);
    } else {
      continue;
    }
    least = std::min<int64_t>(least, at->ai_ttl);
    out.push_back(address);
  }
  ttl_s = least == INT64_MAX ? 0 : std::max<int64_t>(least, 0);
  return out;
}

bool is_localhost(std::string_view name) { return name == "localhost" || name.ends_with(".localhost"); }

// As the machine's own programs have it: IPv4 always, IPv6 where the hosts file says so.
bool localhost_has_v6() {
  std::ifstream hosts("/etc/hosts");
  for (std::string line; std::getline(hosts, line);) {
    std::istringstream words(line.substr(0, line.find('#')));
    std::string word;
    if (!(words >> word) || word != "::1") continue;
    while (words >> word) {
      if (word == "localhost") return true;
    }
  }
  return false;
}

// Without c-ares, which loses some bytes each time that the hosts file has localhost in the other family alone (1.18).
DnsAnswer localhost_answer(DnsType type) {
  DnsAnswer out;
  bool known = type == DnsType::kA || (type == DnsType::kAaaa && localhost_has_v6());
  out.result = known ? DnsAnswer::Result::kFound : DnsAnswer::Result::kMissing;
  if (known) {
    out.addresses.push_back(*IpAddress::parse(type == DnsType::kA ? "127.0.0.1" : "::1"));
  } else {
    out.problem = "the name has no such records";
  }
  return out;
}

}  // namespace

struct DnsClient::Query {
  DnsClient* client;
  Done done;
};

// Watches one of c-ares's sockets, which c-ares closes by itself. Frees itself once libuv has let go of it.
struct DnsClient::Socket {
  uv_poll_t poll;
  DnsClient* client;
  int fd;
};

DnsClient::DnsClient(Loop& loop, std::vector<std::string> servers)
    : loop_(loop),
      servers_(std::move(servers)),
      timer_([](void* self) { static_cast<DnsClient*>(self)->process(ARES_SOCKET_BAD, ARES_SOCKET_BAD); }, this),
      deliver_task_([](void* self) { static_cast<DnsClient*>(self)->deliver(); }, this) {
  open();
}

DnsClient::~DnsClient() { close(); }

void DnsClient::open() {
  static const int kLibrary = ares_library_init(ARES_LIB_INIT_ALL);
  changed_ns_ = changed_at(kResolvConf);
  ares_options options{};
  options.timeout = kTryMs;
  options.tries = kTries;
  options.sock_state_cb = [](void* self, ares_socket_t fd, int readable, int writable) {
    static_cast<DnsClient*>(self)->want(fd, readable != 0, writable != 0);
  };
  options.sock_state_cb_data = this;
  int error = kLibrary != ARES_SUCCESS ? kLibrary
                                       : ares_init_options(&channel_, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
  if (error != ARES_SUCCESS) {
    channel_ = nullptr;
    problem_ = ares_strerror(error);
    return;
  }
  if (servers_.empty()) return;
  std::string list;
  for (const std::string& server : servers_) list += (list.empty() ? "" : ",") + server;
  if (error = ares_set_servers_ports_csv(channel_, list.c_str()); error != ARES_SUCCESS) {
    close();
    problem_ = std::string("name servers: ") + ares_strerror(error);
  }
}

void DnsClient::close() {
  timer_.cancel();
  if (channel_ == nullptr) return;
  ares_destroy(channel_);  // what is still asked ends with ARES_EDESTRUCTION, and its sockets are let go of
  channel_ = nullptr;
}

void DnsClient::reopen_when_changed() {
  if (!servers_.empty() || asking_ > 0 || loop_.now_ms() < check_ms_) return;
  check_ms_ = loop_.now_ms() + kCheckMs;
  if (changed_at(kResolvConf) == changed_ns_) return;
  close();
  open();
}

void DnsClient::ask(const std::string& name, DnsType type, Done done) {
  if (is_localhost(name)) {
    answers_.emplace_back(std::move(done), localhost_answer(type));
    loop_.defer(deliver_task_);
    return;
  }
  reopen_when_changed();
  ++asking_;
  auto* query = new Query{this, std::move(done)};
  if (channel_ == nullptr) {
    std::unique_ptr<Query> owned(query);
    answer(*query, ARES_ENOTINITIALIZED, {DnsAnswer::Result::kFailed, problem_, {}, {}, 0});
    return;
  }
  if (type == DnsType::kSrv) {
    ares_search(channel_, name.c_str(), ns_c_in, ns_t_srv, records_answered, query);
  } else {
    ares_addrinfo_hints hints{};
    hints.ai_family = type == DnsType::kA ? AF_INET : AF_INET6;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = ARES_AI_NOSORT;
    ares_getaddrinfo(channel_, name.c_str(), nullptr, &hints, addresses_answered, query);
  }
  process(ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

void DnsClient::addresses_answered(void* arg, int status, int, ares_addrinfo* found) {
  std::unique_ptr<Query> query(static_cast<Query*>(arg));
  DnsAnswer out;
  if (status == ARES_SUCCESS && found != nullptr) {
    out.result = DnsAnswer::Result::kFound;
    out.addresses = addresses_of(*found, out.ttl_s);
  }
  if (found != nullptr) ares_freeaddrinfo(found);
  if (out.result == DnsAnswer::Result::kFound && out.addresses.empty()) {
    out = DnsAnswer();
    status = ARES_ENODATA;
  }
  query->client->answer(*query, status, std::move(out));
}

void DnsClient::records_answered(void* arg, int status, int, unsigned char* reply, int size) {
  std::unique_ptr<Query> query(static_cast<Query*>(arg));
  DnsAnswer out;
  if (status == ARES_SUCCESS) {
    auto parsed = parse_srv_reply({reinterpret_cast<const char*>(reply), static_cast<size_t>(size)});
    if (!parsed) {
      status = ARES_EBADRESP;
    } else if (parsed->records.empty()) {
      status = ARES_ENODATA;
    } else {
      out = {DnsAnswer::Result::kFound, {}, {}, std::move(parsed->records), parsed->ttl_s};
    }
  }
  query->client->answer(*query, status, std::move(out));
}

// From within c-ares, perhaps from within ask(): what is to be done with it comes at the end of the turn.
void DnsClient::answer(Query& query, int status, DnsAnswer answer) {
  --asking_;
  if (status == ARES_EDESTRUCTION) return;
  if (answer.result != DnsAnswer::Result::kFound) {
    bool missing = status == ARES_ENOTFOUND || status == ARES_ENODATA;
    answer.result = missing ? DnsAnswer::Result::kMissing : DnsAnswer::Result::kFailed;
    if (answer.problem.empty()) {
      answer.problem = status == ARES_ENOTFOUND ? "the name does not exist"
                       : status == ARES_ENODATA ? "the name has no such records"
                                                : ares_strerror(status);
    }
  }
  answers_.emplace_back(std::move(query.done), std::move(answer));
  loop_.defer(deliver_task_);
}

void DnsClient::deliver() {
  for (auto& [done, answer] : std::exchange(answers_, {})) done(std::move(answer));
}

void DnsClient::want(int fd, bool readable, bool writable) {
  auto at = sockets_.find(fd);
  if (!readable && !writable) {
    if (at == sockets_.end()) return;
    Socket* gone = at->second;
    sockets_.erase(at);
    uv_poll_stop(&gone->poll);
    uv_close(reinterpret_cast<uv_handle_t*>(&gone->poll), [](uv_handle_t* handle) { delete static_cast<Socket*>(handle->data); });
    return;
  }
  if (at == sockets_.end()) {
    auto* socket = new Socket{{}, this, fd};
    if (uv_poll_init(loop_.uv(), &socket->poll, fd) != 0) {
      delete socket;  // the question times out
      return;
    }
    socket->poll.data = socket;
    at = sockets_.emplace(fd, socket).first;
  }
  uv_poll_start(&at->second->poll, (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0), [](uv_poll_t* handle, int status, int events) {
    auto& socket = *static_cast<Socket*>(handle->data);
    DnsClient& client = *socket.client;
    int fd = socket.fd;
    client.loop_.begin_turn();
    bool error = status < 0;  // c-ares finds out which when it reads
    client.process(error || (events & UV_READABLE) != 0 ? fd : ARES_SOCKET_BAD, (events & UV_WRITABLE) != 0 ? fd : ARES_SOCKET_BAD);
  });
}

// Lets c-ares read, write and look at its clock, and asks when it wants to look at it again.
void DnsClient::process(int readable_fd, int writable_fd) {
  if (channel_ == nullptr) return;
  ares_process_fd(channel_, readable_fd, writable_fd);
  timeval wait;
  if (timeval* next = ares_timeout(channel_, nullptr, &wait); next != nullptr && asking_ > 0) {
    loop_.arm(timer_, static_cast<int64_t>(next->tv_sec) * 1000 + next->tv_usec / 1000 + 1);
  } else {
    timer_.cancel();
  }
}

}  // namespace gw
