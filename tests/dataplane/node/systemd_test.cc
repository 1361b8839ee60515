#include "dataplane/node/systemd.h"

#include <catch2/catch.hpp>

namespace gw {
namespace {

using Passed = std::vector<PassedDescriptor>;

TEST_CASE("passed descriptors begin at 3 and have systemd's names") {
  CHECK(parse_passed("42", "3", "http:edge/https:admin", 42) == Passed{{3, "http"}, {4, "edge/https"}, {5, "admin"}});
}

TEST_CASE("passed descriptors may have no names") {
  CHECK(parse_passed("42", "2", nullptr, 42) == Passed{{3, ""}, {4, ""}});
  CHECK(parse_passed("42", "2", "http", 42) == Passed{{3, "http"}, {4, ""}});
  CHECK(parse_passed("42", "2", "unknown:stored", 42) == Passed{{3, ""}, {4, ""}});
}

TEST_CASE("descriptors that were passed to another process are left alone") {
  CHECK(parse_passed("41", "1", nullptr, 42).empty());
  CHECK(parse_passed(nullptr, "1", nullptr, 42).empty());
}

TEST_CASE("a count that is none, or beyond the limit, passes nothing") {
  for (const char* count : {"0", "-1", "", "x", "1x", " 1", "1025", "99999999999999999999"}) {
    INFO(count);
    CHECK(parse_passed("42", count, nullptr, 42).empty());
  }
  CHECK(parse_passed("42", nullptr, nullptr, 42).empty());
  CHECK(parse_passed("42", "1024", nullptr, 42).size() == 1024);
}

}  // namespace
}  // namespace gw
