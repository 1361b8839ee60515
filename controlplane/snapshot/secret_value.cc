#include "controlplane/snapshot/secret_value.h"

#include "common/crypto/hex.h"
#include "common/crypto/sealed.h"
#include "common/crypto/sha256.h"

namespace gw {
namespace {

constexpr size_t kShownDigits = 8;  // of the SHA-256
constexpr size_t kGuessable = 32;   // bytes of a text below which a hash would tell it

std::string content_of(const PemContents& pem) {
  if (pem.certificates > 0) return pem.keys > 0 ? "key pair" : "certificates";
  if (pem.keys > 0) return "private key";
  return pem.crls > 0 ? "revocation list" : "text";
}

}  // namespace

SecretPtr SecretValue::make(std::string bytes, int64_t changed_at_ms, std::string changed_by) {
  std::shared_ptr<SecretValue> out(new SecretValue());
  out->content = content_of(look_at_pem(bytes));
  out->sha256 = to_hex(as_view(gw::sha256(bytes)));
  out->changed_at_ms = changed_at_ms;
  out->changed_by = std::move(changed_by);
  out->chain = parse_chain(bytes);
  out->bytes = std::move(bytes);
  return out;
}

SecretValue::~SecretValue() { wipe(bytes.data(), bytes.size()); }

std::string SecretValue::summary() const {
  std::string out = content;
  if (chain.ok()) out += ", " + std::to_string(chain->chain.size()) + (chain->chain.size() == 1 ? " certificate" : " certificates");
  if (content == "text" && bytes.size() < kGuessable) return out + ", " + std::to_string(bytes.size()) + " bytes";
  return out + ", " + std::to_string(bytes.size()) + " bytes, sha256 " + sha256.substr(0, kShownDigits);
}

}  // namespace gw
