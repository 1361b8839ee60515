#include "dataplane/upstream/targets.h"

#include <catch2/catch.hpp>

#include "common/http/target_address.h"
#include "tests/dataplane/snapshot/stream_maker.h"
#include "dataplane/snapshot/switches.h"

namespace gw {
namespace {

UpstreamTarget named_target(const std::string& host, uint16_t port, UpstreamTarget::Source source = UpstreamTarget::Source::kStatic) {
  UpstreamTarget t;
  t.host = host;
  t.port = port;
  t.authority = authority_of(host, port);
  t.source = source;
  return t;
}

std::vector<std::string> authorities(const std::vector<UpstreamTarget>& targets) {
  std::vector<std::string> out;
  for (const UpstreamTarget& t : targets) out.push_back(t.authority);
  return out;
}

using Texts = std::vector<std::string>;
using Source = UpstreamTarget::Source;

TEST_CASE("Targets are those of the configuration, those that were found, those added: each host:port once", "[targets]") {
  UpstreamConfig config;
  config.targets = {named_target("10.0.0.1", 80)};
  config.discovery.dns = "u.test";
  config.discovery.max_endpoints = 2;
  FoundTargets found;
  for (const char* host : {"10.0.0.1", "10.0.0.2"}) {
    found.found.push_back(named_target(host, 80, Source::kDns));
    found.found.back().found_by = "u.test";
  }
  for (const char* host : {"10.0.0.2", "10.0.0.3", "10.0.0.4"}) found.endpoints.push_back(named_target(host, 80, Source::kEndpoint));
  auto merged = merge_targets(config, &found, *Switches::none());
  CHECK(authorities(merged) == Texts{"10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"});
  CHECK(merged[0].source == Source::kStatic);
  CHECK(merged[1].source == Source::kDns);
  CHECK(merged[2].source == Source::kEndpoint);

  SECTION("what was found by a name that the configuration has no more is not used") {
    config.discovery.dns = "other.test";
    config.discovery.max_endpoints = 0;
    CHECK(authorities(merge_targets(config, &found, *Switches::none())) == Texts{"10.0.0.1:80"});
  }
}

TEST_CASE("Where nothing is found and nothing else is there, the name itself stands for it", "[targets]") {
  UpstreamConfig config;
  config.discovery.dns = "u.test";
  config.discovery.port = 8080;
  auto waits = merge_targets(config, nullptr, *Switches::none());
  REQUIRE(waits.size() == 1);
  CHECK(waits[0].source == Source::kAwaited);
  CHECK(waits[0].authority == "u.test:8080");
  CHECK(waits[0].addresses == nullptr);
  FoundTargets nothing;
  nothing.searched = std::make_shared<NameAddresses>();
  auto failed = merge_targets(config, &nothing, *Switches::none());
  REQUIRE(failed.size() == 1);
  REQUIRE(failed[0].addresses != nullptr);
  CHECK(failed[0].addresses->list.empty());
  config.targets = {named_target("10.0.0.1", 80)};
  CHECK(authorities(merge_targets(config, nullptr, *Switches::none())) == Texts{"10.0.0.1:80"});
}

TEST_CASE("Names of targets have the addresses that are known of them", "[targets]") {
  UpstreamConfig config;
  config.targets = {named_target("a.test", 80), named_target("a.test", 81)};
  FoundTargets found;
  found.names["a.test:81"] = std::make_shared<NameAddresses>(NameAddresses{{*IpAddress::parse("10.0.0.1")}});
  auto merged = merge_targets(config, &found, *Switches::none());
  CHECK(merged[0].addresses == nullptr);
  CHECK(merged[1].addresses->list.size() == 1);
}

TEST_CASE("A drained target has no weight, wherever it is from", "[targets]") {
  testing::StreamMaker maker{v1::STREAM_SWITCHES};
  for (uint64_t uid : {1, 2, 3}) {
    v1::TargetSwitchEntry entry;
    entry.mutable_name()->set_owner("platform");
    entry.mutable_name()->set_name("u");
    entry.set_upstream(uid == 3 ? 99 : 10);
    entry.set_target("10.0.0." + std::to_string(uid) + ":80");
    maker.put(v1::ENTRY_TARGET_SWITCH, uid, entry);
  }
  SwitchesBuilder builder;
  auto result = builder.prepare(maker.whole());
  REQUIRE(result.switches);
  UpstreamConfig config;
  config.uid = 10;
  config.targets = {named_target("10.0.0.1", 80), named_target("10.0.0.3", 80)};
  config.discovery.max_endpoints = 5;
  FoundTargets found;
  found.endpoints = {named_target("10.0.0.2", 80, Source::kEndpoint)};
  auto merged = merge_targets(config, &found, *result.switches);
  REQUIRE(merged.size() == 3);
  CHECK(merged[0].weight == 0);
  CHECK(merged[1].weight == 1);
  CHECK(merged[2].weight == 0);
}

TEST_CASE("SRV weights keep their proportion, zero is the smallest share, priorities their order", "[targets]") {
  auto weights = [](std::vector<uint16_t> in) {
    std::vector<SrvRecord> records;
    for (uint16_t w : in) records.push_back({0, w, 80, "h" + std::to_string(records.size())});
    std::vector<uint32_t> out;
    for (const auto& t : srv_targets("s", records)) out.push_back(t.weight);
    return out;
  };
  using Weights = std::vector<uint32_t>;
  CHECK(weights({1, 3}) == Weights{1, 3});
  CHECK(weights({0, 0}) == Weights{1, 1});
  CHECK(weights({0, 1, 2}) == Weights{1, 500, 1000});
  CHECK(weights({65535, 13107}) == Weights{1000, 200});
  CHECK(weights({65535, 1}) == Weights{1000, 1});
  std::vector<SrvRecord> records;
  for (uint16_t i = 0; i < 20; ++i) records.push_back({static_cast<uint16_t>(i * 3000), 1, 80, "h" + std::to_string(i)});
  auto targets = srv_targets("_s.test", records);
  CHECK(targets[0].priority == 0);
  CHECK(targets[14].priority == 14);
  CHECK(targets[19].priority == 15);
  CHECK(targets[3].authority == "h3:80");
  CHECK(targets[3].found_by == "_s.test");
}

TEST_CASE("Addresses that no target may have", "[targets]") {
  for (const char* text : {"169.254.1.1", "fe80::1", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "100.100.100.200", "168.63.129.16",
                           "fd00:ec2::254", "::ffff:169.254.169.254", "64:ff9b::169.254.169.254"}) {
    INFO(text);
    CHECK(refused_as_target(*IpAddress::parse(text)));
  }
  for (const char* text : {"10.0.0.1", "127.0.0.1", "::1", "2001:db8::1", "64:ff9b::10.0.0.1"}) {
    INFO(text);
    CHECK_FALSE(refused_as_target(*IpAddress::parse(text)));
  }
  CHECK(reaches(*IpAddress::parse("127.0.0.2"), *IpAddress::parse("127.0.0.1")));
  CHECK(reaches(*IpAddress::parse("10.0.0.2"), *IpAddress::parse("0.0.0.0")));
  CHECK_FALSE(reaches(*IpAddress::parse("10.0.0.2"), *IpAddress::parse("10.0.0.1")));
}

}  // namespace
}  // namespace gw
