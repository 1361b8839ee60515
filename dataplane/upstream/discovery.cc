#include "dataplane/upstream/discovery.h"

#include <pthread.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <unordered_map>

#include "common/base/clock.h"
#include "common/http/target_address.h"
#include "dataplane/loop/dns_client.h"
#include "dataplane/snapshot/endpoints.h"
#include "dataplane/snapshot/snapshot.h"
#include "dataplane/upstream/name_record.h"

namespace gw {
namespace {

struct NameKey {
  std::string host;
  DnsType type = DnsType::kA;
  ResolveConfig rules;
  friend auto operator<=>(const NameKey&, const NameKey&) = default;
};

struct Name {
  explicit Name(DnsType type) : record(type) {}
  NameRecord record;
  std::set<uint64_t> users;  // upstreams
  bool asking = false;
  int64_t due_ms = INT64_MAX;  // its place in the list of what is to be done
};

struct Searched {
  std::shared_ptr<const UpstreamConfig> config;
  std::set<NameKey> names;
  std::shared_ptr<const FoundTargets> told;  // null: nothing
};

struct Client {
  std::unique_ptr<DnsClient> dns;
  size_t asking = 0;
};

}  // namespace

class Discovery::Impl {
 public:
  explicit Impl(DiscoveryOptions options)
      : options_(std::move(options)),
        timer_([](void* self) { static_cast<Impl*>(self)->work(); }, this),
        end_timer_([](void* self) { static_cast<Impl*>(self)->look_at_endpoints(); }, this),
        work_task_([](void* self) { static_cast<Impl*>(self)->work(); }, this),
        tell_task_([](void* self) { static_cast<Impl*>(self)->tell(); }, this) {
    thread_ = std::thread([this] {
      pthread_setname_np(pthread_self(), "gw-discovery");
      loop_.run();
      clients_.clear();
    });
  }
  ~Impl() {
    loop_.stop();
    thread_.join();
  }

  void configure(std::shared_ptr<const Snapshot> snapshot) {
    loop_.post([this, snapshot = std::move(snapshot)] { take(*snapshot); });
  }
  bool endpoints(std::shared_ptr<const Endpoints> endpoints, std::function<void()> told) {
    return loop_.post([this, endpoints = std::move(endpoints), told = std::move(told)] {
      endpoints_ = endpoints;
      look_at_endpoints();
      tell();
      told();
    });
  }
  bool report(std::function<void(const DiscoveryStats&)> done) {
    return loop_.post([this, done = std::move(done)] { done(stats()); });
  }

 private:
  void take(const Snapshot& snapshot) {
    std::set<uint64_t> gone;
    for (const auto& [uid, upstream] : upstreams_) gone.insert(uid);
    for (const auto& config : snapshot.upstreams()) {
      if (config == nullptr) continue;
      gone.erase(config->uid);
      Searched& upstream = upstreams_[config->uid];
      if (upstream.config == config) continue;
      upstream.config = config;
      look_at(config->uid, upstream);
    }
    for (uint64_t uid : gone) {
      Searched& upstream = upstreams_.at(uid);
      for (const NameKey& key : upstream.names) let_go(key, uid);
      if (upstream.told != nullptr) forgotten_.push_back(uid);
      upstreams_.erase(uid);
    }
    if (!gone.empty()) loop_.defer(tell_task_);
    std::erase_if(clients_, [this](const auto& client) {
      return client.second.asking == 0 &&
             std::none_of(names_.begin(), names_.end(), [&](const auto& name) { return name.first.rules.servers == client.first; });
    });
  }

