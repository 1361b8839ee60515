// CA certificates and lists of revoked ones, and the verdict on a peer's chain. Immutable; any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace gw {

class TrustStore {
 public:
  struct Impl;

  // PEM. With `crls` every CA of a chain needs a list that is in date (RFC 5280 §6.3).
  static absl::StatusOr<std::shared_ptr<const TrustStore>> parse(std::string_view ca, std::string_view crls);
  // Debian's and most others' bundle of public CAs.
  static absl::StatusOr<std::shared_ptr<const TrustStore>> system();
  static constexpr const char* kSystemBundle = "/etc/ssl/certs/ca-certificates.crt";

  explicit TrustStore(std::unique_ptr<Impl> impl);
  ~TrustStore();
  const Impl& impl() const { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace gw
