#include "dataplane/agent/control_identity.h"

#include <sys/stat.h>

#include <utility>

#include "common/base/status.h"
#include "common/crypto/certificates.h"
#include "common/crypto/issuing.h"
#include "common/http/address.h"
#include "dataplane/agent/last_good.h"
#include "dataplane/agent/node_token.h"

namespace gw {
namespace {

constexpr uint64_t kIdentityBytesMax = 64 << 10;
constexpr uint64_t kCaBytesMax = 1 << 20;

// PEM blocks of one kind, as text.
std::string blocks_of(std::string_view text, std::string_view kind) {
  std::string out;
  for (size_t at = text.find("-----BEGIN "); at != std::string_view::npos;
       at = text.find("-----BEGIN ", at + 1)) {
    size_t end = text.find("-----END ", at);
    if (end == std::string_view::npos) break;
    end = text.find('\n', end);
    std::string_view block = text.substr(at, end == std::string_view::npos ? end : end - at);
    if (block.substr(0, block.find('\n')).find(kind) != std::string_view::npos)
      out += std::string(block) + "\n";
  }
  return out;
}

absl::Status check_ca(const std::string& path, const std::string& text) {
  auto bundle = parse_ca_bundle(text);
  return bundle.ok() ? absl::OkStatus()
                     : invalid_argument(path + ": " + message_of(bundle.status()));
}

}  // namespace

IdentityHolder::Current IdentityHolder::current() const {
  std::lock_guard lock(mutex_);
  return current_;
}

void IdentityHolder::set(ControlIdentity identity) {
  std::lock_guard lock(mutex_);
  if (*current_.identity == identity) return;
  current_.identity = std::make_shared<const ControlIdentity>(std::move(identity));
  ++current_.number;
}

std::string identity_path(const std::string& state_dir) { return state_dir + "/node.pem"; }

absl::StatusOr<ControlIdentity> make_identity(std::string key, std::string certificate,
                                              std::string ca) {
  GW_ASSIGN_OR_RETURN(KeyPairFacts pair, parse_key_pair(certificate + key));
  if (!is_issued_by(certificate, ca))
    return invalid_argument("the certificate was not issued by the CA that it came with");
  const CertificateFacts& leaf = pair.leaf();
  return ControlIdentity{std::move(ca), std::move(certificate), std::move(key),
                         leaf.serial,   leaf.not_before,        leaf.not_after};
}

absl::StatusOr<ControlIdentity> read_identity(const std::string& state_dir) {
  const std::string path = identity_path(state_dir);
  GW_ASSIGN_OR_RETURN(std::string text, read_whole(path, kIdentityBytesMax));
  std::string certificates = blocks_of(text, "CERTIFICATE");
  size_t second = certificates.find("-----BEGIN ", 1);
  if (second == std::string::npos)
    return invalid_argument(path + ": key, certificate and CA are expected");
  auto out = make_identity(blocks_of(text, "PRIVATE KEY"), certificates.substr(0, second),
                           certificates.substr(second));
  return out.ok() ? out : invalid_argument(path + ": " + message_of(out.status()));
}

absl::Status write_identity(const std::string& state_dir, const ControlIdentity& identity) {
  return write_durably(identity_path(state_dir), identity.key + identity.certificate + identity.ca);
}

absl::StatusOr<JoinFile> read_join_file(const std::string& path) {
  GW_ASSIGN_OR_RETURN(std::string text, read_whole(path, kIdentityBytesMax));
  JoinFile out;
  size_t pem = text.find("-----BEGIN ");
  GW_ASSIGN_OR_RETURN(out.token, token_of_text(path, std::string_view(text).substr(0, pem)));
  if (pem == std::string::npos) return out;
  out.ca = blocks_of(text, "CERTIFICATE");
  GW_RETURN_IF_ERROR(check_ca(path, out.ca));
  return out;
}

absl::StatusOr<std::string> read_ca_file(const std::string& path) {
  GW_ASSIGN_OR_RETURN(std::string text, read_whole(path, kCaBytesMax));
  GW_RETURN_IF_ERROR(check_ca(path, text));
  return blocks_of(text, "CERTIFICATE");
}

bool is_loopback_control(std::string_view control) {
  std::string_view host = control.substr(0, control.rfind(':'));
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  auto address = IpAddress::parse(host);
  return host == "localhost" || (address && address->is_loopback());
}

}  // namespace gw
