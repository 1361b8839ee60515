// Addresses that no Upstream may lead to: the control plane refuses them in what people write, nodes leave them out of what
// name servers answer. Thread-safe.
#pragma once

#include "common/http/address.h"

namespace gw {

// A cloud's metadata service outside of the link-local range.
bool is_metadata_address(const IpAddress& address);
// Link-local, metadata, unspecified or multicast, also where IPv6 carries such an IPv4 address (NAT64, RFC 6052).
bool refused_as_target(const IpAddress& address);
// Whether a connection to `target` may reach what listens on `listening` with the same port.
bool reaches(const IpAddress& target, const IpAddress& listening);

}  // namespace gw
