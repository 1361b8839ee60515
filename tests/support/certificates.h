// Certificates for unit tests, made in memory with BoringSSL. For tests of whole programs there is ca.py.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace gw::test {

enum class KeyKind { kEcdsa, kRsa };

struct IssueOptions {
  std::vector<std::string> dns = {}, uri = {};  // alternative names
  std::string subject = {};                     // CN; empty: the first name
  KeyKind key = KeyKind::kEcdsa;
  int64_t not_before = -3600;         // seconds from `now`
  int64_t not_after = 90 * 86'400;
  bool server = true, client = false; // extended key usage
  bool ca = false;
};

// PEM all of it.
struct Issued {
  std::string certificate, key;
  std::string chain;  // certificates above it, without the root
  uint64_t serial = 0;
  std::string pem() const { return certificate + chain + key; }  // as a Secret wants it
};

class CertificateMaker {
 public:
  // A root. `now`: Unix seconds that validities count from.
  explicit CertificateMaker(int64_t now, const std::string& name = "Test CA");

  const std::string& root() const { return root_.certificate; }
  Issued issue(const IssueOptions& options) { return issue_by(root_, name_, "", options); }
  Issued issue(std::vector<std::string> dns, KeyKind key = KeyKind::kEcdsa);
  // A CA under the root, and a certificate of it.
  Issued intermediate(const std::string& name);
  Issued issue_below(const Issued& ca, const std::string& ca_name, const IssueOptions& options);
  // A list of revoked certificates; `good_for`: seconds from now.
  std::string crl(const std::vector<uint64_t>& serials, int64_t good_for = 30 * 86'400);

 private:
  Issued issue_by(const Issued& ca, const std::string& ca_name, const std::string& chain, const IssueOptions& options);

  const int64_t now_;
  const std::string name_;
  Issued root_;
  uint64_t next_serial_ = 0x1001;
};

}  // namespace gw::test
