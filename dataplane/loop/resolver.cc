#include "dataplane/loop/resolver.h"

#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

namespace gw {

struct Resolver::Request {
  uv_getaddrinfo_t uv;
  Resolver* resolver;
  std::weak_ptr<bool> alive;
  std::string host;
};

const std::vector<IpAddress>& Resolver::lookup(const std::string& host) {
  Entry& entry = entries_[host];
  if (!entry.asking && loop_.now_ms() >= entry.fresh_until_ms) ask(host);
  return entry.addresses;
}

void Resolver::ask(const std::string& host) {
  entries_[host].asking = true;
  auto* request = new Request{{}, this, alive_, host};
  request->uv.data = request;
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  int error = uv_getaddrinfo(
      loop_.uv(), &request->uv,
      [](uv_getaddrinfo_t* uv, int status, addrinfo* list) {
        std::unique_ptr<Request> done(static_cast<Request*>(uv->data));
        if (!done->alive.expired()) done->resolver->answered(done->host, status, list);
        uv_freeaddrinfo(list);
      },
      host.c_str(), nullptr, &hints);
  if (error != 0) {
    delete request;
    Entry& entry = entries_[host];
    entry.asking = false;
    entry.fresh_until_ms = loop_.now_ms() + kRetryMs;
  }
}

void Resolver::answered(const std::string& host, int status, const addrinfo* list) {
  Entry& entry = entries_[host];
  entry.asking = false;
  entry.fresh_until_ms = loop_.now_ms() + (status == 0 ? kTtlMs : kRetryMs);
  if (status == 0) {
    std::vector<IpAddress> found;
    for (const addrinfo* at = list; at != nullptr; at = at->ai_next) {
      IpAddress address;
      if (at->ai_family == AF_INET) {
        address.bytes = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
        std::memcpy(address.bytes.data() + 12, &reinterpret_cast<sockaddr_in*>(at->ai_addr)->sin_addr, 4);
      } else if (at->ai_family == AF_INET6) {
        std::memcpy(address.bytes.data(), &reinterpret_cast<sockaddr_in6*>(at->ai_addr)->sin6_addr, 16);
      } else {
        continue;
      }
      if (std::find(found.begin(), found.end(), address) == found.end()) found.push_back(address);
    }
    if (!found.empty()) entry.addresses = std::move(found);
  }
  if (listener_) listener_(host);
}

}  // namespace gw
