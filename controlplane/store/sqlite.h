// SQLite behind a thin interface: statements are written as `$1 … RETURNING`, so that PostgreSQL takes them too.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct sqlite3;
struct sqlite3_stmt;

namespace gw {

struct Null {};
struct Blob {
  std::string_view bytes;
};

// What a statement is given: views must live until the call returns. 64-bit ids are kept as their bit pattern.
class Value {
 public:
  Value(Null) : value_(Null{}) {}
  Value(int64_t v) : value_(v) {}
  Value(uint64_t v) : value_(static_cast<int64_t>(v)) {}
  Value(int v) : value_(int64_t{v}) {}
  Value(bool v) : value_(int64_t{v}) {}
  Value(std::string_view v) : value_(v) {}
  Value(const std::string& v) : value_(std::string_view(v)) {}
  Value(const char* v) : value_(std::string_view(v)) {}
  Value(Blob v) : value_(v) {}

  const std::variant<Null, int64_t, std::string_view, Blob>& get() const { return value_; }

 private:
  std::variant<Null, int64_t, std::string_view, Blob> value_;
};

// The row that a query stands on; good during the callback.
class Row {
 public:
  explicit Row(sqlite3_stmt* statement) : statement_(statement) {}
  int64_t integer(int column) const;
  uint64_t id(int column) const { return static_cast<uint64_t>(integer(column)); }
  std::string text(int column) const;  // also for blobs
  bool is_null(int column) const;

 private:
  sqlite3_stmt* statement_;
};

// One connection with its prepared statements. Used by one thread at a time; the owner sees to that.
class Connection {
 public:
  using Values = std::initializer_list<Value>;
  // A status other than OK ends the query with that status.
  using RowFn = std::function<absl::Status(const Row&)>;

  // `path` must exist unless `create`. Sets WAL, synchronous=FULL, foreign keys and the busy timeout.
  static absl::StatusOr<std::unique_ptr<Connection>> open(const std::string& path, bool create);
  // Changes nothing in the file, not even its journal mode.
  static absl::StatusOr<std::unique_ptr<Connection>> open_read_only(const std::string& path);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Any number of statements without parameters.
  absl::Status script(const std::string& sql);
  absl::Status run(std::string_view sql, Values values = {});
  // Rows changed by the last run().
  int64_t changed() const;
  absl::Status query(std::string_view sql, Values values, const RowFn& fn);
  // First column of the first row; `otherwise` without a row or on NULL.
  absl::StatusOr<int64_t> integer(std::string_view sql, Values values = {}, int64_t otherwise = 0);

  // BEGIN IMMEDIATE, `fn`, COMMIT; whatever fails rolls all of it back.
  absl::Status transaction(const std::function<absl::Status()>& fn);
  // One consistent state for all reads in `fn`.
  absl::Status snapshot(const std::function<absl::Status()>& fn);

 private:
  explicit Connection(std::string path) : path_(std::move(path)) {}
  absl::StatusOr<sqlite3_stmt*> prepare(std::string_view sql);
  absl::Status bind(sqlite3_stmt* statement, Values values);
  // The last error as a Status that says what to do about it.
  absl::Status error(std::string_view what) const;

  std::string path_;
  sqlite3* db_ = nullptr;
  std::map<std::string, sqlite3_stmt*, std::less<>> statements_;
};

}  // namespace gw
