#include "common/base/units.h"

#include <catch2/catch.hpp>

#include "common/base/random.h"
#include "common/base/status.h"

namespace gw {
namespace {

TEST_CASE("durations are read in their units") {
  struct Case {
    const char* text;
    int64_t ms;
  };
  for (const Case& c : {Case{"0s", 0},
                        {"250ms", 250},
                        {"10s", 10'000},
                        {"5m", 300'000},
                        {"1h", 3'600'000},
                        {"1d", 86'400'000},
                        {"1h30m", 5'400'000},
                        {"1d2h3m4s5ms", 93'784'005},
                        {"007s", 7'000},
                        {"1500ms", 1'500}}) {
    INFO(c.text);
    auto value = parse_duration_ms(c.text);
    REQUIRE(value.ok());
    CHECK(*value == c.ms);
  }
}

TEST_CASE("what is not a duration is refused with a cure") {
  for (const char* text : {"",
                           "10",
                           "s",
                           "10 s",
                           "1.5s",
                           "-1s",
                           "+1s",
                           "10S",
                           "10sec",
                           "1s1h",
                           "1s1s",
                           "1h30",
                           "1_000ms",
                           "1e3s",
                           "0x1s",
                           "999999999999999999d",
                           "9999999999999999999s",
                           "1s ",
                           "1µs",
                           "1us",
                           "1w"}) {
    INFO(text);
    auto value = parse_duration_ms(text);
    REQUIRE_FALSE(value.ok());
    CHECK(message_of(value.status()).find("; write ") != std::string::npos);
  }
  CHECK(message_of(parse_duration_ms("60").status()) ==
        "has no unit; write 60s for seconds or 60ms for milliseconds");
}

TEST_CASE("sizes are read in units of 1024") {
  struct Case {
    const char* text;
    int64_t bytes;
  };
  for (const Case& c : {Case{"0", 0},
                        {"512", 512},
                        {"32KiB", 32'768},
                        {"10MiB", 10'485'760},
                        {"1GiB", 1'073'741'824},
                        {"2TiB", 2'199'023'255'552}}) {
    INFO(c.text);
    auto value = parse_bytes(c.text);
    REQUIRE(value.ok());
    CHECK(*value == c.bytes);
  }
}

TEST_CASE("what is not a size is refused with a cure") {
  for (const char* text : {"", "KiB", "-1", "1.5MiB", "32 KiB", "32kib", "1PiB", "1_000", "0x10",
                           "99999999999TiB", "9999999999999999999"}) {
    INFO(text);
    CHECK_FALSE(parse_bytes(text).ok());
  }
  for (const char* text : {"32KB", "32kb", "32K", "32k"}) {
    CHECK(message_of(parse_bytes(text).status()).find("write 32KiB") != std::string::npos);
  }
  CHECK(message_of(parse_bytes("10MB").status()).find("write 10MiB") != std::string::npos);
  CHECK(message_of(parse_bytes("5B").status()).find("without unit") != std::string::npos);
}

TEST_CASE("shares are percent with at most four digits after the point") {
  CHECK(*parse_percent("20%") == 200'000);
  CHECK(*parse_percent("0.5%") == 5'000);
  CHECK(*parse_percent("0.0001%") == 1);
  CHECK(*parse_percent("125%") == 1'250'000);
  for (const char* text : {"", "%", "5", "0.5", "-1%", ".5%", "5.%", "5 %", "0.00001%", "five%", "9999999999%"}) {
    INFO(text);
    CHECK_FALSE(parse_percent(text).ok());
  }
}

TEST_CASE("what is written reads back the same") {
  FastRandom random(1);
  for (int i = 0; i < 5'000; ++i) {
    int64_t value = static_cast<int64_t>(random.next() >> (10 + random.below(50)));
    CHECK(*parse_duration_ms(format_duration_ms(value)) == value);
    CHECK(*parse_bytes(format_bytes(value)) == value);
    if (value <= 10'000'000'000) CHECK(*parse_percent(format_percent(value)) == value);
  }
  CHECK(format_duration_ms(5'400'000) == "90m");
  CHECK(format_duration_ms(1'500) == "1500ms");
  CHECK(format_duration_ms(0) == "0s");
  CHECK(format_bytes(32'768) == "32KiB");
  CHECK(format_bytes(1'000) == "1000");
  CHECK(format_percent(50'000) == "5%");
  CHECK(format_percent(5'000) == "0.5%");
  CHECK(format_percent(10'001) == "1.0001%");
}

}  // namespace
}  // namespace gw
