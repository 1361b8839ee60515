// Figures of the decision core: a match among 10, 10,000 and 100,000 routes (the last with 10,000 upstreams), what a build takes,
// what a change of one route takes, what a route weighs.
#include <malloc.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "common/crypto/digest_sum.h"
#include "common/http/uri.h"
#include "dataplane/policy/pipeline.h"
#include "dataplane/snapshot/directory_builder.h"
#include "dataplane/snapshot/snapshot_builder.h"

namespace gw {
namespace {

// CPU time of this thread: others share the machine.
struct Time {
  static double now() {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
  }
};
double ns_since(double start) { return Time::now() - start; }

class Offers {
 public:
  void put(v1::EntryKind kind, uint64_t uid, const google::protobuf::Message& m) {
    std::string bytes = m.SerializeAsString();
    add(digest_, entry_hash(static_cast<uint8_t>(kind), uid, bytes));
    auto* e = offer_.add_upserts();
    e->set_kind(kind);
    e->set_uid(uid);
    e->set_body(bytes);
  }
  v1::Offer take() {
    v1::Offer out = std::move(offer_);
    offer_.Clear();
    out.set_stream(v1::STREAM_CONFIG);
    out.set_lineage(std::string(16, '\1'));
    out.set_version(version_ + 1);
    out.set_base(version_++);
    out.set_digest(digest_.data(), digest_.size());
    return out;
  }

