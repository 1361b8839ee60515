#include "controlplane/admin/authority.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <optional>

#include "common/base/random.h"
#include "common/base/status.h"
#include "common/crypto/hex.h"
#include "common/crypto/sealed.h"
#include "common/http/address.h"

namespace gw {
namespace {

constexpr int64_t kServerRetryS = 60;  // after a renewal that failed

bool is_host_name(const std::string& name) {
  bool plain = !name.empty() && name.size() <= 253 && name.front() != '-' && name.front() != '.' &&
               name.back() != '.';
  return plain && name.find("..") == std::string::npos &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return isalnum(c) || c == '-' || c == '.' || c == '_';
         });
}

absl::StatusOr<AuthorityRow> make_authority(const Clock& clock) {
  AuthorityRow row;
  row.created_at = clock.wall_ns() / 1'000'000'000;
  // A name of its own: a CA is told from that of another control plane by its name as well.
  std::string name = "Northgate " + to_hex(secure_random_bytes(8));
  GW_ASSIGN_OR_RETURN(CaPair pair, make_ca(name, row.created_at - Authority::kBackdateS,
                                           row.created_at + Authority::kLastsS));
  row.certificate = std::move(pair.certificate);
  row.key = std::move(pair.key);
  return row;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Authority>> Authority::open(Database& db, const MasterKey& key,
                                                           const Clock& clock,
                                                           int64_t node_lifetime_s) {
  std::optional<AuthorityRow> row;
  GW_RETURN_IF_ERROR(db.read([&](Connection& c) -> absl::Status {
    GW_ASSIGN_OR_RETURN(row, find_authority(c, key));
    return absl::OkStatus();
  }));
  if (!row) {
    GW_ASSIGN_OR_RETURN(row, make_authority(clock));
    GW_RETURN_IF_ERROR(db.write([&](Connection& c) { return insert_authority(c, key, *row); }));
  }
  CaPair pair{std::move(row->certificate), std::move(row->key)};
  return std::unique_ptr<Authority>(new Authority(std::move(pair), clock, node_lifetime_s));
}

absl::StatusOr<Authority::Issued> Authority::issue_node(const std::string& node,
                                                        std::string_view signing_request) const {
  IssueTerms terms;
  terms.name = node;
  terms.uri = {uri_of(node)};
  terms.client = true;
  terms.not_before = now_s() - std::min(kNodeBackdateMaxS, node_lifetime_s_ / 10);
  terms.not_after = now_s() + node_lifetime_s_;
  GW_ASSIGN_OR_RETURN(IssuedCertificate made, issue_certificate(pair_, signing_request, terms));
  return Issued{std::move(made.certificate),
                {std::move(made.serial), node, terms.not_before, terms.not_after, 0}};
}

absl::StatusOr<CaPair> Authority::issue_server(const std::vector<std::string>& names,
                                               int64_t lifetime_s) const {
  IssueTerms terms;
  terms.name = "Northgate control plane";
  for (const std::string& name : names)
    (IpAddress::parse(name) ? terms.ip : terms.dns).push_back(name);
  terms.server = true;
  terms.not_before = now_s() - kBackdateS;
  terms.not_after = now_s() + lifetime_s;
  CaPair out;
  out.key = make_private_key();
  GW_ASSIGN_OR_RETURN(std::string request, make_signing_request(out.key, terms.name));
  GW_ASSIGN_OR_RETURN(IssuedCertificate made, issue_certificate(pair_, request, terms));
  out.certificate = std::move(made.certificate);
  return out;
}

absl::StatusOr<std::unique_ptr<ServerCertificate>> ServerCertificate::make(
    const Authority& authority, std::vector<std::string> names, const Clock& clock) {
  if (names.size() > kNamesMax)
    return invalid_argument("--name: at most " + std::to_string(kNamesMax) + " names");
  for (const std::string& name : names) {
    if (!IpAddress::parse(name) && !is_host_name(name))
      return invalid_argument("--name " + name + ": must be the name of a host, or an address");
  }
  std::unique_ptr<ServerCertificate> out(new ServerCertificate(authority, std::move(names), clock));
  GW_RETURN_IF_ERROR(out->renew());
  return out;
}

absl::Status ServerCertificate::renew() {
  GW_ASSIGN_OR_RETURN(CaPair pair, authority_.issue_server(names_, kLifetimeS));
  wipe(current_.pair.key.data(), current_.pair.key.size());
  current_.pair = std::move(pair);
  ++current_.number;
  renew_at_ = clock_.wall_ns() / 1'000'000'000 + kLifetimeS * 2 / 3;
  return absl::OkStatus();
}

ServerCertificate::Current ServerCertificate::current() {
  std::lock_guard lock(mutex_);
  int64_t now = clock_.wall_ns() / 1'000'000'000;
  if (now >= renew_at_) {
    if (absl::Status status = renew(); !status.ok()) {
      spdlog::error(
          "the control plane's certificate could not be renewed, which is tried again: {}",
          message_of(status));
      renew_at_ = now + kServerRetryS;
    } else {
      spdlog::info("the control plane's certificate was renewed");
    }
  }
  return current_;
}

}  // namespace gw
