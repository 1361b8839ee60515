// Quotas of Plans: how much of it each subscription has used in its period, and whose is used up. Counted over all nodes, in
// UTC periods; the nodes hear of it by the quota stream.
//
// Owner: the Server. Thread-safe. Its own thread does the work, so that neither usage nor an apply waits for it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "controlplane/admin/engine.h"
#include "controlplane/snapshot/publication.h"
#include "gw/v1/resources.pb.h"

namespace gw {

struct Period {
  int64_t from_hour = 0;  // hours since the Unix epoch
  int64_t to_hour = 0;    // exclusive
};
// The period of `per` that `now_s` (Unix seconds) lies in.
Period period_of(v1::Quota::Per per, int64_t now_s);

class QuotaTracker {
 public:
  QuotaTracker(Engine& engine, const Clock& clock) : engine_(engine), clock_(clock) {}
  ~QuotaTracker() { stop(); }

  // Looks at everything once and publishes, then works by itself.
  absl::Status start(Publisher& publisher);
  void stop();

  // Usage of these subscriptions has risen. Returns at once.
  void used(const std::set<uint64_t>& subscriptions);
  // Plans or subscriptions may have changed. Returns at once.
  void look_at_all();

  // Looks at what is waiting, now; for tests.
  absl::Status work();

  // Whose quota is used up, by subscription.
  std::map<uint64_t, v1::QuotaStateEntry> exhausted() const;
  // The same as nodes hold it, for explain.
  std::shared_ptr<const QuotaView> view() const;

 private:
  void run();
  // What each of `subscriptions` may use.
  std::map<uint64_t, v1::Quota> quotas_of(const std::set<uint64_t>* subscriptions) const;
  absl::Status examine(const std::map<uint64_t, v1::Quota>& quotas, std::map<uint64_t, v1::QuotaStateEntry>& state) const;
  void publish(const std::map<uint64_t, v1::QuotaStateEntry>& state);

  Engine& engine_;
  const Clock& clock_;
  Publisher* publisher_ = nullptr;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  bool all_ = false;
  std::set<uint64_t> waiting_;
  std::map<uint64_t, v1::QuotaStateEntry> exhausted_;
  std::mutex work_mutex_;  // one look at a time
  bool published_ = false;
  std::thread thread_;
};

}  // namespace gw
