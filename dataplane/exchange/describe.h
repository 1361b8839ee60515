#pragma once

#include <netinet/in.h>

#include "dataplane/exchange/streams.h"
#include "dataplane/loop/socket_address.h"
#include "dataplane/loop/tcp_stream.h"

namespace gw {

inline void describe_peer(const IpAddress& peer, uint16_t port, ConnectionInfo& out) {
  out.peer = peer;
  out.peer_port = port;
  out.peer_text_size = static_cast<uint8_t>(peer.format(out.peer_text));
}

// Both ends of the connection, as the socket knows them.
inline void describe(const TcpStream& stream, ConnectionInfo& out) {
  auto port_of = [](const sockaddr_storage& from) {
    return ntohs(from.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(from).sin6_port
                                            : reinterpret_cast<const sockaddr_in&>(from).sin_port);
  };
  sockaddr_storage address;
  if (stream.peer_address(address)) {
    out.peer = read_socket_address(address);
    out.peer_port = port_of(address);
  }
  out.peer_text_size = static_cast<uint8_t>(out.peer.format(out.peer_text));
  if (stream.local_address(address)) {
    out.local = read_socket_address(address);
    out.local_port = port_of(address);
  }
}

}  // namespace gw
