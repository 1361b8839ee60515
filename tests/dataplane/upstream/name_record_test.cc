// What is kept of answers, with a clock that the test moves.
#include "dataplane/upstream/name_record.h"

#include <catch2/catch.hpp>

namespace gw {
namespace {

struct Fixture {
  ResolveConfig rules;
  FastRandom random{7};
  NameRecord record{DnsType::kA};
  int64_t now = 1'000'000;

  bool found(std::vector<std::string> addresses, int64_t ttl_s) {
    DnsAnswer answer;
    answer.result = DnsAnswer::Result::kFound;
    for (const std::string& a : addresses) answer.addresses.push_back(*IpAddress::parse(a));
    answer.ttl_s = ttl_s;
    return record.answered(answer, rules, now, random);
  }
  bool missing() { return record.answered({DnsAnswer::Result::kMissing, "missing", {}, {}, 0}, rules, now, random); }
  bool failed() { return record.answered({DnsAnswer::Result::kFailed, "failed", {}, {}, 0}, rules, now, random); }
  std::vector<std::string> in_use() const {
    std::vector<std::string> out;
    for (const IpAddress& a : record.addresses()) out.push_back(a.to_string());
    return out;
  }
  int64_t wait() const { return record.ask_ms() - now; }
};

using Texts = std::vector<std::string>;

TEST_CASE("An answer is asked for again at the end of its TTL or up to a tenth before", "[dns]") {
  Fixture f;
  CHECK(f.record.ask_ms() <= f.now);
  CHECK(f.found({"10.0.0.1"}, 60));
  CHECK(f.wait() >= 54'000);
  CHECK(f.wait() <= 60'000);
  CHECK(f.record.next_ms(f.rules, true) == INT64_MAX);
  bool spread = false;
  int64_t first = f.wait();
  for (int i = 0; i < 20; ++i) {
    f.found({"10.0.0.1"}, 60);
    spread = spread || f.wait() != first;
  }
  CHECK(spread);
}

TEST_CASE("TTLs are bounded; none, as from the hosts file, is five seconds", "[dns]") {
  Fixture f;
  f.found({"10.0.0.1"}, 1'000'000);
  CHECK(f.wait() <= 3'600'000);
  CHECK(f.wait() >= 3'240'000);
  f.rules.min_refresh_ms = 30'000;
  f.found({"10.0.0.1"}, 1);
  CHECK(f.wait() == 30'000);
  f.rules.min_refresh_ms = 1'000;
  f.found({"10.0.0.1"}, 0);
  CHECK(f.wait() >= 4'500);
  CHECK(f.wait() <= 5'000);
}

TEST_CASE("The same addresses in another order are no change", "[dns]") {
  Fixture f;
  CHECK(f.found({"10.0.0.2", "10.0.0.1"}, 1));
  CHECK_FALSE(f.found({"10.0.0.1", "10.0.0.2", "10.0.0.1"}, 1));
  CHECK(f.in_use() == Texts{"10.0.0.1", "10.0.0.2"});
  CHECK(f.found({"10.0.0.2"}, 1));
}

TEST_CASE("While nobody answers, the last answer serves until its cap; retries slow down", "[dns]") {
  Fixture f;
  f.rules.max_stale_ms = 100'000;
  f.found({"10.0.0.1"}, 10);
  f.now += 10'000;
  std::vector<int64_t> waits;
  CHECK(f.record.stale_since_ms(f.now) == -1);  // not asked yet
  for (int i = 0; i < 7; ++i) {
    CHECK_FALSE(f.failed());
    waits.push_back(f.wait());
  }
  CHECK(waits == std::vector<int64_t>{1'000, 2'000, 4'000, 8'000, 16'000, 30'000, 30'000});
  CHECK(f.record.stale_since_ms(f.now) == 1'010'000);
  CHECK(f.record.next_ms(f.rules, true) == 1'110'000);
  f.now = 1'109'999;
  CHECK_FALSE(f.record.expire(f.rules, f.now));
  CHECK(f.in_use() == Texts{"10.0.0.1"});
  f.now = 1'110'000;
  CHECK(f.record.expire(f.rules, f.now));
  CHECK(f.in_use().empty());
  CHECK_FALSE(f.record.expire(f.rules, f.now));
  CHECK(f.record.next_ms(f.rules, true) == INT64_MAX);
  CHECK(f.found({"10.0.0.1"}, 10));
  CHECK(f.record.stale_since_ms(f.now) == -1);
}

TEST_CASE("One answer that the name does not exist takes nothing away; for long enough it does", "[dns]") {
  Fixture f;
  f.found({"10.0.0.1"}, 10);
  f.now += 10'000;
  CHECK_FALSE(f.missing());
  CHECK(f.in_use() == Texts{"10.0.0.1"});
  f.now += 29'999;
  CHECK_FALSE(f.missing());
  CHECK(f.wait() == 1'000);  // not before minRefresh
  f.now += 1;
  CHECK(f.missing());
  CHECK(f.in_use().empty());
  // A good answer in between begins anew.
  CHECK(f.found({"10.0.0.1"}, 10));
  f.missing();
  f.now += 20'000;
  f.found({"10.0.0.1"}, 10);
  f.now += 20'000;
  CHECK_FALSE(f.missing());
  CHECK(f.in_use() == Texts{"10.0.0.1"});
}

TEST_CASE("A single missing answer after a long silence is not enough", "[dns]") {
  Fixture f;
  f.found({"10.0.0.1"}, 10);
  f.now += 10'000'000;
  CHECK_FALSE(f.missing());
  CHECK_FALSE(f.in_use().empty());
}

TEST_CASE("A name that was never known: the first answer is told, whatever it is", "[dns]") {
  Fixture f;
  CHECK_FALSE(f.record.ever_answered());
  CHECK(f.failed());
  CHECK(f.record.ever_answered());
  CHECK_FALSE(f.failed());
  CHECK_FALSE(f.missing());
  CHECK(f.record.problem() == "missing");
}

TEST_CASE("Refused addresses are left out and counted; nothing else left counts as missing", "[dns]") {
  Fixture f;
  f.found({"169.254.169.254", "10.0.0.1", "fe80::1", "224.0.0.1", "0.0.0.0", "64:ff9b::a9fe:a9fe"}, 10);
  CHECK(f.in_use() == Texts{"10.0.0.1"});
  CHECK(f.record.refused() == 5);
  CHECK_FALSE(f.found({"169.254.169.254"}, 10));
  CHECK(f.in_use() == Texts{"10.0.0.1"});
  CHECK(f.record.problem() == "every address of the answer is refused");
  f.now += 30'000;
  CHECK(f.found({"169.254.169.254"}, 10));
  CHECK(f.in_use().empty());
}

TEST_CASE("What is beyond maxTargets is left out, always the same", "[dns]") {
  Fixture f;
  f.rules.max_targets = 2;
  f.found({"10.0.0.3", "10.0.0.1", "10.0.0.2"}, 10);
  CHECK(f.in_use() == Texts{"10.0.0.1", "10.0.0.2"});
  CHECK(f.record.excess() == 1);
  CHECK_FALSE(f.found({"10.0.0.2", "10.0.0.3", "10.0.0.1"}, 10));
}

}  // namespace
}  // namespace gw
