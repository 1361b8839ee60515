#include "dataplane/telemetry/usage_meter.h"

#include <dirent.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "common/base/random.h"
#include "common/base/status.h"
#include "dataplane/snapshot/directory.h"
#include "dataplane/snapshot/snapshot.h"

namespace gw {
namespace {

constexpr int64_t kHourNs = int64_t{3600} * 1'000'000'000;

uint64_t mix(uint64_t x) {
  x ^= x >> 32;
  x *= 0xd6e8feb86659fd93;
  x ^= x >> 32;
  return x;
}

uint64_t hash_of(const UsageSlot& k) {
  uint64_t h = mix(k.subscription + 0x9e3779b97f4a7c15);
  h = mix(h ^ k.app);
  h = mix(h ^ k.plan);
  h = mix(h ^ k.api);
  h = mix(h ^ k.route);
  return mix(h ^ (static_cast<uint64_t>(k.hour) << 8 | k.status_class));
}

bool same_key(const UsageSlot& a, const UsageSlot& b) {
  return a.subscription == b.subscription && a.route == b.route && a.status_class == b.status_class && a.hour == b.hour &&
         a.app == b.app && a.plan == b.plan && a.api == b.api;
}

std::string spool_path(const std::string& dir, uint64_t boot) {
  char name[48];
  std::snprintf(name, sizeof name, "/usage-%016llx.spool", static_cast<unsigned long long>(boot));
  return dir + name;
}

}  // namespace

UsageMeter::UsageMeter(UsageFile& file) : file_(file) { next_table(); }

bool UsageMeter::next_table() {
  table_ = file_.activate();
  buckets_.fill(0);
  return table_ != nullptr;
}

void UsageMeter::record(const RequestRecord& r) {
  if (!r.metered || r.route == nullptr) return;
  ++events_;
  if (r.wall_ns < hour_start_ns_ || r.wall_ns >= hour_start_ns_ + kHourNs || hour_ == 0) {
    hour_ = r.wall_ns / kHourNs;
    hour_start_ns_ = hour_ * kHourNs;
  }
  UsageSlot key{};
  key.subscription = r.subscription != nullptr ? r.subscription->uid : 0;
  key.app = r.app != nullptr ? r.app->uid : 0;
  key.plan = r.plan != nullptr ? r.plan->uid : 0;
  key.api = r.route->api->uid;
  key.route = r.route->uid();
  key.hour = hour_;
  key.status_class = static_cast<uint64_t>(std::clamp(r.status / 100, 1, 5));
  UsageSlot* slot = find(key);
  if (slot == nullptr) {
    ++lost_;
    return;
  }
  slot->request_bytes += r.request_bytes;
  slot->response_bytes += r.response_bytes;
  slot->units += 1;
  store_order();
  slot->requests += 1;
}

UsageSlot* UsageMeter::find(const UsageSlot& key) {
  uint64_t hash = hash_of(key);
  while (table_ != nullptr || next_table()) {
    uint32_t at = static_cast<uint32_t>(hash) & (kBuckets - 1);
    for (; buckets_[at] != 0; at = (at + 1) & (kBuckets - 1)) {
      UsageSlot& slot = table_->slots[buckets_[at] - 1];
      if (same_key(slot, key)) return &slot;
    }
    if (table_->cells < UsageTable::kCells) {
      UsageSlot& slot = table_->slots[table_->cells];
      slot = key;
      store_order();
      buckets_[at] = static_cast<uint16_t>(++table_->cells);
      return &slot;
    }
    file_.seal(*table_);
    table_ = nullptr;
  }
  return nullptr;
}

bool UsageMeter::seal() {
  if (table_ == nullptr || table_->cells == 0) return true;
  // While the receiver does not keep up the table goes on filling: cells add up, and the spool lasts for very long.
  if (file_.sealed_tables() >= kSealedAhead) return false;
  file_.seal(*table_);
  next_table();
  return true;
}

absl::StatusOr<std::unique_ptr<UsageSpool>> UsageSpool::open(UsageSpoolOptions options) {
  std::unique_ptr<UsageSpool> spool(new UsageSpool);
  spool->beside_another_ = options.beside_another;
  GW_RETURN_IF_ERROR(spool->take_over(options.dir));
  size_t tables = options.file_bytes_max / UsageFile::kTableBytes;
  for (size_t i = 0; i < options.workers; ++i) {
    uint64_t boot = 0;
    while (boot == 0) secure_random(&boot, sizeof boot);
    GW_ASSIGN_OR_RETURN(auto file,
                        UsageFile::create(spool_path(options.dir, boot), boot, static_cast<uint32_t>(tables)));
    spool->meters_.push_back(std::make_unique<UsageMeter>(*file));
    spool->files_.push_back(std::move(file));
  }
  return spool;
}

UsageSpool::~UsageSpool() {
  for (const auto& file : files_) {
    if (file->empty()) file->remove();
  }
}

absl::Status UsageSpool::take_over(const std::string& dir) {
  DIR* listing = ::opendir(dir.c_str());
  if (listing == nullptr) return errno_status("open state directory " + dir, errno);
  std::vector<std::string> names;
  while (dirent* entry = ::readdir(listing)) {
    std::string name = entry->d_name;
    if (name.starts_with("usage-") && name.ends_with(".spool")) names.push_back(std::move(name));
  }
  ::closedir(listing);
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    if (old_.size() >= kMaxOldFiles) {
      problems_.push_back(dir + ": more than " + std::to_string(kMaxOldFiles) +
                          " usage spools of earlier runs; the rest is sent after the next start");
      break;
    }
    GW_RETURN_IF_ERROR(take_over_file(dir + "/" + name));
  }
  return absl::OkStatus();
}

