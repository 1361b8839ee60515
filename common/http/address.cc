#include "common/http/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

namespace gw {
namespace {

constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

using Bytes = std::array<uint8_t, 16>;

// The address after `b`; false when there is none.
bool increment(Bytes& b) {
  for (size_t i = 16; i-- > 0;) {
    if (++b[i] != 0) return true;
  }
  return false;
}

}  // namespace

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  char buffer[INET6_ADDRSTRLEN + 1];
  if (text.empty() || text.size() >= sizeof buffer) return std::nullopt;
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  std::memcpy(buffer, text.data(), text.size());
  buffer[text.size()] = '\0';
  IpAddress out;
  if (text.find(':') != std::string_view::npos) {
    if (inet_pton(AF_INET6, buffer, out.bytes.data()) != 1) return std::nullopt;
    return out;
  }
  std::memcpy(out.bytes.data(), kMapped, sizeof kMapped);
  if (inet_pton(AF_INET, buffer, out.bytes.data() + 12) != 1) return std::nullopt;
  return out;
}

bool IpAddress::is_v4() const { return std::memcmp(bytes.data(), kMapped, sizeof kMapped) == 0; }

bool IpAddress::is_loopback() const {
  if (is_v4()) return bytes[12] == 127;
  static constexpr Bytes kLoopback = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  return bytes == kLoopback;
}

bool IpAddress::is_link_local() const {
  if (is_v4()) return bytes[12] == 169 && bytes[13] == 254;
  return bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
}

bool IpAddress::is_unspecified() const {
  size_t from = is_v4() ? 12 : 0;
  return std::all_of(bytes.begin() + from, bytes.end(), [](uint8_t b) { return b == 0; });
}

size_t IpAddress::format(char* out) const {
  if (!is_v4()) {
    inet_ntop(AF_INET6, bytes.data(), out, INET6_ADDRSTRLEN);
    return std::strlen(out);
  }
  char* at = out;
  for (size_t i = 12; i < 16; ++i) {
    unsigned b = bytes[i];
    if (i > 12) *at++ = '.';
    if (b >= 100) *at++ = static_cast<char>('0' + b / 100);
    if (b >= 10) *at++ = static_cast<char>('0' + b / 10 % 10);
    *at++ = static_cast<char>('0' + b % 10);
  }
  return static_cast<size_t>(at - out);
}

std::string IpAddress::to_string() const {
  char buffer[INET6_ADDRSTRLEN];
  return std::string(buffer, format(buffer));
}

uint64_t IpAddress::hash() const {
  uint64_t a, b;
  std::memcpy(&a, bytes.data(), 8);
  std::memcpy(&b, bytes.data() + 8, 8);
  unsigned __int128 m = static_cast<unsigned __int128>(a ^ 0xa0761d6478bd642f) * (b ^ 0xe7037ed1a0b428db);
  return static_cast<uint64_t>(m) ^ static_cast<uint64_t>(m >> 64);
}

std::optional<Cidr> Cidr::parse(std::string_view text) {
  size_t slash = text.find('/');
  auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return std::nullopt;
  Cidr out{*address, 128};
  if (slash == std::string_view::npos) return out;
  std::string_view digits = text.substr(slash + 1);
  if (digits.empty() || digits.size() > 3) return std::nullopt;
  unsigned bits = 0;
  for (char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    bits = bits * 10 + static_cast<unsigned>(c - '0');
  }
  bool v4 = text.substr(0, slash).find(':') == std::string_view::npos;
  if (bits > (v4 ? 32u : 128u)) return std::nullopt;
  out.bits = static_cast<uint8_t>(v4 ? bits + 96 : bits);
  out.network = out.first();
  return out;
}

IpAddress Cidr::edge(bool last) const {
  IpAddress out = network;
  for (unsigned i = 0; i < 16; ++i) {
    unsigned kept = bits > i * 8 ? std::min(8u, bits - i * 8) : 0;
    uint8_t mask = static_cast<uint8_t>(0xff << (8 - kept));
    out.bytes[i] = static_cast<uint8_t>(last ? out.bytes[i] | ~mask : out.bytes[i] & mask);
  }
  return out;
}

bool Cidr::contains(const IpAddress& address) const {
  unsigned whole = bits / 8, rest = bits % 8;
  if (std::memcmp(address.bytes.data(), network.bytes.data(), whole) != 0) return false;
  if (rest == 0) return true;
  uint8_t mask = static_cast<uint8_t>(0xff << (8 - rest));
  return (address.bytes[whole] & mask) == (network.bytes[whole] & mask);
}

CidrSet::CidrSet(const std::vector<Cidr>& cidrs) {
  std::vector<Range> all;
  all.reserve(cidrs.size());
  for (const Cidr& c : cidrs) all.push_back({c.first().bytes, c.last().bytes});
  std::sort(all.begin(), all.end(), [](const Range& a, const Range& b) { return a.first < b.first; });
  for (const Range& r : all) {
    if (!ranges_.empty()) {
      Bytes next = ranges_.back().last;
      if (!increment(next) || r.first <= next) {  // touches or overlaps the one before
        ranges_.back().last = std::max(ranges_.back().last, r.last);
        continue;
      }
    }
    ranges_.push_back(r);
  }
}

bool CidrSet::contains(const IpAddress& address) const {
  auto after = std::upper_bound(ranges_.begin(), ranges_.end(), address.bytes,
                                [](const Bytes& a, const Range& r) { return a < r.first; });
  return after != ranges_.begin() && address.bytes <= std::prev(after)->last;
}

}  // namespace gw
