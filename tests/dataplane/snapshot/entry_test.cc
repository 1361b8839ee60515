#include "dataplane/snapshot/entry.h"

#include <algorithm>

#include "tests/dataplane/snapshot/world.h"

using namespace gw;
using namespace gw::testing;

namespace {
v1::UpstreamEntry upstream(const std::string& url) { return text<v1::UpstreamEntry>(named("t/u") + "targets { url: '" + url + "' }"); }

PrepareOutcome take(EntrySet& set, const v1::Offer& offer, size_t* changed = nullptr) {
  EntrySet::Delta delta;
  StreamState state;
  DiagnosticList diagnostics;
  PrepareOutcome outcome = set.prepare(offer, delta, state, diagnostics);
  if (changed) *changed = delta.size();
  if (outcome == PrepareOutcome::kReady) set.commit(std::move(delta), state);
  return outcome;
}
}  // namespace

TEST_CASE("a set follows whole and delta offers, and gives itself back whole") {
  StreamMaker maker(v1::STREAM_CONFIG);
  EntrySet set;
  for (uint64_t i = 1; i <= 5; ++i) maker.put(v1::ENTRY_UPSTREAM, i, upstream("http://h" + std::to_string(i)));
  REQUIRE(take(set, maker.whole()) == PrepareOutcome::kReady);
  CHECK(set.entries().size() == 5);
  maker.put(v1::ENTRY_UPSTREAM, 2, upstream("http://other"));
  maker.remove(v1::ENTRY_UPSTREAM, 3);
  maker.put(v1::ENTRY_UPSTREAM, 9, upstream("http://h9"));
  size_t changed = 0;
  REQUIRE(take(set, maker.delta(), &changed) == PrepareOutcome::kReady);
  CHECK(changed == 3);
  CHECK(set.entries().size() == 5);
  EntrySet copy;
  REQUIRE(take(copy, set.whole(v1::STREAM_CONFIG)) == PrepareOutcome::kReady);
  CHECK(copy.state().digest == set.state().digest);
  CHECK(copy.bytes() == set.bytes());
}

TEST_CASE("a whole offer against what is held changes only what differs") {
  StreamMaker maker(v1::STREAM_CONFIG);
  EntrySet set;
  for (uint64_t i = 1; i <= 5; ++i) maker.put(v1::ENTRY_UPSTREAM, i, upstream("http://h" + std::to_string(i)));
  REQUIRE(take(set, maker.whole()) == PrepareOutcome::kReady);
  maker.remove(v1::ENTRY_UPSTREAM, 1);
  maker.put(v1::ENTRY_UPSTREAM, 2, upstream("http://other"));
  size_t changed = 0;
  REQUIRE(take(set, maker.whole(), &changed) == PrepareOutcome::kReady);
  CHECK(changed == 2);
  CHECK(set.entries().size() == 4);
}

TEST_CASE("a wrong digest, base or lineage asks for the whole and changes nothing") {
  StreamMaker maker(v1::STREAM_CONFIG);
  EntrySet set;
  maker.put(v1::ENTRY_UPSTREAM, 1, upstream("http://a"));
  REQUIRE(take(set, maker.whole()) == PrepareOutcome::kReady);
  maker.put(v1::ENTRY_UPSTREAM, 2, upstream("http://b"));
  v1::Offer good = maker.delta();
  v1::Offer offer = good;
  (*offer.mutable_digest())[0] ^= 1;
  CHECK(take(set, offer) == PrepareOutcome::kMismatch);
  offer = good;
  offer.set_base(7);
  CHECK(take(set, offer) == PrepareOutcome::kMismatch);
  offer = good;
  (*offer.mutable_lineage())[3] ^= 1;
  CHECK(take(set, offer) == PrepareOutcome::kMismatch);
  offer = good;
  offer.mutable_upserts(0)->mutable_body()->append("\x08");
  CHECK(take(set, offer) == PrepareOutcome::kMismatch);
  offer = good;
  offer.set_digest("short");
  CHECK(take(set, offer) == PrepareOutcome::kRefused);
  CHECK(set.entries().size() == 1);
  CHECK(take(set, good) == PrepareOutcome::kReady);
}

TEST_CASE("removals of nothing and doubles do not disturb the digest") {
  StreamMaker maker(v1::STREAM_CONFIG);
  EntrySet set;
  maker.put(v1::ENTRY_UPSTREAM, 1, upstream("http://a"));
  REQUIRE(take(set, maker.whole()) == PrepareOutcome::kReady);
  maker.put(v1::ENTRY_UPSTREAM, 1, upstream("http://b"));
  v1::Offer offer = maker.delta();
  auto* r = offer.add_removals();
  r->set_kind(v1::ENTRY_UPSTREAM);
  r->set_uid(99);
  r = offer.add_removals();
  r->set_kind(v1::ENTRY_UPSTREAM);
  r->set_uid(1);
  *offer.add_upserts() = offer.upserts(0);
  CHECK(take(set, offer) == PrepareOutcome::kReady);
  CHECK(set.entries().size() == 1);
}

