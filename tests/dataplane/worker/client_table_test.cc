#include "dataplane/worker/client_table.h"

#include <catch2/catch.hpp>
#include <thread>
#include <vector>

using namespace gw;

TEST_CASE("connections are counted by Gateway and address, and forgotten with the last") {
  ClientTable table;
  IpAddress a = *IpAddress::parse("192.0.2.1"), b = *IpAddress::parse("2001:db8::1");
  CHECK(table.add(1, a, 2));
  CHECK(table.add(1, a, 2));
  CHECK_FALSE(table.add(1, a, 2));
  CHECK(table.add(2, a, 2));
  CHECK(table.add(1, b, 2));
  CHECK_FALSE(table.add(3, b, 0));
  CHECK(table.size() == 3);
  table.remove(1, a);
  CHECK(table.add(1, a, 2));
  table.remove(1, a);
  table.remove(1, a);
  table.remove(2, a);
  table.remove(1, b);
  table.remove(1, b);  // one too many is harmless
  CHECK(table.size() == 0);
}

TEST_CASE("workers share the table, and no limit is passed") {
  ClientTable table;
  IpAddress a = *IpAddress::parse("192.0.2.1");
  std::vector<size_t> admitted(4);
  std::vector<std::thread> workers;
  for (size_t w = 0; w < admitted.size(); ++w) {
    workers.emplace_back([&, w] {
      for (int i = 0; i < 1000; ++i) admitted[w] += table.add(1, a, 777);
    });
  }
  size_t total = 0;
  for (size_t w = 0; w < admitted.size(); ++w) {
    workers[w].join();
    total += admitted[w];
  }
  CHECK(total == 777);
}
