// Which public keys are taken in certificates and signing requests. Internal to common/crypto.
#pragma once

#include "absl/status/status.h"

struct evp_pkey_st;

namespace gw {

// ECDSA on P-256 or P-384, or RSA of 2048 to 8192 bits; else INVALID_ARGUMENT.
absl::Status check_key_strength(const evp_pkey_st* key);

}  // namespace gw