 private:
  v1::Offer offer_;
  DigestSum digest_{};
  uint64_t version_ = 0;
};

constexpr uint64_t kFirstApi = 1'000, kFirstUpstream = 1'000'000, kFirstRoute = 2'000'000;
constexpr int kRoutesOfApi = 100;

std::string base(int api) { return "/api" + std::to_string(api); }

v1::RouteEntry route(int i, int upstreams) {
  v1::RouteEntry r;
  r.mutable_name()->set_owner("team");
  r.mutable_name()->set_name("route-" + std::to_string(i));
  r.set_api(kFirstApi + static_cast<uint64_t>(i / kRoutesOfApi));
  r.mutable_match()->mutable_path()->set_prefix(base(i / kRoutesOfApi) + "/service" + std::to_string(i) + "/items");
  r.set_upstream(kFirstUpstream + static_cast<uint64_t>(i % upstreams));
  return r;
}

Offers base_offers(int routes, int upstreams) {
  Offers out;
  v1::GatewayEntry g;
  g.mutable_name()->set_owner("team");
  g.mutable_name()->set_name("edge");
  auto* l = g.add_listeners();
  l->set_name("http");
  l->set_address("127.0.0.1");
  l->set_protocol(v1::Listener::PROTOCOL_HTTP);
  out.put(v1::ENTRY_GATEWAY, 1, g);
  for (int i = 0; i < upstreams; ++i) {
    v1::UpstreamEntry u;
    u.mutable_name()->set_owner("team");
    u.mutable_name()->set_name("up-" + std::to_string(i));
    u.add_targets()->set_url("http://10.0." + std::to_string(i / 250) + "." + std::to_string(1 + i % 250) + ":9000");
    out.put(v1::ENTRY_UPSTREAM, kFirstUpstream + static_cast<uint64_t>(i), u);
  }
  for (int i = 0; i * kRoutesOfApi < routes; ++i) {
    v1::ApiEntry a;
    a.mutable_name()->set_owner("team");
    a.mutable_name()->set_name("api-" + std::to_string(i));
    a.add_gateways(1);
    a.add_hosts("api.example.test");
    a.set_base_path(base(i));
    a.set_allow_anonymous(true);
    out.put(v1::ENTRY_API, kFirstApi + static_cast<uint64_t>(i), a);
  }
  return out;
}

struct Built {
  SnapshotBuilder builder;
  std::shared_ptr<const Snapshot> snapshot;
  double build_ms = 0;
  size_t heap = 0;
};

std::unique_ptr<Built> build(int routes, int upstreams) {
  auto out = std::make_unique<Built>();
  Offers offers = base_offers(routes, upstreams);
  for (int i = 0; i < routes; ++i) offers.put(v1::ENTRY_ROUTE, kFirstRoute + static_cast<uint64_t>(i), route(i, upstreams));
  v1::Offer whole = offers.take();
  malloc_trim(0);
  size_t before = mallinfo2().uordblks;
  auto start = Time::now();
  auto made = out->builder.prepare(whole);
  out->build_ms = ns_since(start) / 1e6;
  if (made.outcome != PrepareOutcome::kReady) {
    for (const auto& d : made.diagnostics.items()) std::fprintf(stderr, "%s\n", to_text(d).c_str());
    std::exit(1);
  }
  out->builder.commit(std::move(made));
  out->heap = mallinfo2().uordblks - before;
  out->snapshot = out->builder.snapshot();
  std::printf("%d routes, %d upstreams\n", routes, upstreams);
  std::printf("  build                          %8.1f ms\n", out->build_ms);
  std::printf("  heap a route                   %8.0f bytes (estimate %zu, tree %zu)\n", static_cast<double>(out->heap) / routes,
              out->snapshot->memory_bytes() / routes, out->snapshot->gateways()[0]->apis[0]->router->memory_bytes() / routes);
  v1::RouteEntry changed = route(5, upstreams);
  changed.set_priority(1);
  v1::Offer delta;
  {
    Offers again = base_offers(routes, upstreams);  // the digest of the changed whole, made anew
    for (int i = 0; i < routes; ++i) again.put(v1::ENTRY_ROUTE, kFirstRoute + static_cast<uint64_t>(i), i == 5 ? changed : route(i, upstreams));
    delta.set_digest(again.take().digest());
  }
  delta.set_stream(v1::STREAM_CONFIG);
  delta.set_lineage(std::string(16, '\1'));
  delta.set_version(2);
  delta.set_base(1);
  auto* e = delta.add_upserts();
  e->set_kind(v1::ENTRY_ROUTE);
  e->set_uid(kFirstRoute + 5);
  e->set_body(changed.SerializeAsString());
  double change_ms = 1e9;
  SnapshotBuilder::Result one;
  for (int i = 0; i < 20; ++i) {  // changes nothing until it is committed
    double before_one = Time::now();
    one = out->builder.prepare(delta);
    change_ms = std::min(change_ms, (Time::now() - before_one) / 1e6);
  }
  std::printf("  change of one route            %8.2f ms (%zu built, %zu resolved, %zu shared)\n",
              change_ms, one.stats.routes_built, one.stats.routes_resolved, one.stats.routes_shared);
  return out;
}

// Nanoseconds for parse, match and pipeline of one request, over `paths` in random order.
struct Figures {
  double parse = 0, match = 0, pipeline = 0;
};
Figures measure(const Snapshot& snapshot, const std::vector<std::string>& paths) {
  constexpr int kRounds = 200'000;
  constexpr int kBatches = 15;  // the quickest counts: others share the machine
  const GatewayConfig& gateway = *snapshot.gateways()[0];
  Arena arena;
  std::string_view why;
  Figures out;
  RequestHead head;
  head.method = Method::kGet;
  head.method_text = "GET";
  auto each = [&](auto&& fn) {
    FastRandom random(1);
    double best = 1e9;
    for (int batch = 0; batch < kBatches; ++batch) {
      auto start = Time::now();
      for (int i = 0; i < kRounds; ++i) fn(paths[random.below(paths.size())]);
      best = std::min(best, ns_since(start) / kRounds);
    }
    return best;
  };
  uintptr_t sink = 0;
  double bare = each([&](const std::string& p) { sink += p.size(); });
  double parse = each([&](const std::string& p) {
    arena.reset();
    sink += parse_target(head, arena, p, "api.example.test", why);
  });
  double match = each([&](const std::string& p) {
    arena.reset();
    parse_target(head, arena, p, "api.example.test", why);
    sink += reinterpret_cast<uintptr_t>(gateway.match(head, arena).route);
  });
  Tables tables{std::make_shared<Snapshot>(snapshot), std::make_shared<Directory>(), std::make_shared<QuotaView>()};
  double all = each([&](const std::string& p) {
    arena.reset();
    parse_target(head, arena, p, "api.example.test", why);
    PolicyContext ctx;
    ctx.request = &head;
    ctx.arena = &arena;
    ctx.tables = &tables;
    ctx.gateway = &gateway;
    ctx.route = gateway.match(head, arena).route;
    Pipeline pipeline;
    pipeline.reset();
    sink += static_cast<uintptr_t>(pipeline.run(ctx).kind);
  });
  if (sink == 1) std::puts("");
  out.parse = parse - bare;
  out.match = match - parse;
  out.pipeline = all - match;
  return out;
}

std::vector<std::string> paths_of(int routes) {
  std::vector<std::string> out;
  for (int i = 0; i < routes; ++i) out.push_back(base(i / kRoutesOfApi) + "/service" + std::to_string(i) + "/items/" + std::to_string(i * 7 % 1000));
  return out;
}

void print(const char* what, const Figures& f, const Figures& few) {
  std::printf("%-29s %8.1f %8.1f %8.1f    %.2f\n", what, f.parse, f.match, f.pipeline, f.match / few.match);
}

int run() {
  auto few = build(10, 1);
  auto hundred = build(100, 1);
  auto many = build(10'000, 1);
  auto most = build(100'000, 10'000);
  // Ten routes' requests everywhere, so that the paths themselves weigh the same; and all of the many's.
  Figures a = measure(*few->snapshot, paths_of(10));
  std::printf("                                 parse    match   pipeline (ns), match ratio\n");
  print("10 routes", a, a);
  print("10,000 routes, the same 10", measure(*many->snapshot, paths_of(10)), a);
  print("10,000 routes, all of them", measure(*many->snapshot, paths_of(10'000)), a);
  print("100,000 routes, the same 10", measure(*most->snapshot, paths_of(10)), a);
  print("100,000 routes, all of them", measure(*most->snapshot, paths_of(100'000)), a);
  return 0;
}

}  // namespace
}  // namespace gw

int main() { return gw::run(); }
