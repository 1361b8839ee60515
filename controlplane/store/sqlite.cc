#include "controlplane/store/sqlite.h"

#include <sqlite3.h>

#include <cstring>

#include "common/base/status.h"

namespace gw {
namespace {

constexpr int kBusyTimeoutMs = 10'000;
// Statements are literals in our code; a growing number of them would be a mistake of ours.
constexpr size_t kStatementsMax = 512;

}  // namespace

int64_t Row::integer(int column) const { return sqlite3_column_int64(statement_, column); }

std::string Row::text(int column) const {
  const void* bytes = sqlite3_column_blob(statement_, column);
  int size = sqlite3_column_bytes(statement_, column);
  return bytes ? std::string(static_cast<const char*>(bytes), static_cast<size_t>(size)) : std::string();
}

bool Row::is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

absl::StatusOr<std::unique_ptr<Connection>> Connection::open(const std::string& path, bool create) {
  std::unique_ptr<Connection> out(new Connection(path));
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (create ? SQLITE_OPEN_CREATE : 0);
  if (sqlite3_open_v2(path.c_str(), &out->db_, flags, nullptr) != SQLITE_OK) return out->error("open");
  sqlite3_extended_result_codes(out->db_, 1);
  sqlite3_busy_timeout(out->db_, kBusyTimeoutMs);
  GW_RETURN_IF_ERROR(out->script(
      "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY; "
      "PRAGMA trusted_schema=OFF;"));
  return out;
}

absl::StatusOr<std::unique_ptr<Connection>> Connection::open_read_only(const std::string& path) {
  std::unique_ptr<Connection> out(new Connection(path));
  if (sqlite3_open_v2(path.c_str(), &out->db_, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, nullptr) != SQLITE_OK) {
    return out->error("open");
  }
  sqlite3_extended_result_codes(out->db_, 1);
  sqlite3_busy_timeout(out->db_, kBusyTimeoutMs);
  return out;
}

Connection::~Connection() {
  for (auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close(db_);
}

absl::Status Connection::error(std::string_view what) const {
  int code = db_ ? sqlite3_extended_errcode(db_) : SQLITE_CANTOPEN;
  std::string text = "database " + path_ + ": " + std::string(what) + ": " + (db_ ? sqlite3_errmsg(db_) : "cannot open");
  switch (code & 0xff) {
    case SQLITE_FULL:
      return resource_exhausted(text + "; nothing was changed: free space on its disk and try again");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return unavailable(text + "; another program holds the database: end it and try again");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return data_loss(text + "; the file is damaged: restore a backup into an empty state directory");
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_IOERR:
      return unavailable(text + "; nothing was changed: check the disk and the file's permissions");
    default:
      return internal_error(text);
  }
}

absl::Status Connection::script(const std::string& sql) {
  return sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK ? absl::OkStatus() : error("script");
}

absl::StatusOr<sqlite3_stmt*> Connection::prepare(std::string_view sql) {
  auto found = statements_.find(sql);
  if (found != statements_.end()) return found->second;
  if (statements_.size() >= kStatementsMax) return internal_error("too many different statements");
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &statement,
                         nullptr) != SQLITE_OK) {
    return error(sql);
  }
  statements_.emplace(std::string(sql), statement);
  return statement;
}

// `$1` is a name for SQLite, numbered by first appearance: it is looked up, never counted.
absl::Status Connection::bind(sqlite3_stmt* statement, Values values) {
  int number = 0;
  for (const Value& value : values) {
    char name[16];
    std::snprintf(name, sizeof name, "$%d", ++number);
    int at = sqlite3_bind_parameter_index(statement, name);
    if (at == 0) return internal_error(std::string(name) + " is not in: " + sqlite3_sql(statement));
    int result = SQLITE_OK;
    if (auto* integer = std::get_if<int64_t>(&value.get())) {
      result = sqlite3_bind_int64(statement, at, *integer);
    } else if (auto* text = std::get_if<std::string_view>(&value.get())) {
      result = sqlite3_bind_text64(statement, at, text->data() ? text->data() : "", text->size(), SQLITE_STATIC, SQLITE_UTF8);
    } else if (auto* blob = std::get_if<Blob>(&value.get())) {
      result = sqlite3_bind_blob64(statement, at, blob->bytes.data() ? blob->bytes.data() : "", blob->bytes.size(),
                                   SQLITE_STATIC);
    } else {
      result = sqlite3_bind_null(statement, at);
    }
    if (result != SQLITE_OK) return error("bind");
  }
  if (sqlite3_bind_parameter_count(statement) != number) {
    return internal_error(std::string("parameters are missing for: ") + sqlite3_sql(statement));
  }
  return absl::OkStatus();
}

absl::Status Connection::query(std::string_view sql, Values values, const RowFn& fn) {
  GW_ASSIGN_OR_RETURN(sqlite3_stmt * statement, prepare(sql));
  struct Reset {
    sqlite3_stmt* statement;
    ~Reset() {
      sqlite3_reset(statement);
      sqlite3_clear_bindings(statement);
    }
  } reset{statement};
  GW_RETURN_IF_ERROR(bind(statement, values));
  for (;;) {
    int result = sqlite3_step(statement);
    if (result == SQLITE_DONE) return absl::OkStatus();
    if (result != SQLITE_ROW) return error(sql);
    GW_RETURN_IF_ERROR(fn(Row(statement)));
  }
}

absl::Status Connection::run(std::string_view sql, Values values) {
  return query(sql, values, [](const Row&) { return absl::OkStatus(); });
}

int64_t Connection::changed() const { return sqlite3_changes64(db_); }

absl::StatusOr<int64_t> Connection::integer(std::string_view sql, Values values, int64_t otherwise) {
  int64_t out = otherwise;
  bool first = true;
  GW_RETURN_IF_ERROR(query(sql, values, [&](const Row& row) {
    if (first && !row.is_null(0)) out = row.integer(0);
    first = false;
    return absl::OkStatus();
  }));
  return out;
}

absl::Status Connection::transaction(const std::function<absl::Status()>& fn) {
  GW_RETURN_IF_ERROR(run("BEGIN IMMEDIATE"));
  absl::Status status = fn();
  if (status.ok()) status = run("COMMIT");
  // SQLite has ended the transaction by itself after some errors.
  if (!status.ok() && !sqlite3_get_autocommit(db_)) run("ROLLBACK").IgnoreError();
  return status;
}

absl::Status Connection::snapshot(const std::function<absl::Status()>& fn) {
  GW_RETURN_IF_ERROR(run("BEGIN"));
  absl::Status status = fn();
  run("ROLLBACK").IgnoreError();
  return status;
}

}  // namespace gw
