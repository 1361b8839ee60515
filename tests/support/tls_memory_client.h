// A client of TLS without a socket: bytes in, bytes out. For tests that decide what becomes of each byte on its way.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace gw::test {

class TlsMemoryClient {
 public:
  // `max_version`: 0x0303 or 0x0304.
  TlsMemoryClient(const std::string& server_name, uint16_t max_version);
  ~TlsMemoryClient();

  // Bytes of the server's; goes on with the handshake.
  void feed(std::string_view bytes);
  // What is to be sent.
  std::string take_wire();
  // What the server has said, decrypted.
  std::string take_plain();
  // False: the handshake is not done, or the connection is broken.
  bool write(std::string_view bytes);
  // New keys for what this side sends (TLS 1.3).
  void update_keys();
  void shutdown();
  bool done() const;
  bool broken() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gw::test
