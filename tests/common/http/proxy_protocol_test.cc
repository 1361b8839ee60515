#include "common/http/proxy_protocol.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/support/source_dir.h"

using namespace gw;

namespace {

using R = ProxyHeaderResult;

const std::string kSignature("\r\n\r\n\0\r\nQUIT\n", 12);

std::string v2(unsigned char command, unsigned char family, const std::string& rest) {
  return kSignature + static_cast<char>(command) + static_cast<char>(family) + static_cast<char>(rest.size() >> 8) +
         static_cast<char>(rest.size() & 255) + rest;
}

R parse(const std::string& bytes, ProxyHeader& out) { return parse_proxy_header(bytes, out); }
R parse(const std::string& bytes) {
  ProxyHeader out;
  return parse(bytes, out);
}

// Of every input: the same answer however it comes in pieces, and never more wanted than the bound.
void check_pieces(const std::string& bytes) {
  ProxyHeader whole, part;
  R result = parse(bytes, whole);
  if (result == R::kMore) REQUIRE(bytes.size() < ProxyHeader::kMaxV2);
  if (result == R::kDone) {
    REQUIRE(whole.size <= bytes.size());
    for (size_t n = 0; n < whole.size; ++n) REQUIRE(parse(bytes.substr(0, n), part) == R::kMore);
    REQUIRE(parse(bytes.substr(0, whole.size), part) == R::kDone);
  }
}

}  // namespace

TEST_CASE("PROXY protocol 1 is read") {
  ProxyHeader h;
  REQUIRE(parse("PROXY TCP4 192.0.2.1 198.51.100.2 40000 443\r\nGET", h) == R::kDone);
  CHECK(h.has_addresses);
  CHECK(h.source.to_string() == "192.0.2.1");
  CHECK(h.destination.to_string() == "198.51.100.2");
  CHECK(h.source_port == 40000);
  CHECK(h.destination_port == 443);
  CHECK(h.size == 45);
  REQUIRE(parse("PROXY TCP6 2001:db8::1 ::1 1 65535\r\n", h) == R::kDone);
  CHECK(h.source.to_string() == "2001:db8::1");
  REQUIRE(parse("PROXY UNKNOWN\r\n", h) == R::kDone);
  CHECK_FALSE(h.has_addresses);
  REQUIRE(parse("PROXY UNKNOWN ffff::1 whatever 1 2\r\n", h) == R::kDone);
  CHECK_FALSE(h.has_addresses);
  for (const char* bytes : {"", "P", "PROXY", "PROXY ", "PROXY TCP4 192.0.2.1 1", "PROXY UNKNOWN\r"}) CHECK(parse(bytes) == R::kMore);
}

TEST_CASE("malformed PROXY protocol 1 headers are refused") {
  for (const char* bytes : {"GET / HTTP/1.1\r\n", "proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
                            "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n", "PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n",
                            "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
                            "PROXY TCP4 ::1 ::1 1 2\r\n", "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n",
                            "PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY \r\n", "PROXYTCP4 1.2.3.4"}) {
    INFO(bytes);
    CHECK(parse(bytes) == R::kBad);
  }
  CHECK(parse("PROXY UNKNOWN " + std::string(ProxyHeader::kMaxV1 - 15, 'x')) == R::kMore);
  CHECK(parse("PROXY UNKNOWN " + std::string(ProxyHeader::kMaxV1 - 14, 'x')) == R::kBad);  // the bound
}

TEST_CASE("PROXY protocol 2 is read, its TLVs are skipped, LOCAL keeps the socket's address") {
  const std::string four("\xc0\x00\x02\x01\xc6\x33\x64\x02\x9c\x40\x01\xbb", 12);
  ProxyHeader h;
  REQUIRE(parse(v2(0x21, 0x11, four) + "GET", h) == R::kDone);
  CHECK(h.source.to_string() == "192.0.2.1");
  CHECK(h.destination.to_string() == "198.51.100.2");
  CHECK(h.source_port == 40000);
  CHECK(h.destination_port == 443);
  CHECK(h.size == 28);
  REQUIRE(parse(v2(0x21, 0x11, four + std::string("\x04\x00\x03zzz", 6)), h) == R::kDone);
  CHECK(h.size == 34);
  std::string six(36, '\0');
  six[15] = 1;
  six[33] = 9;
  REQUIRE(parse(v2(0x21, 0x21, six), h) == R::kDone);
  CHECK(h.source.to_string() == "::1");
  CHECK(h.source_port == 9);
  for (const std::string& local : {v2(0x20, 0x00, ""), v2(0x20, 0x11, four), v2(0x21, 0x00, "abc"), v2(0x21, 0x31, std::string(216, 'u'))}) {
    REQUIRE(parse(local, h) == R::kDone);
    CHECK_FALSE(h.has_addresses);
    CHECK(h.size == local.size());
  }
  CHECK(parse(v2(0x21, 0x11, four).substr(0, 20)) == R::kMore);
}

TEST_CASE("malformed PROXY protocol 2 headers are refused") {
  const std::string four(12, 'x');
  CHECK(parse(v2(0x31, 0x11, four)) == R::kBad);  // version
  CHECK(parse(v2(0x22, 0x11, four)) == R::kBad);  // command
  CHECK(parse(v2(0x21, 0x12, four)) == R::kBad);  // datagrams
  CHECK(parse(v2(0x21, 0x41, four)) == R::kBad);
  CHECK(parse(v2(0x21, 0x11, "short")) == R::kBad);
  CHECK(parse(v2(0x21, 0x21, four)) == R::kBad);
  CHECK(parse(kSignature.substr(0, 11) + "X") == R::kBad);
  CHECK(parse(v2(0x21, 0x11, std::string(2049, 't'))) == R::kBad);  // the bound
  CHECK(parse(v2(0x21, 0x11, std::string(2048, 't'))) == R::kDone);
}

TEST_CASE("what is written is read again") {
  char out[ProxyHeader::kMaxV1];
  const char* addresses[] = {"192.0.2.1", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "::1", "127.0.0.1"};
  for (const char* from : addresses) {
    for (const char* to : addresses) {
      ProxyHeader h, read;
      h.has_addresses = true;
      h.source = *IpAddress::parse(from);
      h.destination = *IpAddress::parse(to);
      h.source_port = 65535;
      h.destination_port = 80;
      for (auto* write : {write_proxy_v1, write_proxy_v2}) {
        std::string bytes(out, write(h, out));
        INFO(bytes);
        REQUIRE(bytes.size() <= sizeof out);
        REQUIRE(parse(bytes, read) == R::kDone);
        CHECK(read.source == h.source);
        CHECK(read.destination == h.destination);
        CHECK(read.source_port == 65535);
        CHECK(read.destination_port == 80);
        check_pieces(bytes);
      }
    }
  }
  ProxyHeader none, read;
  CHECK(std::string(out, write_proxy_v1(none, out)) == "PROXY UNKNOWN\r\n");
  CHECK(parse(std::string(out, write_proxy_v2(none, out)), read) == R::kDone);
  CHECK_FALSE(read.has_addresses);
}

TEST_CASE("every input of the PROXY protocol's fuzz corpus is read the same in pieces") {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(test::source_dir()) / "tests/fuzz/corpus/proxy_protocol")) {
    std::stringstream text;
    text << std::ifstream(entry.path(), std::ios::binary).rdbuf();
    check_pieces(text.str());
    ++count;
  }
  CHECK(count >= 8);
}