absl::Status UsageSpool::take_over_file(const std::string& path) {
  auto file = UsageFile::open_old(path);
  if (file.ok()) {
    if ((*file)->empty()) (*file)->remove();
    else old_.push_back(*std::move(file));
    return absl::OkStatus();
  }
  if (beside_another_ && file.status().code() == absl::StatusCode::kFailedPrecondition) {
    in_use_.push_back(path);
    return absl::OkStatus();
  }
  if (beside_another_ && file.status().code() == absl::StatusCode::kNotFound) return absl::OkStatus();  // delivered and removed
  if (file.status().code() != absl::StatusCode::kDataLoss) return file.status();
  std::rename(path.c_str(), (path + ".damaged").c_str());
  problems_.push_back(message_of(file.status()) + "; set aside as " + path + ".damaged");
  return absl::OkStatus();
}

// What the process beside this one has left undelivered when it ended.
void UsageSpool::take_over_left() {
  std::vector<std::string> paths;
  paths.swap(in_use_);
  for (const std::string& path : paths) {
    if (absl::Status status = take_over_file(path); !status.ok()) problems_.push_back(message_of(status));
  }
}

std::vector<v1::UsageBatch> UsageSpool::sealed(const std::map<uint64_t, uint64_t>& sent, size_t max) const {
  std::vector<v1::UsageBatch> out;
  for (const auto* files : {&old_, &files_}) {
    for (const auto& file : *files) {
      auto at = sent.find(file->boot());
      file->for_each_sealed(at != sent.end() ? at->second : 0, [&](const UsageTable& table) {
        if (out.size() >= max) return false;
        out.push_back(to_batch(file->boot(), table));
        return true;
      });
    }
  }
  return out;
}

void UsageSpool::acknowledged(uint64_t boot, uint64_t sequence) {
  for (const auto& file : files_) {
    if (file->boot() == boot) file->release(sequence);
  }
  for (auto at = old_.begin(); at != old_.end(); ++at) {
    if ((*at)->boot() != boot) continue;
    (*at)->release(sequence);
    if ((*at)->sealed_tables() == 0) {
      (*at)->remove();
      old_.erase(at);
    }
    return;
  }
}

absl::Status UsageSpool::maintain() {
  take_over_left();
  absl::Status first = absl::OkStatus();
  for (const auto& file : files_) {
    absl::Status status = file->maintain();
    if (first.ok()) first = std::move(status);
  }
  return first;
}

uint64_t UsageSpool::unacknowledged_batches() const {
  uint64_t n = 0;
  for (const auto* files : {&old_, &files_}) {
    for (const auto& file : *files) n += file->sealed_tables();
  }
  return n;
}

uint64_t UsageSpool::unacknowledged_cells() const {
  uint64_t n = 0;
  for (const auto* files : {&old_, &files_}) {
    for (const auto& file : *files) n += file->sealed_cells();
  }
  return n;
}

}  // namespace gw