TEST_CASE("limits of number and size are kept") {
  StreamMaker maker(v1::STREAM_CONFIG);
  for (uint64_t i = 1; i <= 5; ++i) maker.put(v1::ENTRY_UPSTREAM, i, upstream("http://h" + std::to_string(i)));
  v1::Offer offer = maker.whole();
  EntrySet few({.entries = 4});
  CHECK(take(few, offer) == PrepareOutcome::kRefused);
  EntrySet small({.entries = 100, .entry_bytes = 10});
  CHECK(take(small, offer) == PrepareOutcome::kRefused);
  EntrySet little({.entries = 100, .entry_bytes = 1000, .total_bytes = 60});
  CHECK(take(little, offer) == PrepareOutcome::kRefused);
  EntrySet fits({.entries = 5});
  CHECK(take(fits, offer) == PrepareOutcome::kReady);
}

namespace {
std::string strict(v1::EntryKind kind, const std::string& bytes) {
  DiagnosticList diagnostics;
  ObjectLabel label;
  auto entry = new_entry(kind);
  bool ok = parse_entry({kind, 1}, bytes, *entry, label, diagnostics);
  CHECK(ok == diagnostics.empty());
  return lines(diagnostics);
}
}  // namespace

TEST_CASE("an unknown field is refused at any depth") {
  v1::RouteEntry route = text<v1::RouteEntry>(named("t/r") + "match { path { exact: '/a' } } upstream: 1");
  CHECK(strict(v1::ENTRY_ROUTE, route.SerializeAsString()).empty());
  v1::RouteEntry deep = route;
  deep.mutable_match()->mutable_path()->GetReflection()->MutableUnknownFields(deep.mutable_match()->mutable_path())->AddVarint(99, 1);
  CHECK_THAT(strict(v1::ENTRY_ROUTE, deep.SerializeAsString()), Catch::Contains("GW3002: Route t/r: match.path: field 99"));
  CHECK_THAT(strict(v1::ENTRY_ROUTE, "\xff\xff"), Catch::Contains("GW3001"));
}

TEST_CASE("an unset oneof and an unknown enum value are refused") {
  v1::RouteEntry route = text<v1::RouteEntry>(named("t/r") + "match { path { exact: '/a' } }");
  CHECK_THAT(strict(v1::ENTRY_ROUTE, route.SerializeAsString()), Catch::Contains("GW3004: Route t/r: to: nothing is set"));
  v1::PolicyEntry policy = text<v1::PolicyEntry>(named("t/p") + "config { }");
  CHECK_THAT(strict(v1::ENTRY_POLICY, policy.SerializeAsString()), Catch::Contains("GW3004: Policy t/p: config.type"));
  policy = text<v1::PolicyEntry>(named("t/p") + "config { ip_list { deny: '10.0.0.0/8' } }");
  policy.set_mode(static_cast<v1::PolicyMode>(17));
  CHECK_THAT(strict(v1::ENTRY_POLICY, policy.SerializeAsString()), Catch::Contains("GW3003: Policy t/p: mode: value 17"));
  route = text<v1::RouteEntry>(named("t/r") + "match { path { exact: '/a' prefix: '/b' } } upstream: 1");
  CHECK_THAT(strict(v1::ENTRY_ROUTE, route.SerializeAsString()), Catch::Contains("match.path: exactly one of"));
}

TEST_CASE("what an entry needs is named after the fields that it sets") {
  auto caps = capabilities_of(text<v1::RouteEntry>(
      named("t/r") + "match { path { exact: '/a' } } split { arms { upstream: 1 weight: 2 } sticky_by: STICKY_BY_COOKIE }"));
  for (const char* expected : {"RouteEntry.split", "Split.stickyBy", "StickyBy.STICKY_BY_COOKIE", "PathMatch.exact", "SplitArm.weight"}) {
    INFO(expected);
    CHECK(std::count(caps.begin(), caps.end(), expected) == 1);
  }
  CHECK(std::count(caps.begin(), caps.end(), "PathMatch.regex") == 0);
  CHECK(std::is_sorted(caps.begin(), caps.end()));
  const auto& all = all_capabilities();
  CHECK(std::includes(all.begin(), all.end(), caps.begin(), caps.end()));
  CHECK(std::count(all.begin(), all.end(), "PolicyConfig.rateLimit") == 1);
  CHECK(capabilities_of(v1::ENTRY_ROUTE, "\xff").empty());
}
