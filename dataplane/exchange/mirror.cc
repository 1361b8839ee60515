#include "dataplane/exchange/mirror.h"

#include <algorithm>

namespace gw {
namespace {

constexpr uint32_t kWhole = 1'000'000;
constexpr size_t kKeptCopies = 16;              // for reuse
constexpr size_t kKeptBodyBytes = 16 << 10;     // of each

MirrorResult class_of(int status) {
  if (status < 300) return MirrorResult::k2xx;
  if (status < 400) return MirrorResult::k3xx;
  return status < 500 ? MirrorResult::k4xx : MirrorResult::k5xx;
}

// As the pool's health and limits see it.
AttemptResult outcome(MirrorResult result) {
  switch (result) {
    case MirrorResult::kFailed: return AttemptResult::kReset;
    case MirrorResult::kTimeout: return AttemptResult::kTimeout;
    case MirrorResult::kUnfinished: return AttemptResult::kCancelled;
    default: return AttemptResult::kOk;
  }
}

}  // namespace

MirrorCopy::MirrorCopy(MirrorSender& sender)
    : sender_(sender), timer_([](void* self) { static_cast<MirrorCopy*>(self)->timed_out(); }, this) {}

MirrorCopy::~MirrorCopy() = default;

void MirrorCopy::take(const Route& route, const UpstreamConfig& upstream, const RequestHead& request) {
  rule_ = route.mirror();
  upstream_ = &upstream;
  hold_ = upstream.hold;
  upstream_uid_ = upstream.uid;
  upstream_index_ = upstream.index;
  route_index_ = route.index();
  head_.method = request.method;
  head_.method_text = arena_.copy(request.method_text);
  head_.authority = arena_.copy(request.authority);
  head_.target = arena_.copy(request.target);
  for (const HeaderField& f : request.headers.fields()) {
    if (f.id != HeaderId::kRemoved) head_.headers.add(arena_.copy(f.name), arena_.copy(f.value), f.id);
  }
  head_.headers.add(kMirrorField, "1", HeaderId::kXGateway);
  head_.has_body = request.has_body;
  head_.content_length = request.has_body ? -1 : request.content_length;
}

void MirrorCopy::on_response_data(std::string_view piece, bool last, const HeaderList*) {
  if (done_) return;
  answer_bytes_ += piece.size();
  if (last || answer_bytes_ > kMaxAnswerBytes) sender_.end(*this, class_of(response_.status));
}

void MirrorCopy::on_upstream_failed(const ProxyError& error) {
  stream_ = nullptr;
  if (!done_) sender_.end(*this, error.reason == Reason::kUpstreamTimeout ? MirrorResult::kTimeout : MirrorResult::kFailed);
}

void MirrorCopy::timed_out() { sender_.end(*this, MirrorResult::kTimeout); }

void MirrorCopy::clear() {
  head_.clear();
  response_.clear();
  if (body_.capacity() > kKeptBodyBytes) std::string().swap(body_);
  body_.clear();
  answer_bytes_ = 0;
  hold_.reset();
  arena_.reset();
  done_ = false;
}

MirrorSender::MirrorSender(Loop& loop, UpstreamPool& pool, WorkerStats& stats, FastRandom& random, const Clock& clock)
    : loop_(loop),
      pool_(pool),
      stats_(stats),
      random_(random),
      clock_(clock),
      recycle_task_([](void* self) { static_cast<MirrorSender*>(self)->recycle(); }, this) {}

MirrorSender::~MirrorSender() = default;

MirrorCopy* MirrorSender::begin(const Route& route, const Snapshot& snapshot, const RequestHead& request) {
  const MirrorRule& rule = *route.mirror();
  if (request.wants_websocket || random_.below(kWhole) >= rule.ppm) return nullptr;
  const UpstreamConfig* upstream = snapshot.upstream(rule.upstream);
  if (upstream == nullptr) return nullptr;
  if (route.index() >= in_flight_.size()) in_flight_.resize(route.index() + 1);
  if (in_flight_[route.index()] >= rule.max_in_flight) {
    stats_.mirrored(upstream->index, upstream->uid, MirrorResult::kTooMany);
    return nullptr;
  }
  if (request.content_length > rule.max_body_bytes) {
    stats_.mirrored(upstream->index, upstream->uid, MirrorResult::kTooLarge);
    return nullptr;
  }
  std::unique_ptr<MirrorCopy> made;
  if (free_.empty()) {
    made = std::make_unique<MirrorCopy>(*this);
  } else {
    made = std::move(free_.back());
    free_.pop_back();
  }
  MirrorCopy& copy = *made;
  in_work_.push_back(std::move(made));
  ++in_flight_[route.index()];
  ++stats_.gauges().mirrors;
  copy.take(route, *upstream, request);
  if (request.has_body) return &copy;
  send(copy);
  return nullptr;
}

bool MirrorSender::body(MirrorCopy& copy, std::string_view piece, bool last) {
  if (copy.body_.size() + piece.size() > static_cast<size_t>(copy.rule_->max_body_bytes)) {
    end(copy, MirrorResult::kTooLarge);
    return true;
  }
  copy.body_.append(piece);
  if (!last) return false;
  copy.head_.content_length = static_cast<int64_t>(copy.body_.size());
  send(copy);
  return true;
}

void MirrorSender::send(MirrorCopy& copy) {
  loop_.arm(copy.timer_, copy.rule_->timeout_ms);
  UpstreamPool::Ask ask;
  ask.request = &copy.head_;
  ask.now_ns = clock_.mono_ns();
  ask.may_wait = false;
  UpstreamPool::Acquired acquired = pool_.acquire(*copy.upstream_, copy, ask);
  copy.attempt_ = acquired.attempt;
  copy.rule_ = nullptr;
  copy.upstream_ = nullptr;
  copy.stream_ = acquired.stream;
  if (copy.stream_ == nullptr) {
    end(copy, MirrorResult::kFailed);
    return;
  }
  copy.stream_->send_head(copy.head_);
  if (copy.head_.has_body) copy.stream_->send_data(copy.body_, true, nullptr);
  copy.stream_->flush();
}

void MirrorSender::end(MirrorCopy& copy, MirrorResult result) {
  copy.done_ = true;
  copy.timer_.cancel();
  pool_.ended(copy.attempt_, outcome(result), copy.response_.status, clock_.mono_ns());
  if (copy.stream_ != nullptr) {
    copy.stream_->release();
    copy.stream_ = nullptr;
  }
  stats_.mirrored(copy.upstream_index_, copy.upstream_uid_, result);
  --stats_.gauges().mirrors;
  --in_flight_[copy.route_index_];
  auto at = std::find_if(in_work_.begin(), in_work_.end(), [&](const auto& c) { return c.get() == &copy; });
  ended_.push_back(std::move(*at));
  *at = std::move(in_work_.back());
  in_work_.pop_back();
  loop_.defer(recycle_task_);
}

// At the end of the turn: nothing has a copy that ended on its stack any more.
void MirrorSender::recycle() {
  for (auto& copy : ended_) {
    copy->clear();
    if (free_.size() < kKeptCopies) free_.push_back(std::move(copy));
  }
  ended_.clear();
}

void MirrorSender::close_all() {
  while (!in_work_.empty()) end(*in_work_.back(), MirrorResult::kUnfinished);
}

}  // namespace gw
