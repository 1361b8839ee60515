#include "common/http/address.h"

#include <catch2/catch.hpp>

using gw::Cidr;
using gw::CidrSet;
using gw::IpAddress;

TEST_CASE("addresses are read and written in their usual form") {
  for (const char* text : {"0.0.0.0", "127.0.0.1", "255.255.255.255", "10.20.30.4", "::", "::1", "2001:db8::1", "fe80::1:2"}) {
    auto a = IpAddress::parse(text);
    REQUIRE(a);
    CHECK(a->to_string() == text);
  }
}

TEST_CASE("what is no address is refused") {
  for (const char* text : {"", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.4:80", "[::1]", "::1%lo", "fe80::1%eth0",
                           "localhost", ":::", "12345::", "1.2.3.4 ", "::ffff:1.2.3.4.5",
                           "1111111111111111111111111111111111111111111111111111111111111111"}) {
    INFO(text);
    CHECK_FALSE(IpAddress::parse(text));
  }
  CHECK_FALSE(IpAddress::parse(std::string_view("1.2.3.4\0x", 9)));
}

TEST_CASE("an IPv4-mapped address is the IPv4 address") {
  CHECK(*IpAddress::parse("::ffff:10.1.2.3") == *IpAddress::parse("10.1.2.3"));
  CHECK(IpAddress::parse("::ffff:127.0.0.1")->is_loopback());
}

TEST_CASE("special addresses are known") {
  CHECK(IpAddress::parse("127.8.9.1")->is_loopback());
  CHECK(IpAddress::parse("::1")->is_loopback());
  CHECK_FALSE(IpAddress::parse("128.0.0.1")->is_loopback());
  CHECK(IpAddress::parse("169.254.169.254")->is_link_local());
  CHECK(IpAddress::parse("fe80::1")->is_link_local());
  CHECK(IpAddress::parse("febf::1")->is_link_local());
  CHECK_FALSE(IpAddress::parse("fec0::1")->is_link_local());
  CHECK(IpAddress::parse("0.0.0.0")->is_unspecified());
  CHECK(IpAddress::parse("::")->is_unspecified());
  CHECK_FALSE(IpAddress::parse("::1")->is_unspecified());
}

TEST_CASE("a CIDR contains its network and nothing else") {
  auto ten = Cidr::parse("10.1.2.3/8");
  REQUIRE(ten);
  CHECK(ten->contains(*IpAddress::parse("10.0.0.0")));
  CHECK(ten->contains(*IpAddress::parse("10.255.255.255")));
  CHECK_FALSE(ten->contains(*IpAddress::parse("11.0.0.0")));
  CHECK_FALSE(ten->contains(*IpAddress::parse("a00::")));
  auto odd = Cidr::parse("192.0.2.128/25");
  CHECK(odd->contains(*IpAddress::parse("192.0.2.200")));
  CHECK_FALSE(odd->contains(*IpAddress::parse("192.0.2.127")));
  CHECK(Cidr::parse("2001:db8::/32")->contains(*IpAddress::parse("2001:db8:ffff::1")));
  CHECK(Cidr::parse("0.0.0.0/0")->contains(*IpAddress::parse("9.9.9.9")));
  CHECK_FALSE(Cidr::parse("0.0.0.0/0")->contains(*IpAddress::parse("2001::1")));
  CHECK(Cidr::parse("::/0")->contains(*IpAddress::parse("9.9.9.9")));
}

TEST_CASE("broken CIDRs are refused") {
  for (const char* text : {"10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "::/129", "/8", "10/8", "::/0000"}) {
    INFO(text);
    CHECK_FALSE(Cidr::parse(text));
  }
}

TEST_CASE("a set merges what touches and answers as its parts do") {
  std::vector<Cidr> parts;
  for (const char* text : {"10.0.0.0/9", "10.128.0.0/9", "192.0.2.7", "192.0.2.0/29", "2001:db8::/32", "255.255.255.255"}) {
    parts.push_back(*Cidr::parse(text));
  }
  CidrSet set(parts);
  for (const char* text : {"9.255.255.255", "10.0.0.0", "10.127.255.255", "10.128.0.0", "10.255.255.255", "11.0.0.0",
                           "192.0.2.0", "192.0.2.7", "192.0.2.8", "2001:db8::1", "2001:db9::", "255.255.255.255", "::"}) {
    auto a = *IpAddress::parse(text);
    bool expected = false;
    for (const Cidr& c : parts) expected = expected || c.contains(a);
    INFO(text);
    CHECK(set.contains(a) == expected);
  }
  CHECK(CidrSet().empty());
  CHECK_FALSE(CidrSet().contains(*IpAddress::parse("1.1.1.1")));
  CHECK(CidrSet({*Cidr::parse("::/0")}).contains(*IpAddress::parse("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")));
}
