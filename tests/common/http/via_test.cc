#include "common/http/via.h"

#include <catch2/catch.hpp>

using namespace gw;

TEST_CASE("a Gateway's mark in Via is found among others', in any case and behind comments") {
  const std::string own = via_pseudonym(0x1f), other = via_pseudonym(0x20);
  CHECK(own == "northgate-000000000000001f");
  auto read = [&](std::initializer_list<std::string_view> values) {
    HeaderList headers;
    headers.add("accept", "1.1 " + own);
    for (std::string_view v : values) headers.add("Via", v);
    return read_via(headers, own);
  };
  CHECK_FALSE(read({}).own);
  CHECK_FALSE(read({"1.1 cache.example (squid), 1.0 fred"}).own);
  CHECK(read({"1.1 cache.example (squid)", "1.1 " + own}).own);
  CHECK(read({"1.0 a,HTTP/1.1\t" + own + " (x) , 1.1 b"}).own);
  CHECK(read({"1.1 NORTHGATE-000000000000001F"}).own);
  CHECK_FALSE(read({"1.1 " + own + "0"}).own);
  CHECK_FALSE(read({own}).own);  // no protocol: no member of Via
  ViaReading stacked = read({"1.1 " + other + ", 1.1 x, 1.1 " + via_pseudonym(7), "1.1 " + other});
  CHECK_FALSE(stacked.own);
  CHECK(stacked.others == 3);
  CHECK(read({"", ",", "1.1", "1.1 ", " \t"}).others == 0);
}
