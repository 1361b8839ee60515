// One target of one upstream, and one upstream, as one worker sees them. For this folder alone. Worker's thread.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/http/address.h"
#include "dataplane/http1/client_session.h"
#include "dataplane/http2/h2_client_session.h"
#include "dataplane/snapshot/config.h"
#include "dataplane/tls/client_context.h"
#include "dataplane/upstream/balancer.h"
#include "dataplane/upstream/circuit_breaker.h"
#include "dataplane/upstream/outlier_detector.h"
#include "dataplane/upstream/retry_budget.h"

namespace gw {

struct SessionList {
  http1::ClientSession* head = nullptr;
  size_t size = 0;

  void push(http1::ClientSession& s) {
    s.prev = nullptr;
    s.next = head;
    if (head != nullptr) head->prev = &s;
    head = &s;
    ++size;
  }
  void remove(http1::ClientSession& s) {
    if (s.prev != nullptr) s.prev->next = s.next;
    if (s.next != nullptr) s.next->prev = s.prev;
    if (head == &s) head = s.next;
    s.prev = s.next = nullptr;
    --size;
  }
};

// What the requests to a target that speaks HTTP/2 share.
struct SharedConnections {
  std::vector<http2::ClientSession*> sessions;  // oldest first: one is filled before the next is used
  http2::ClientStream* first = nullptr;         // requests that wait for one with room, in order
  http2::ClientStream* last = nullptr;
  size_t waiting = 0;
  size_t most = 0;  // requests on one connection, as the target said last; 0: not known
  // Requests go by these. With `protocol: auto` only while there is a connection that the target has agreed to; without, they go by
  // HTTP/1.1, and now and then one is tried beside them.
  bool in_use = false;
  int64_t next_trial_ms = 0;

  void push(http2::ClientStream& s) {
    s.next = nullptr;
    s.prev = last;
    (last != nullptr ? last->next : first) = &s;
    last = &s;
    ++waiting;
  }
  void remove(http2::ClientStream& s) {
    (s.prev != nullptr ? s.prev->next : first) = s.next;
    (s.next != nullptr ? s.next->prev : last) = s.prev;
    s.prev = s.next = nullptr;
    --waiting;
  }
};

struct UpstreamState;

// Lives until its last connection is closed and its last attempt has ended.
struct Endpoint : BalancerMember {
  UpstreamState* upstream = nullptr;  // null once retired
  UpstreamTarget target;              // as merge_targets() gave it
  v1::UpstreamSpec::ProxyProtocol proxy_protocol = v1::UpstreamSpec::PROXY_PROTOCOL_NONE;
  size_t next_address = 0;
  uint32_t zone_index = 0;            // in the pool's list of zones
  v1::UpstreamSpec::Protocol protocol = v1::UpstreamSpec::PROTOCOL_HTTP1;
  bool speaks_tls = false;
  std::shared_ptr<const TlsClientContext> tls;  // null with speaks_tls: it could not be set up
  SessionList idle, busy;
  std::unique_ptr<SharedConnections> shared;  // null: HTTP/1.1
  std::vector<std::pair<http1::ClientSession*, int64_t>> waiting;  // sessions that wait for the name's addresses
  OutlierDetector outlier;
  bool probe_failed = false;          // active health
  uint64_t attempts = 0, failures = 0;

  size_t connections() const { return idle.size + busy.size + (shared == nullptr ? 0 : shared->sessions.size()); }
  bool ejected() const { return outlier.ejected_until_ns() != 0; }
  bool resolved() const { return target.is_address || (target.addresses != nullptr && !target.addresses->list.empty()); }
  bool well() const { return weight > 0 && !probe_failed && !ejected(); }
};

struct UpstreamState {
  uint64_t uid = 0;
  std::shared_ptr<const UpstreamConfig> config;  // that of the snapshot in force
  std::vector<std::unique_ptr<Endpoint>> endpoints;
  Balancer balancer;
  CircuitBreaker breaker;
  RetryBudget budget;
  std::deque<UpstreamEvents*> waiting;     // exchanges, for a connection
  bool due = false;                        // in the pool's list of those to look at
  size_t in_work = 0;                      // attempts
  size_t retries = 0;                      // of these
  int64_t next_return_ns = 0;              // when the first ejected target comes back; 0: none is out
};

}  // namespace gw
