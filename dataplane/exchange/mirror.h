// Copies of requests for another Upstream (`to.mirror`): fire and forget. Nothing of the live exchange waits for a copy: what
// does not fit its limits is dropped and counted. A copy is sent once the request is whole, its answer is read and dropped.
//
// Owner: the worker. Worker's thread. A copy outlives the exchange and its snapshot: it has all that it needs by itself.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/arena.h"
#include "common/base/random.h"
#include "dataplane/exchange/streams.h"
#include "dataplane/loop/loop.h"
#include "dataplane/snapshot/snapshot.h"
#include "dataplane/telemetry/worker_stats.h"
#include "dataplane/upstream/pool.h"

namespace gw {

class MirrorSender;

// Marks copies to whom gets them.
inline constexpr std::string_view kMirrorField = "x-gw-mirror";

// One copy. For MirrorSender alone.
class MirrorCopy final : private UpstreamEvents {
 public:
  // Bytes of an answer that are read; beyond it the connection is closed.
  static constexpr size_t kMaxAnswerBytes = 1 << 20;

  explicit MirrorCopy(MirrorSender& sender);
  ~MirrorCopy() override;

 private:
  friend class MirrorSender;

  // UpstreamEvents
  ResponseHead& response_head() override { return response_; }
  void on_response_interim(int, const HeaderList&) override {}
  void on_response_head() override {}
  void on_response_data(std::string_view piece, bool last, const HeaderList* trailers) override;
  void on_upstream_failed(const ProxyError& error) override;
  void on_upstream_drained() override {}
  void on_response_read_done() override {}
  void on_upstream_available() override {}

  void take(const Route& route, const UpstreamConfig& upstream, const RequestHead& request);
  void timed_out();
  void clear();

  MirrorSender& sender_;
  Arena arena_;
  RequestHead head_;
  ResponseHead response_;
  std::string body_;
  size_t answer_bytes_ = 0;
  const MirrorRule* rule_ = nullptr;         // until it is sent
  const UpstreamConfig* upstream_ = nullptr;  // until it is sent
  std::shared_ptr<const IndexHold> hold_;    // keeps the upstream's index from being given out anew
  uint64_t upstream_uid_ = 0;
  uint32_t upstream_index_ = kNoIndex, route_index_ = kNoIndex;
  UpstreamPool::Attempt attempt_;
  UpstreamStream* stream_ = nullptr;
  Timer timer_;
  bool done_ = false;
};

class MirrorSender {
 public:
  MirrorSender(Loop& loop, UpstreamPool& pool, WorkerStats& stats, FastRandom& random, const Clock& clock);
  ~MirrorSender();

  // A request as it goes upstream, `request.has_body` says whether body() follows. Non-null: give it the body. REQUIRES:
  // route.mirror(), and that route and snapshot live until the body's end.
  MirrorCopy* begin(const Route& route, const Snapshot& snapshot, const RequestHead& request);
  // The next piece of its body. True: the copy takes no more, forget it.
  bool body(MirrorCopy& copy, std::string_view piece, bool last);
  // The request ended before its body did.
  void abandon(MirrorCopy& copy) { end(copy, MirrorResult::kUnfinished); }
  // Drops what is in work; the pool must still be there.
  void close_all();

  size_t in_work() const { return in_work_.size(); }

 private:
  friend class MirrorCopy;

  void send(MirrorCopy& copy);
  void end(MirrorCopy& copy, MirrorResult result);
  void recycle();

  Loop& loop_;
  UpstreamPool& pool_;
  WorkerStats& stats_;
  FastRandom& random_;
  const Clock& clock_;
  std::vector<uint32_t> in_flight_;  // by the route's index
  std::vector<std::unique_ptr<MirrorCopy>> in_work_, ended_, free_;
  Deferred recycle_task_;
};

}  // namespace gw