  static int64_t wall_s() { return SystemClock::instance().wall_ns() / 1'000'000'000; }

  // Those added, as they are now and once more when the first of them ends.
  void look_at_endpoints() {
    for (auto& [uid, upstream] : upstreams_) {
      if (upstream.config->discovery.max_endpoints > 0) look_at(uid, upstream);
    }
    int64_t now_s = wall_s(), end_s = endpoints_->next_end(now_s);
    end_timer_.cancel();
    // The clock may be set meanwhile: it is looked at now and then.
    if (end_s > 0) loop_.arm(end_timer_, std::min<int64_t>(end_s - now_s, kLookAfterS) * 1000);
  }

  std::vector<UpstreamTarget> endpoints_of(const UpstreamConfig& config) const {
    std::vector<UpstreamTarget> out;
    if (config.discovery.max_endpoints == 0) return out;
    int64_t now_s = wall_s();
    for (const AddedTarget& added : endpoints_->of(config.uid)) {
      if (!added.over(now_s)) out.push_back(added.target);
    }
    return out;
  }

  // Which names an upstream needs now; SRV records name more.
  void look_at(uint64_t uid, Searched& upstream) {
    const UpstreamConfig& config = *upstream.config;
    std::set<NameKey> wanted;
    for (const UpstreamTarget& t : config.targets) want(config, t, wanted);
    for (const UpstreamTarget& t : endpoints_of(config)) want(config, t, wanted);
    if (!config.discovery.dns.empty()) want_host(config, config.discovery.dns, wanted);
    if (!config.discovery.srv.empty()) {
      NameKey key{config.discovery.srv, DnsType::kSrv, config.discovery.resolve};
      auto known = names_.find(key);
      if (known != names_.end()) {
        for (const SrvRecord& r : known->second->record.records()) want_host(config, r.host, wanted);
      }
      wanted.insert(std::move(key));
    }
    for (const NameKey& key : wanted) take_up(key, uid);
    std::set<NameKey> before = std::exchange(upstream.names, std::move(wanted));
    for (const NameKey& key : before) {
      if (!upstream.names.contains(key)) let_go(key, uid);
    }
    changed(uid);
  }

  static void want(const UpstreamConfig& config, const UpstreamTarget& target, std::set<NameKey>& out) {
    if (!target.is_address) want_host(config, target.host, out);
  }
  static void want_host(const UpstreamConfig& config, const std::string& host, std::set<NameKey>& out) {
    const ResolveConfig& rules = config.discovery.resolve;
    if (rules.family != ResolveConfig::Family::kV6) out.insert({host, DnsType::kA, rules});
    if (rules.family != ResolveConfig::Family::kV4) out.insert({host, DnsType::kAaaa, rules});
  }

  void take_up(const NameKey& key, uint64_t uid) {
    auto& name = names_[key];
    if (name == nullptr) {
      name = std::make_unique<Name>(key.type);
      schedule(key, *name);
    }
    name->users.insert(uid);
  }

  void let_go(const NameKey& key, uint64_t uid) {
    auto at = names_.find(key);
    if (at == names_.end()) return;
    at->second->users.erase(uid);
    if (!at->second->users.empty()) return;
    due_.erase({at->second->due_ms, key});
    names_.erase(at);
  }

  void schedule(const NameKey& key, Name& name) {
    due_.erase({name.due_ms, key});
    name.due_ms = name.record.next_ms(key.rules, name.asking);
    if (name.due_ms != INT64_MAX) due_.insert({name.due_ms, key});
    loop_.defer(work_task_);
  }

  // Does what is due, as far as there is room, and waits for what comes next.
  void work() {
    int64_t now_ms = loop_.now_ms();
    while (!due_.empty() && due_.begin()->first <= now_ms) {
      NameKey key = due_.begin()->second;
      Name& name = *names_.at(key);
      if (name.record.expire(key.rules, now_ms)) tell_users(key, name);
      if (!name.asking && name.record.ask_ms() <= now_ms) {
        if (asking_ >= kMaxAsking) return;  // an answer will call again
        ask(key, name);
      }
      schedule(key, name);
    }
    if (due_.empty()) {
      timer_.cancel();
    } else {
      loop_.arm(timer_, due_.begin()->first - now_ms);
    }
  }

  void ask(const NameKey& key, Name& name) {
    name.asking = true;
    ++asking_;
    Client& client = clients_[key.rules.servers];
    if (client.dns == nullptr) client.dns = std::make_unique<DnsClient>(loop_, key.rules.servers);
    ++client.asking;
    client.dns->ask(key.host, key.type, [this, key](DnsAnswer answer) { answered(key, std::move(answer)); });
  }

  void answered(const NameKey& key, DnsAnswer answer) {
    --asking_;
    --clients_.at(key.rules.servers).asking;
    ++lookups_[static_cast<size_t>(answer.result)];
    loop_.defer(work_task_);
    auto at = names_.find(key);
    if (at == names_.end()) return;  // nobody needs it any more
    Name& name = *at->second;
    name.asking = false;
    bool found = answer.result == DnsAnswer::Result::kFound;
    bool news = name.record.answered(std::move(answer), key.rules, loop_.now_ms(), random_);
    refused_ += found ? name.record.refused() : 0;
    excess_ += found ? name.record.excess() : 0;
    schedule(key, name);
    if (news) tell_users(key, name);
  }

  void tell_users(const NameKey& key, const Name& name) {
    std::set<uint64_t> users = name.users;
    for (uint64_t uid : users) {
      if (key.type == DnsType::kSrv) {
        look_at(uid, upstreams_.at(uid));
      } else {
        changed(uid);
      }
    }
  }

  void changed(uint64_t uid) {
    changed_.insert(uid);
    loop_.defer(tell_task_);
  }

  void tell() {
    std::vector<TargetsChange> out;
    for (uint64_t uid : std::exchange(forgotten_, {})) out.push_back({uid, nullptr});
    for (uint64_t uid : std::exchange(changed_, {})) {
      auto at = upstreams_.find(uid);
      if (at == upstreams_.end()) continue;
      Searched& upstream = at->second;
      std::shared_ptr<const FoundTargets> now = found(*upstream.config);
      if (same_targets(now.get(), upstream.told.get())) continue;
      upstream.told = now;
      out.push_back({uid, std::move(now)});
    }
    if (!out.empty()) options_.tell(out);
  }

  // Null: there is nothing to tell.
  std::shared_ptr<const FoundTargets> found(const UpstreamConfig& config) {
    auto out = std::make_shared<FoundTargets>();
    out->endpoints = endpoints_of(config);
    for (const UpstreamTarget& t : out->endpoints) add_addresses(config, t, *out);
    for (const UpstreamTarget& t : config.targets) add_addresses(config, t, *out);
    const DiscoveryConfig& discovery = config.discovery;
    if (!discovery.dns.empty()) {
      out->searched = addresses_of(config, discovery.dns, discovery.port);
      if (out->searched != nullptr) add_found(config, out->searched->list, *out);
    }
    if (!discovery.srv.empty()) {
      const Name* name = find({discovery.srv, DnsType::kSrv, discovery.resolve});
      if (name != nullptr && name->record.ever_answered()) {
        out->searched = std::make_shared<const NameAddresses>();
        out->found = srv_targets(discovery.srv, name->record.records());
        for (const UpstreamTarget& t : out->found) add_addresses(config, t, *out);
      }
    }
    bool nothing = out->names.empty() && out->endpoints.empty() && out->searched == nullptr;
    return nothing ? nullptr : out;
  }

  void add_found(const UpstreamConfig& config, const std::vector<IpAddress>& addresses, FoundTargets& out) const {
    for (const IpAddress& address : addresses) {
      UpstreamTarget& t = out.found.emplace_back();
      t.host = address.to_string();
      t.port = config.discovery.port;
      t.is_address = true;
      t.address = address;
      t.authority = authority_of(t.host, t.port);
      t.source = UpstreamTarget::Source::kDns;
      t.found_by = config.discovery.dns;
    }
  }

  void add_addresses(const UpstreamConfig& config, const UpstreamTarget& target, FoundTargets& out) {
    if (target.is_address) return;
    if (auto known = addresses_of(config, target.host, target.port)) out.names[target.authority] = std::move(known);
  }

  // Null: not known yet.
  std::shared_ptr<const NameAddresses> addresses_of(const UpstreamConfig& config, const std::string& host, uint16_t port) {
    std::set<NameKey> keys;
    want_host(config, host, keys);
    auto out = std::make_shared<NameAddresses>();
    bool all = true;
    for (const NameKey& key : keys) {
      const Name* name = find(key);
      if (name == nullptr) continue;
      all = all && name->record.ever_answered();
      for (const IpAddress& address : name->record.addresses()) {
        if (own(address, port)) {
          ++refused_;
        } else if (out->list.size() < static_cast<size_t>(key.rules.max_targets)) {
          out->list.push_back(address);
        }
      }
    }
    return all || !out->list.empty() ? out : nullptr;
  }

  bool own(const IpAddress& address, uint16_t port) const {
    return std::any_of(options_.own.begin(), options_.own.end(),
                       [&](const auto& own) { return own.second == port && reaches(address, own.first); });
  }

  const Name* find(const NameKey& key) const {
    auto at = names_.find(key);
    return at == names_.end() ? nullptr : at->second.get();
  }

  DiscoveryStats stats() const {
    DiscoveryStats out;
    out.lookups = lookups_;
    out.refused = refused_;
    out.excess = excess_;
    int64_t now_s = wall_s();
    for (const auto& [uid, upstream] : upstreams_) {
      for (const NameKey& key : upstream.names) {
        if (const Name* name = find(key)) add_name(key, *name, now_s, out.names[uid]);
      }
    }
    for (const auto& [uid, names] : out.names) {
      out.unresolved += static_cast<uint64_t>(std::count_if(names.begin(), names.end(), [](const NameStats& n) { return n.addresses.empty(); }));
    }
    for (const auto& [key, name] : names_) {
      out.stale += name->record.stale_since_ms(loop_.now_ms()) >= 0 ? 1 : 0;
    }
    return out;
  }

  // The keys of one host follow each other: A and AAAA are shown as one.
  void add_name(const NameKey& key, const Name& name, int64_t now_s, std::vector<NameStats>& out) const {
    bool srv = key.type == DnsType::kSrv;
    if (out.empty() || out.back().name != key.host || out.back().srv != srv) {
      out.push_back({.name = key.host, .srv = srv});
    }
    NameStats& row = out.back();
    const NameRecord& record = name.record;
    int64_t now_ms = loop_.now_ms(), stale_ms = record.stale_since_ms(now_ms);
    row.answered = row.answered || record.ever_answered();
    for (const IpAddress& a : record.addresses()) row.addresses.push_back(a.to_string());
    for (const SrvRecord& r : record.records()) row.addresses.push_back(authority_of(r.host, r.port));
    int64_t next_ms = std::max<int64_t>(record.ask_ms() - now_ms, 0);
    row.refresh_in_ms = row.refresh_in_ms < 0 ? next_ms : std::min(row.refresh_in_ms, next_ms);
    if (stale_ms >= 0) {
      int64_t since = now_s - (now_ms - stale_ms) / 1000;
      row.stale_since_s = row.stale_since_s == 0 ? since : std::min(row.stale_since_s, since);
    }
    // That a name has addresses of one family alone is no problem.
    bool counts = record.ever_answered() && !record.problem().empty() && (record.last_failed() || !record.empty());
    if (counts || (!row.failing && row.addresses.empty())) {
      row.problem = record.ever_answered() ? record.problem() : "";
    } else if (!row.failing) {
      row.problem.clear();
    }
    row.failing = row.failing || counts;
    row.refused += record.refused();
    row.excess += record.excess();
  }

  static constexpr int64_t kLookAfterS = 60;

  const DiscoveryOptions options_;
  Loop loop_;
  FastRandom random_;
  std::map<NameKey, std::unique_ptr<Name>> names_;
  std::set<std::pair<int64_t, NameKey>> due_;
  std::map<uint64_t, Searched> upstreams_;  // by uid
  std::shared_ptr<const Endpoints> endpoints_ = Endpoints::none();
  std::set<uint64_t> changed_;           // to be told
  std::vector<uint64_t> forgotten_;      // to be told
  std::map<std::vector<std::string>, Client> clients_;  // by servers
  size_t asking_ = 0;
  std::array<uint64_t, 3> lookups_{};    // by DnsAnswer::Result
  uint64_t refused_ = 0, excess_ = 0;
  Timer timer_, end_timer_;
  Deferred work_task_, tell_task_;
  std::thread thread_;
};

Discovery::Discovery(DiscoveryOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Discovery::~Discovery() = default;
void Discovery::configure(std::shared_ptr<const Snapshot> snapshot) { impl_->configure(std::move(snapshot)); }
bool Discovery::endpoints(std::shared_ptr<const Endpoints> endpoints, std::function<void()> told) {
  return impl_->endpoints(std::move(endpoints), std::move(told));
}
bool Discovery::report(std::function<void(const DiscoveryStats&)> done) { return impl_->report(std::move(done)); }

}  // namespace gw
