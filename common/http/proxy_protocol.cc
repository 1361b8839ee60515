#include "common/http/proxy_protocol.h"

#include <charconv>
#include <cstring>

namespace gw {
namespace {

constexpr std::string_view kV1 = "PROXY ";
constexpr std::string_view kV2("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr size_t kV2Fixed = 16;

bool begins_alike(std::string_view bytes, std::string_view mark) {
  size_t n = bytes.size() < mark.size() ? bytes.size() : mark.size();
  return bytes.substr(0, n) == mark.substr(0, n);
}

// Decimal without sign or leading zeros, at most 65535.
bool proxy_port(std::string_view text, uint16_t& out) {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text[0] == '0')) return false;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

// Cuts the next word off `line`; words are parted by exactly one space.
std::string_view word(std::string_view& line) {
  size_t space = line.find(' ');
  std::string_view out = line.substr(0, space);
  line = space == std::string_view::npos ? std::string_view() : line.substr(space + 1);
  return out;
}

ProxyHeaderResult parse_v1(std::string_view bytes, ProxyHeader& out) {
  size_t end = bytes.substr(0, ProxyHeader::kMaxV1).find('\n');
  if (end == std::string_view::npos) return bytes.size() >= ProxyHeader::kMaxV1 ? ProxyHeaderResult::kBad : ProxyHeaderResult::kMore;
  if (bytes[end - 1] != '\r') return ProxyHeaderResult::kBad;
  std::string_view line = bytes.substr(kV1.size(), end - 1 - kV1.size());
  out.size = end + 1;
  std::string_view family = word(line);
  if (family == "UNKNOWN") return ProxyHeaderResult::kDone;  // the rest of the line is to be ignored
  if (family != "TCP4" && family != "TCP6") return ProxyHeaderResult::kBad;
  std::string_view source = word(line), destination = word(line), source_port = word(line);
  auto from = IpAddress::parse(source), to = IpAddress::parse(destination);
  bool v4 = family == "TCP4";
  // A dotted address in a TCP6 line is malformed, and so is a colon in a TCP4 line.
  auto fits = [v4](std::string_view text) { return (text.find(':') == std::string_view::npos) == v4; };
  if (!from || !to || !fits(source) || !fits(destination)) return ProxyHeaderResult::kBad;
  if (!proxy_port(source_port, out.source_port) || !proxy_port(line, out.destination_port)) return ProxyHeaderResult::kBad;
  out.source = *from;
  out.destination = *to;
  out.has_addresses = true;
  return ProxyHeaderResult::kDone;
}

uint16_t big_endian(const char* at) {
  return static_cast<uint16_t>(static_cast<unsigned char>(at[0]) << 8 | static_cast<unsigned char>(at[1]));
}

IpAddress mapped(const char* four) {
  IpAddress out;
  out.bytes[10] = out.bytes[11] = 0xff;
  std::memcpy(out.bytes.data() + 12, four, 4);
  return out;
}

ProxyHeaderResult parse_v2(std::string_view bytes, ProxyHeader& out) {
  if (bytes.size() < kV2Fixed) return ProxyHeaderResult::kMore;
  unsigned version = static_cast<unsigned char>(bytes[12]) >> 4, command = static_cast<unsigned char>(bytes[12]) & 15;
  unsigned family = static_cast<unsigned char>(bytes[13]);
  size_t length = big_endian(bytes.data() + 14);
  if (version != 2 || command > 1 || kV2Fixed + length > ProxyHeader::kMaxV2) return ProxyHeaderResult::kBad;
  if (bytes.size() < kV2Fixed + length) return ProxyHeaderResult::kMore;
  out.size = kV2Fixed + length;
  if (command == 0) return ProxyHeaderResult::kDone;  // LOCAL: whatever follows is to be ignored
  const char* at = bytes.data() + kV2Fixed;
  switch (family) {
    case 0x11:  // TCP over IPv4
      if (length < 12) return ProxyHeaderResult::kBad;
      out.source = mapped(at);
      out.destination = mapped(at + 4);
      out.source_port = big_endian(at + 8);
      out.destination_port = big_endian(at + 10);
      break;
    case 0x21:  // TCP over IPv6
      if (length < 36) return ProxyHeaderResult::kBad;
      std::memcpy(out.source.bytes.data(), at, 16);
      std::memcpy(out.destination.bytes.data(), at + 16, 16);
      out.source_port = big_endian(at + 32);
      out.destination_port = big_endian(at + 34);
      break;
    case 0x00:  // UNSPEC
      return ProxyHeaderResult::kDone;
    case 0x31:  // UNIX stream
      return length < 216 ? ProxyHeaderResult::kBad : ProxyHeaderResult::kDone;
    default:
      return ProxyHeaderResult::kBad;
  }
  out.has_addresses = true;
  return ProxyHeaderResult::kDone;
}

bool both_v4(const ProxyHeader& header) { return header.source.is_v4() && header.destination.is_v4(); }

// An IPv4 address among IPv6 ones is written in its mapped form.
size_t put_address(const IpAddress& address, bool v4, char* out) {
  if (v4 || !address.is_v4()) return address.format(out);
  std::memcpy(out, "::ffff:", 7);
  return 7 + address.format(out + 7);
}

void put_port(uint16_t port, char* out) {
  out[0] = static_cast<char>(port >> 8);
  out[1] = static_cast<char>(port & 255);
}

}  // namespace

ProxyHeaderResult parse_proxy_header(std::string_view bytes, ProxyHeader& out) {
  out = ProxyHeader{};
  if (bytes.empty()) return ProxyHeaderResult::kMore;
  if (begins_alike(bytes, kV1)) return bytes.size() < kV1.size() ? ProxyHeaderResult::kMore : parse_v1(bytes, out);
  if (begins_alike(bytes, kV2)) return bytes.size() < kV2.size() ? ProxyHeaderResult::kMore : parse_v2(bytes, out);
  return ProxyHeaderResult::kBad;
}

size_t write_proxy_v1(const ProxyHeader& header, char* out) {
  auto put = [at = out](std::string_view text) mutable {
    std::memcpy(at, text.data(), text.size());
    at += text.size();
    return at;
  };
  if (!header.has_addresses) return static_cast<size_t>(put("PROXY UNKNOWN\r\n") - out);
  bool v4 = both_v4(header);
  char text[64];
  put(v4 ? "PROXY TCP4 " : "PROXY TCP6 ");
  put({text, put_address(header.source, v4, text)});
  put(" ");
  put({text, put_address(header.destination, v4, text)});
  put(" ");
  put({text, static_cast<size_t>(std::to_chars(text, text + 8, header.source_port).ptr - text)});
  put(" ");
  put({text, static_cast<size_t>(std::to_chars(text, text + 8, header.destination_port).ptr - text)});
  return static_cast<size_t>(put("\r\n") - out);
}

size_t write_proxy_v2(const ProxyHeader& header, char* out) {
  std::memcpy(out, kV2.data(), kV2.size());
  bool v4 = both_v4(header);
  out[12] = header.has_addresses ? 0x21 : 0x20;
  out[13] = static_cast<char>(!header.has_addresses ? 0x00 : v4 ? 0x11 : 0x21);
  size_t length = !header.has_addresses ? 0 : v4 ? 12 : 36;
  put_port(static_cast<uint16_t>(length), out + 14);
  if (!header.has_addresses) return kV2Fixed;
  char* at = out + kV2Fixed;
  size_t skip = v4 ? 12 : 0, width = v4 ? 4 : 16;
  std::memcpy(at, header.source.bytes.data() + skip, width);
  std::memcpy(at + width, header.destination.bytes.data() + skip, width);
  put_port(header.source_port, at + 2 * width);
  put_port(header.destination_port, at + 2 * width + 2);
  return kV2Fixed + length;
}

}  // namespace gw
