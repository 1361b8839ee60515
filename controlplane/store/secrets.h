// What is sealed under the master key: values of Secrets, keys of session tickets, and the key of the CA (authority.h). Every
// function works inside the transaction of its caller.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controlplane/store/master_key.h"
#include "controlplane/store/sqlite.h"

namespace gw {

struct SecretRow {
  uint64_t uid = 0;  // of the object
  std::string value;
  int64_t changed_at_ms = 0;
  std::string changed_by;
};

// In place of the value that was there.
absl::Status put_secret(Connection& db, const MasterKey& key, const SecretRow& row);
absl::Status delete_secret(Connection& db, uint64_t uid);
absl::StatusOr<std::vector<SecretRow>> all_secrets(Connection& db, const MasterKey& key);
// 0: there never were any.
absl::StatusOr<uint64_t> latest_certificates(Connection& db);
absl::Status set_certificates_version(Connection& db, uint64_t number);

struct TicketKeyRow {
  uint64_t uid = 0;
  std::string name;    // 16 bytes
  std::string secret;  // 64 bytes
  int64_t not_before = 0;  // Unix seconds
  int64_t not_after = 0;
};

absl::Status insert_ticket_key(Connection& db, const MasterKey& key, const TicketKeyRow& row);
absl::Status delete_ticket_key(Connection& db, uint64_t uid);
// By beginning.
absl::StatusOr<std::vector<TicketKeyRow>> all_ticket_keys(Connection& db, const MasterKey& key);
absl::StatusOr<uint64_t> latest_tickets(Connection& db);
absl::Status set_tickets_version(Connection& db, uint64_t number);

// How many values are sealed under each key, by key id.
absl::StatusOr<std::map<std::string, int>> sealed_under(Connection& db);
// Seals everything anew under the key in force; the number of Secrets.
absl::StatusOr<int> seal_anew(Connection& db, const MasterKey& key);

}  // namespace gw
