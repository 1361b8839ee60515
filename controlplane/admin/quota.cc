#include "controlplane/admin/quota.h"

#include <ctime>

#include <spdlog/spdlog.h>

#include "common/base/status.h"
#include "controlplane/snapshot/emit.h"
#include "controlplane/store/usage.h"

namespace gw {
namespace {

constexpr int64_t kHour = 3600;
// Periods end while nothing happens: entries that have run out are taken back within this time.
constexpr auto kIdleLook = std::chrono::seconds(30);

}  // namespace

Period period_of(v1::Quota::Per per, int64_t now_s) {
  time_t now = static_cast<time_t>(now_s);
  std::tm utc{};
  gmtime_r(&now, &utc);
  utc.tm_min = utc.tm_sec = 0;
  if (per != v1::Quota::PER_HOUR) utc.tm_hour = 0;
  if (per == v1::Quota::PER_MONTH) utc.tm_mday = 1;
  std::tm end = utc;
  if (per == v1::Quota::PER_HOUR) ++end.tm_hour;
  if (per == v1::Quota::PER_DAY) ++end.tm_mday;
  if (per == v1::Quota::PER_MONTH) ++end.tm_mon;
  return {static_cast<int64_t>(timegm(&utc)) / kHour, static_cast<int64_t>(timegm(&end)) / kHour};
}

absl::Status QuotaTracker::start(Publisher& publisher) {
  publisher_ = &publisher;
  all_ = true;
  GW_RETURN_IF_ERROR(work());
  thread_ = std::thread([this] { run(); });
  return absl::OkStatus();
}

void QuotaTracker::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void QuotaTracker::used(const std::set<uint64_t>& subscriptions) {
  {
    std::lock_guard lock(mutex_);
    waiting_.insert(subscriptions.begin(), subscriptions.end());
  }
  wake_.notify_all();
}

void QuotaTracker::look_at_all() {
  {
    std::lock_guard lock(mutex_);
    all_ = true;
  }
  wake_.notify_all();
}

void QuotaTracker::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    wake_.wait_for(lock, kIdleLook, [&] { return stopping_ || all_ || !waiting_.empty(); });
    if (stopping_) return;
    lock.unlock();
    if (absl::Status status = work(); !status.ok()) {
      spdlog::error("quotas could not be looked at, which is tried again: {}", message_of(status));
      look_at_all();
      lock.lock();
      wake_.wait_for(lock, std::chrono::seconds(1), [&] { return stopping_; });
      continue;
    }
    lock.lock();
  }
}

std::map<uint64_t, v1::Quota> QuotaTracker::quotas_of(const std::set<uint64_t>* subscriptions) const {
  std::map<uint64_t, v1::Quota> out;
  engine_.read([&](const Catalog& now) {
    auto add = [&](const v1::Object& subscription) {
      const v1::Object* plan = now.referenced(subscription, v1::Object::kPlan, subscription.subscription().plan());
      if (plan && plan->plan().has_quota()) out[subscription.uid()] = plan->plan().quota();
    };
    if (!subscriptions) return now.for_each(v1::Object::kSubscription, add);
    for (uint64_t uid : *subscriptions) {
      const v1::Object* subscription = now.find_uid(uid);
      if (subscription && subscription->has_subscription()) add(*subscription);
    }
  });
  return out;
}

absl::Status QuotaTracker::examine(const std::map<uint64_t, v1::Quota>& quotas,
                                   std::map<uint64_t, v1::QuotaStateEntry>& state) const {
  int64_t now_s = clock_.wall_ns() / 1'000'000'000;
  return engine_.db().read([&](Connection& db) -> absl::Status {
    for (const auto& [uid, quota] : quotas) {
      Period period = period_of(quota.per(), now_s);
      GW_ASSIGN_OR_RETURN(int64_t used, used_requests(db, uid, period.from_hour, period.to_hour));
      if (used < quota.requests()) {
        state.erase(uid);
        continue;
      }
      v1::QuotaStateEntry& entry = state[uid];
      entry.set_exhausted(true);
      entry.set_resets_at(period.to_hour * kHour);
      entry.set_limit(quota.requests());
    }
    return absl::OkStatus();
  });
}

absl::Status QuotaTracker::work() {
  std::lock_guard one(work_mutex_);
  bool all = false;
  std::set<uint64_t> some;
  std::map<uint64_t, v1::QuotaStateEntry> before, state;
  {
    std::lock_guard lock(mutex_);
    std::swap(all, all_);
    std::swap(some, waiting_);
    before = exhausted_;
  }
  int64_t now_s = clock_.wall_ns() / 1'000'000'000;
  state = all ? std::map<uint64_t, v1::QuotaStateEntry>() : before;
  std::erase_if(state, [&](const auto& item) { return item.second.resets_at() <= now_s; });
  absl::Status status = examine(quotas_of(all ? nullptr : &some), state);
  if (!status.ok()) {
    std::lock_guard lock(mutex_);
    all_ = all_ || all;
    waiting_.merge(some);
    return status;
  }
  bool same = before.size() == state.size() &&
              std::equal(before.begin(), before.end(), state.begin(), [](const auto& a, const auto& b) {
                return a.first == b.first && a.second.SerializeAsString() == b.second.SerializeAsString();
              });
  {
    std::lock_guard lock(mutex_);
    exhausted_ = state;
  }
  if (!same || !published_) publish(state);
  published_ = true;
  return absl::OkStatus();
}

void QuotaTracker::publish(const std::map<uint64_t, v1::QuotaStateEntry>& state) {
  if (!publisher_) return;
  auto entries = std::make_shared<EntryTable>();
  for (const auto& [uid, entry] : state) {
    EntryKey key{v1::ENTRY_QUOTA_STATE, uid};
    (*entries)[key] = make_entry(key, entry.SerializeAsString(), "quota");
  }
  Publication out;
  out.stream = v1::STREAM_QUOTA;
  out.lineage = engine_.db().lineage();
  out.entries = std::move(entries);
  publisher_->publish(std::move(out));
}

std::shared_ptr<const QuotaView> QuotaTracker::view() const {
  EntryTable entries;
  for (const auto& [uid, entry] : exhausted()) {
    EntryKey key{v1::ENTRY_QUOTA_STATE, uid};
    entries[key] = make_entry(key, entry.SerializeAsString(), "quota");
  }
  QuotaBuilder builder;
  auto built = builder.prepare(whole_offer(v1::STREAM_QUOTA, entries, 1));
  return built.quota ? built.quota : std::make_shared<const QuotaView>();
}

std::map<uint64_t, v1::QuotaStateEntry> QuotaTracker::exhausted() const {
  std::lock_guard lock(mutex_);
  return exhausted_;
}

}  // namespace gw
