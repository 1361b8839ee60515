// A private key and its chain, ready for handshakes. Immutable; any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace gw {

class TlsKeyPair {
 public:
  struct Impl;

  // `pem`: chain, leaf first, and the key of the leaf; `ocsp`: DER of what is stapled, may be empty.
  static absl::StatusOr<std::shared_ptr<const TlsKeyPair>> parse(std::string_view pem, std::string_view ocsp);
  explicit TlsKeyPair(std::unique_ptr<Impl> impl);
  ~TlsKeyPair();
  const Impl& impl() const { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace gw
