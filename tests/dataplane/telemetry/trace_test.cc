#include "dataplane/telemetry/trace.h"

#include <catch2/catch.hpp>
#include <set>
#include <string>

using namespace gw;

namespace {
const std::string kGood = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
std::string text(const TraceContext& t) {
  std::string out(TraceContext::kTraceparentSize, '?');
  t.format(out.data());
  return out;
}
}  // namespace

TEST_CASE("a traceparent is read and written as it was") {
  auto t = TraceContext::parse(kGood);
  REQUIRE(t);
  CHECK(text(*t) == kGood);
  char id[32];
  t->format_trace_id(id);
  CHECK(std::string(id, 32) == "0af7651916cd43dd8448eb211c80319c");
  CHECK(t->flags == 1);
}

TEST_CASE("a later version of traceparent is read as far as it is known") {
  CHECK(TraceContext::parse("cc" + kGood.substr(2) + "-what-comes"));
  CHECK(TraceContext::parse("cc" + kGood.substr(2)));
  CHECK_FALSE(TraceContext::parse("cc" + kGood.substr(2) + ".what"));
}

TEST_CASE("what is no traceparent is not taken") {
  std::string bad = GENERATE(as<std::string>{}, "", "00", "ff" + kGood.substr(2), kGood.substr(0, 54), kGood + "0", kGood + "-0",
                             "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                             "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                             "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
                             "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                             "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333g-01");
  INFO(bad);
  CHECK_FALSE(TraceContext::parse(bad));
}

TEST_CASE("a child keeps the trace and has a span of its own") {
  FastRandom random(1);
  TraceContext t = TraceContext::generate(random);
  TraceContext c = t.child(random);
  CHECK(c.trace_id == t.trace_id);
  CHECK(c.span_id != t.span_id);
  CHECK(TraceContext::parse(text(c)));
}

TEST_CASE("request ids are 26 characters that can be kept, and differ") {
  FastRandom random(1);
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    std::string id(kRequestIdSize, '?');
    make_request_id(random, id.data());
    CHECK(is_request_id(id));
    seen.insert(id);
  }
  CHECK(seen.size() == 1000);
  std::string least(kRequestIdSize, '?'), most(kRequestIdSize, '?');
  format_request_id(0, 0, least.data());
  format_request_id(~uint64_t{0}, ~uint64_t{0}, most.data());
  CHECK(least == std::string(26, '0'));
  CHECK(most == "7" + std::string(25, 'z'));
  constexpr std::string_view kDigits = "0123456789abcdefghjkmnpqrstvwxyz";
  for (unsigned bit = 0; bit < 128; ++bit) {  // each bit has its own place in its own digit
    std::string id(kRequestIdSize, '?'), wanted(26, '0');
    format_request_id(bit < 64 ? 0 : uint64_t{1} << (bit - 64), bit < 64 ? uint64_t{1} << bit : 0, id.data());
    wanted[25 - bit / 5] = kDigits[size_t{1} << bit % 5];
    CHECK(id == wanted);
  }
}

TEST_CASE("a client's request id that could break a line is not kept") {
  CHECK(is_request_id("a-b_c.d:1"));
  CHECK_FALSE(is_request_id(""));
  CHECK_FALSE(is_request_id("a b"));
  CHECK_FALSE(is_request_id("a\r\nb"));
  CHECK_FALSE(is_request_id(std::string(65, 'a')));
}
