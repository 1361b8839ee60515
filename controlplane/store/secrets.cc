#include "controlplane/store/secrets.h"

#include <functional>

#include "common/base/status.h"

namespace gw {
namespace {

// What a sealed value is bound to: its table and uid.
std::string place_of(std::string_view table, uint64_t uid) { return std::string(table) + " " + std::to_string(uid); }

absl::Status each_sealed(Connection& db, const char* table, const std::function<absl::Status(uint64_t, const std::string&)>& fn) {
  std::vector<std::pair<uint64_t, std::string>> rows;
  GW_RETURN_IF_ERROR(db.query(std::string("SELECT uid, sealed FROM ") + table, {}, [&](const Row& row) {
    rows.emplace_back(row.id(0), row.text(1));
    return absl::OkStatus();
  }));
  for (const auto& [uid, sealed] : rows) GW_RETURN_IF_ERROR(fn(uid, sealed));
  return absl::OkStatus();
}

absl::Status set_version(Connection& db, const std::string& table, uint64_t number) {
  GW_RETURN_IF_ERROR(db.run("DELETE FROM " + table));
  return db.run("INSERT INTO " + table + " (number) VALUES ($1)", {number});
}

constexpr const char* kSealedTables[] = {"secrets", "ticket_keys", "authority"};

}  // namespace

absl::Status put_secret(Connection& db, const MasterKey& key, const SecretRow& row) {
  std::string sealed = key.seal(row.value, place_of("secrets", row.uid));
  return db.run("INSERT INTO secrets (uid, sealed, changed_at_ms, changed_by) VALUES ($1, $2, $3, $4) "
                "ON CONFLICT (uid) DO UPDATE SET sealed = excluded.sealed, changed_at_ms = excluded.changed_at_ms, changed_by = excluded.changed_by",
                {row.uid, Blob{sealed}, row.changed_at_ms, row.changed_by});
}

absl::Status delete_secret(Connection& db, uint64_t uid) { return db.run("DELETE FROM secrets WHERE uid = $1", {uid}); }

absl::StatusOr<std::vector<SecretRow>> all_secrets(Connection& db, const MasterKey& key) {
  std::vector<SecretRow> out;
  GW_RETURN_IF_ERROR(db.query("SELECT uid, sealed, changed_at_ms, changed_by FROM secrets", {}, [&](const Row& row) -> absl::Status {
    GW_ASSIGN_OR_RETURN(std::string value, key.open(row.text(1), place_of("secrets", row.id(0))));
    out.push_back({row.id(0), std::move(value), row.integer(2), row.text(3)});
    return absl::OkStatus();
  }));
  return out;
}

absl::StatusOr<uint64_t> latest_certificates(Connection& db) {
  GW_ASSIGN_OR_RETURN(int64_t number, db.integer("SELECT MAX(number) FROM certificates_version"));
  return static_cast<uint64_t>(number);
}

absl::Status set_certificates_version(Connection& db, uint64_t number) { return set_version(db, "certificates_version", number); }

absl::Status insert_ticket_key(Connection& db, const MasterKey& key, const TicketKeyRow& row) {
  std::string sealed = key.seal(row.secret, place_of("ticket_keys", row.uid));
  return db.run("INSERT INTO ticket_keys (uid, name, sealed, not_before, not_after) VALUES ($1, $2, $3, $4, $5)",
                {row.uid, Blob{row.name}, Blob{sealed}, row.not_before, row.not_after});
}

absl::Status delete_ticket_key(Connection& db, uint64_t uid) { return db.run("DELETE FROM ticket_keys WHERE uid = $1", {uid}); }

absl::StatusOr<std::vector<TicketKeyRow>> all_ticket_keys(Connection& db, const MasterKey& key) {
  std::vector<TicketKeyRow> out;
  GW_RETURN_IF_ERROR(db.query("SELECT uid, name, sealed, not_before, not_after FROM ticket_keys ORDER BY not_before", {}, [&](const Row& row) -> absl::Status {
    GW_ASSIGN_OR_RETURN(std::string secret, key.open(row.text(2), place_of("ticket_keys", row.id(0))));
    out.push_back({row.id(0), row.text(1), std::move(secret), row.integer(3), row.integer(4)});
    return absl::OkStatus();
  }));
  return out;
}

absl::StatusOr<uint64_t> latest_tickets(Connection& db) {
  GW_ASSIGN_OR_RETURN(int64_t number, db.integer("SELECT MAX(number) FROM tickets_version"));
  return static_cast<uint64_t>(number);
}

absl::Status set_tickets_version(Connection& db, uint64_t number) { return set_version(db, "tickets_version", number); }

absl::StatusOr<std::map<std::string, int>> sealed_under(Connection& db) {
  std::map<std::string, int> out;
  for (const char* table : kSealedTables) {
    GW_RETURN_IF_ERROR(each_sealed(db, table, [&](uint64_t, const std::string& sealed) {
      ++out[MasterKey::key_id_of(sealed)];
      return absl::OkStatus();
    }));
  }
  return out;
}

absl::StatusOr<int> seal_anew(Connection& db, const MasterKey& key) {
  int secrets = 0;
  for (const char* table : kSealedTables) {
    GW_RETURN_IF_ERROR(each_sealed(db, table, [&](uint64_t uid, const std::string& sealed) -> absl::Status {
      GW_ASSIGN_OR_RETURN(std::string value, key.open(sealed, place_of(table, uid)));
      std::string anew = key.seal(value, place_of(table, uid));
      secrets += table == kSealedTables[0];
      return db.run(std::string("UPDATE ") + table + " SET sealed = $2 WHERE uid = $1", {uid, Blob{anew}});
    }));
  }
  return secrets;
}

}  // namespace gw
