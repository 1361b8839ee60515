#include "dataplane/snapshot/certificates.h"

#include <algorithm>
#include <utility>

#include "common/base/status.h"

namespace gw {
namespace {

constexpr size_t kMaxTableBytes = size_t{512} << 20;

template <class Map>
typename Map::mapped_type find_or_null(const Map& map, uint64_t uid) {
  auto at = map.find(uid);
  return at == map.end() ? nullptr : at->second;
}

// Null: the problem is an error in `diagnostics`.
std::shared_ptr<const CertificateData> read_certificate(const EntryKey& key, const std::string& bytes, DiagnosticList& diagnostics) {
  v1::CertificateEntry entry;
  ObjectLabel label;
  if (!parse_entry(key, bytes, entry, label, diagnostics)) return nullptr;
  auto out = std::make_shared<CertificateData>();
  out->uid = key.uid;
  out->name = label.object;
  out->hosts.assign(entry.hosts().begin(), entry.hosts().end());
  out->min_tls = entry.min_tls().empty() ? "1.2" : entry.min_tls();
  if (out->min_tls != "1.2" && out->min_tls != "1.3") {
    diagnostics.error("GW3003", label, "minTls", "\"" + out->min_tls + "\" is no version of TLS that this build knows");
    return nullptr;
  }
  for (int i = 0; i < entry.key_pairs_size(); ++i) {
    std::string path = "keyPairs[" + std::to_string(i) + "]";
    auto facts = parse_key_pair(entry.key_pairs(i).pem());
    absl::Status status = facts.status();
    if (status.ok() && !entry.key_pairs(i).ocsp().empty()) status = parse_ocsp(entry.key_pairs(i).ocsp()).status();
    if (!status.ok()) {
      diagnostics.error("GW3030", label, path, message_of(status));
      return nullptr;
    }
    out->key_pairs.push_back({entry.key_pairs(i).pem(), entry.key_pairs(i).ocsp(), *std::move(facts)});
  }
  if (out->key_pairs.empty()) {
    diagnostics.error("GW3004", label, "keyPairs", "the certificate has no key pair");
    return nullptr;
  }
  return out;
}

std::shared_ptr<const SecretData> read_secret(const EntryKey& key, const std::string& bytes, DiagnosticList& diagnostics) {
  v1::SecretEntry entry;
  ObjectLabel label;
  if (!parse_entry(key, bytes, entry, label, diagnostics)) return nullptr;
  return std::make_shared<SecretData>(SecretData{key.uid, label.object, entry.value()});
}

}  // namespace

int64_t CertificateData::not_after() const {
  int64_t out = key_pairs.front().facts.leaf().not_after;
  for (const KeyPair& pair : key_pairs) out = std::min(out, pair.facts.leaf().not_after);
  return out;
}

const std::shared_ptr<const CertificateTable>& CertificateTable::none() {
  static const std::shared_ptr<const CertificateTable> kNone = std::make_shared<const CertificateTable>();
  return kNone;
}

std::shared_ptr<const CertificateData> CertificateTable::certificate(uint64_t uid) const { return find_or_null(certificates_, uid); }
std::shared_ptr<const SecretData> CertificateTable::secret(uint64_t uid) const { return find_or_null(secrets_, uid); }

CertificatesBuilder::CertificatesBuilder()
    : entries_({.entries = CertificateTable::kMax, .entry_bytes = size_t{2} << 20, .total_bytes = kMaxTableBytes}),
      table_(CertificateTable::none()) {}

CertificatesBuilder::Result CertificatesBuilder::prepare(const v1::Offer& offer) const {
  Result result;
  StreamState state;
  result.outcome = entries_.prepare(offer, result.delta, state, result.diagnostics);
  if (result.outcome != PrepareOutcome::kReady) return result;
  auto next = std::make_shared<CertificateTable>(*table_);
  next->state_ = state;
  bool good = true;  // goes on after a fault: all are named
  for (const auto& [key, bytes] : result.delta) {
    if (key.kind == v1::ENTRY_CERTIFICATE) {
      next->certificates_.erase(key.uid);
      if (!bytes) continue;
      auto data = read_certificate(key, *bytes, result.diagnostics);
      good = good && data != nullptr;
      next->certificates_[key.uid] = std::move(data);
    } else if (key.kind == v1::ENTRY_SECRET) {
      next->secrets_.erase(key.uid);
      if (!bytes) continue;
      auto data = read_secret(key, *bytes, result.diagnostics);
      good = good && data != nullptr;
      next->secrets_[key.uid] = std::move(data);
    } else if (bytes) {
      result.diagnostics.error("GW3005", {}, "", "an entry of kind " + std::to_string(key.kind) + " does not belong to the certificates");
      good = false;
    }
  }
  result.outcome = good ? PrepareOutcome::kReady : PrepareOutcome::kRefused;
  if (good) result.table = std::move(next);
  return result;
}

void CertificatesBuilder::commit(Result result) {
  StreamState state = result.table->state_;
  table_ = std::move(result.table);
  entries_.commit(std::move(result.delta), state);
}

}  // namespace gw
