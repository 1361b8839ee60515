#include "common/http/target_address.h"

#include <algorithm>
#include <cstring>

namespace gw {
namespace {

// 64:ff9b::/96: the last four bytes are an IPv4 address.
std::optional<IpAddress> translated(const IpAddress& address) {
  static constexpr uint8_t kNat64[12] = {0, 0x64, 0xff, 0x9b};
  if (std::memcmp(address.bytes.data(), kNat64, sizeof kNat64) != 0) return std::nullopt;
  IpAddress out;
  out.bytes = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  std::copy(address.bytes.begin() + 12, address.bytes.end(), out.bytes.begin() + 12);
  return out;
}

bool is_multicast(const IpAddress& address) {
  return address.is_v4() ? (address.bytes[12] & 0xf0) == 0xe0 : address.bytes[0] == 0xff;
}

}  // namespace

bool is_metadata_address(const IpAddress& address) {
  static const std::optional<IpAddress> addresses[] = {IpAddress::parse("fd00:ec2::254"), IpAddress::parse("100.100.100.200"),
                                                       IpAddress::parse("168.63.129.16"), IpAddress::parse("fd20:ce::254")};
  return std::any_of(std::begin(addresses), std::end(addresses), [&](const auto& a) { return a == address; });
}

bool refused_as_target(const IpAddress& address) {
  if (auto inner = translated(address)) return refused_as_target(*inner);
  return address.is_link_local() || address.is_unspecified() || is_multicast(address) || is_metadata_address(address);
}

bool reaches(const IpAddress& target, const IpAddress& listening) {
  if (listening.is_unspecified()) return true;
  return listening.is_loopback() ? target.is_loopback() : target == listening;
}

}  // namespace gw
