// IP addresses as values. IPv4 is kept as an IPv4-mapped IPv6 address, so that one compare serves both.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gw {

struct IpAddress {
  std::array<uint8_t, 16> bytes{};

  static std::optional<IpAddress> parse(std::string_view text);  // "127.0.0.1", "::1"; no port, no brackets, no zone
  bool is_v4() const;
  bool is_loopback() const;
  bool is_link_local() const;  // 169.254/16, fe80::/10
  bool is_unspecified() const;
  // Writes the text form into `out` (at least 46 bytes), returns its length; no allocation.
  size_t format(char* out) const;
  std::string to_string() const;
  uint64_t hash() const;
  friend bool operator==(const IpAddress&, const IpAddress&) = default;
};

// "10.0.0.0/8", "2001:db8::/32", or one address.
struct Cidr {
  IpAddress network;
  uint8_t bits = 128;  // of the mapped form

  static std::optional<Cidr> parse(std::string_view text);
  // Lowest and highest address.
  IpAddress first() const { return edge(false); }
  IpAddress last() const { return edge(true); }
  bool contains(const IpAddress& address) const;

 private:
  IpAddress edge(bool last) const;
};

// Membership in O(log n) over merged ranges. Immutable once built.
class CidrSet {
 public:
  CidrSet() = default;
  explicit CidrSet(const std::vector<Cidr>& cidrs);
  bool contains(const IpAddress& address) const;
  bool empty() const { return ranges_.empty(); }

 private:
  struct Range {
    std::array<uint8_t, 16> first, last;
  };
  std::vector<Range> ranges_;  // sorted, disjoint
};

}  // namespace gw
