// Questions to name servers, through c-ares on this loop: /etc/hosts first, UDP, TCP for what does not fit. `localhost`
// and what ends with `.localhost` is known without asking. Nothing is kept of the answers.
//
// Owner: Discovery. Loop's thread. Answers are given at the end of a turn, never from within ask(); once the client is
// destroyed none comes any more. It may not be destroyed from within an answer.
#pragma once

#include <uv.h>

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/http/address.h"
#include "dataplane/loop/loop.h"
#include "dataplane/loop/srv_reply.h"

struct ares_addrinfo;
struct ares_channeldata;

namespace gw {

enum class DnsType : uint8_t { kA, kAaaa, kSrv };

struct DnsAnswer {
  enum class Result : uint8_t {
    kFound,
    kMissing,  // the name does not exist, or has no record of that type
    kFailed,   // nobody could say
  };
  Result result = Result::kFailed;
  std::string problem;                // unless kFound
  std::vector<IpAddress> addresses;   // kA, kAaaa
  std::vector<SrvRecord> records;     // kSrv
  int64_t ttl_s = 0;                  // 0: it has none
};

class DnsClient {
 public:
  // Of one try at one server; the second round of servers has twice that.
  static constexpr int kTryMs = 1000;
  static constexpr int kTries = 2;
  // How often /etc/resolv.conf is looked at.
  static constexpr int64_t kCheckMs = 5'000;

  using Done = std::function<void(DnsAnswer)>;

  // `servers`: ADDRESS or ADDRESS:PORT; empty: those of /etc/resolv.conf, read again when it has changed.
  DnsClient(Loop& loop, std::vector<std::string> servers);
  ~DnsClient();
  DnsClient(const DnsClient&) = delete;
  DnsClient& operator=(const DnsClient&) = delete;

  void ask(const std::string& name, DnsType type, Done done);

 private:
  struct Query;
  struct Socket;

  static void addresses_answered(void* query, int status, int timeouts, ares_addrinfo* found);
  static void records_answered(void* query, int status, int timeouts, unsigned char* reply, int size);
  void open();
  void close();
  void reopen_when_changed();
  void want(int fd, bool readable, bool writable);
  void process(int readable_fd, int writable_fd);
  void answer(Query& query, int status, DnsAnswer answer);
  void deliver();

  Loop& loop_;
  const std::vector<std::string> servers_;
  ares_channeldata* channel_ = nullptr;
  std::string problem_;                 // why there is no channel
  std::unordered_map<int, Socket*> sockets_;
  size_t asking_ = 0;
  std::vector<std::pair<Done, DnsAnswer>> answers_;
  int64_t check_ms_ = 0;                // when resolv.conf is looked at next
  int64_t changed_ns_ = 0;              // resolv.conf's time, as read
  Timer timer_;
  Deferred deliver_task_;
};

}  // namespace gw
