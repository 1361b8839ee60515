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
#include "dataplane/snapshot/config.h"
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

struct UpstreamState;

// Lives until its last connection is closed and its last attempt has ended.
struct Endpoint : BalancerMember {
  UpstreamState* upstream = nullptr;  // null once retired
  UpstreamTarget target;              // as merge_targets() gave it
  v1::UpstreamSpec::ProxyProtocol proxy_protocol = v1::UpstreamSpec::PROXY_PROTOCOL_NONE;
  size_t next_address = 0;
  uint32_t zone_index = 0;            // in the pool's list of zones
  SessionList idle, busy;
  std::vector<std::pair<http1::ClientSession*, int64_t>> waiting;  // sessions that wait for the name's addresses
  OutlierDetector outlier;
  bool probe_failed = false;          // active health
  uint64_t attempts = 0, failures = 0;

  size_t connections() const { return idle.size + busy.size; }
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
