#include "controlplane/store/database.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/base/random.h"
#include "common/base/status.h"
#include "common/crypto/hex.h"
#include "controlplane/store/migrations.h"

namespace gw {
namespace {

std::string_view view(const Lineage& lineage) {
  return {reinterpret_cast<const char*>(lineage.data()), lineage.size()};
}

Lineage new_lineage() {
  Lineage out;
  secure_random(out.data(), out.size());
  return out;
}

bool exists(const std::string& path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0;
}

absl::Status make_directory(const std::string& dir) {
  for (size_t at = dir.find('/', 1);; at = dir.find('/', at + 1)) {
    std::string part = dir.substr(0, at);
    if (::mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) return errno_status("mkdir " + part, errno);
    if (at == std::string::npos) return absl::OkStatus();
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Database>> Database::create(const std::string& dir, const Clock& clock) {
  StatePaths paths(dir);
  GW_RETURN_IF_ERROR(make_directory(dir));
  GW_ASSIGN_OR_RETURN(StateLock lock, StateLock::take(paths.lock));
  if (exists(paths.database)) {
    return already_exists(paths.database + " exists; `gw-controlplane run --state " + dir + "` starts it");
  }
  std::unique_ptr<Database> out(new Database(paths, std::move(lock), clock));
  // SQLite gives its other files the mode of this one.
  GW_RETURN_IF_ERROR(write_file_durably(paths.database, "", 0600));
  GW_RETURN_IF_ERROR(out->connect(true));
  Lineage lineage = new_lineage();
  GW_RETURN_IF_ERROR(out->writer_->transaction([&] {
    return out->writer_->run("INSERT INTO meta (name, value) VALUES ('lineage', $1)", {Blob{view(lineage)}});
  }));
  out->lineage_ = lineage;
  GW_RETURN_IF_ERROR(out->keep_high_water(true));
  return out;
}

absl::StatusOr<std::unique_ptr<Database>> Database::open(const std::string& dir, const Clock& clock) {
  StatePaths paths(dir);
  if (!exists(paths.database)) {
    return not_found(paths.database + " does not exist; `gw-controlplane init --state " + dir + "` makes it");
  }
  GW_ASSIGN_OR_RETURN(StateLock lock, StateLock::take(paths.lock));
  std::unique_ptr<Database> out(new Database(paths, std::move(lock), clock));
  GW_RETURN_IF_ERROR(out->check_undamaged());
  GW_RETURN_IF_ERROR(out->connect(false));
  GW_RETURN_IF_ERROR(out->recognize());
  return out;
}

absl::Status Database::check_undamaged() {
  GW_ASSIGN_OR_RETURN(std::unique_ptr<Connection> db, Connection::open_read_only(paths_.database));
  std::string found;
  absl::Status status = db->query("PRAGMA quick_check(1)", {}, [&](const Row& row) {
    found = row.text(0);
    return absl::OkStatus();
  });
  if (status.ok() && found == "ok") return status;
  if (!status.ok() && !absl::IsDataLoss(status)) return status;
  return data_loss("database " + paths_.database + " is damaged (" + (status.ok() ? found : message_of(status)) +
                   "); it was left as it is: restore a backup into an empty state directory");
}

absl::Status Database::connect(bool create) {
  GW_ASSIGN_OR_RETURN(writer_, Connection::open(paths_.database, create));
  return migrate(*writer_, embedded_migrations());
}

absl::StatusOr<HighWater> Database::numbers(Connection& db) const {
  HighWater out;
  Lineage lineage = this->lineage();
  out.lineage = to_hex(view(lineage));
  GW_ASSIGN_OR_RETURN(int64_t version, db.integer("SELECT MAX(number) FROM versions"));
  GW_ASSIGN_OR_RETURN(int64_t directory, db.integer("SELECT MAX(number) FROM directory_versions"));
  out.version = static_cast<uint64_t>(version);
  out.directory = static_cast<uint64_t>(directory);
  return out;
}

// A database that is not the one whose numbers stand beside it is a restored copy.
absl::Status Database::recognize() {
  std::string stored;
  GW_RETURN_IF_ERROR(writer_->query("SELECT value FROM meta WHERE name = 'lineage'", {}, [&](const Row& row) {
    stored = row.text(0);
    return absl::OkStatus();
  }));
  if (stored.size() != lineage_.size()) return data_loss("database " + paths_.database + " has no lineage");
  std::memcpy(lineage_.data(), stored.data(), stored.size());
  GW_ASSIGN_OR_RETURN(HighWater have, numbers(*writer_));
  std::optional<HighWater> mark = read_high_water(paths_.lineage);
  std::string why;
  if (!mark) {
    why = paths_.lineage + " is missing";
  } else if (mark->lineage != have.lineage) {
    why = "the database is of another lineage than " + paths_.lineage;
  } else if (mark->copied) {
    why = "the state directory is a copy of another, or was overwritten by one";
  } else if (have.version < mark->version || have.directory < mark->directory) {
    why = "the database ends at version " + std::to_string(have.version) + ", directory " +
          std::to_string(have.directory) + ", where version " + std::to_string(mark->version) + ", directory " +
          std::to_string(mark->directory) + " had been acknowledged";
  }
  if (why.empty()) {
    mark_ = *mark;
    return keep_high_water(false);
  }
  restored_notice_ = "a backup was restored: " + why + "; a new lineage begins, and all nodes take it whole";
  return renew_lineage(restored_notice_, mark ? mark->version : 0, mark ? mark->directory : 0);
}

absl::Status Database::renew_lineage(const std::string& why, uint64_t version_at_least, uint64_t directory_at_least) {
  std::lock_guard lock(write_mutex_);
  Lineage lineage = new_lineage();
  int64_t now_ms = clock_.wall_ns() / 1'000'000;
  GW_RETURN_IF_ERROR(writer_->transaction([&]() -> absl::Status {
    GW_ASSIGN_OR_RETURN(HighWater have, numbers(*writer_));
    uint64_t version = std::max(have.version, version_at_least) + 1;
    uint64_t directory = std::max(have.directory, directory_at_least) + 1;
    std::string digest(32, '\0'), directory_digest(32, '\0');
    GW_RETURN_IF_ERROR(writer_->query("SELECT digest FROM versions ORDER BY number DESC LIMIT 1", {}, [&](const Row& row) {
      digest = row.text(0);
      return absl::OkStatus();
    }));
    GW_RETURN_IF_ERROR(writer_->query("SELECT digest FROM directory_versions ORDER BY number DESC LIMIT 1", {},
                                      [&](const Row& row) {
                                        directory_digest = row.text(0);
                                        return absl::OkStatus();
                                      }));
    GW_RETURN_IF_ERROR(writer_->run("UPDATE meta SET value = $1 WHERE name = 'lineage'", {Blob{view(lineage)}}));
    GW_RETURN_IF_ERROR(writer_->run("INSERT INTO directory_versions (number, digest, created_at_ms, actor) "
                                    "VALUES ($1, $2, $3, 'control plane')",
                                    {directory, Blob{directory_digest}, now_ms}));
    if (version == 1) return absl::OkStatus();  // nothing was ever applied
    return writer_->run(
        "INSERT INTO versions (number, lineage, digest, actor, message, set_name, created_at_ms, phase, undoes, "
        "needs_directory) VALUES ($1, $2, $3, 'control plane', $4, '', $5, 'offered', 0, $6)",
        {version, Blob{view(lineage)}, Blob{digest}, why, now_ms, directory});
  }));
  {
    std::lock_guard lineage_lock(lineage_mutex_);
    lineage_ = lineage;
  }
  return keep_high_water(true);
}

Lineage Database::lineage() const {
  std::lock_guard lock(lineage_mutex_);
  return lineage_;
}

absl::Status Database::keep_high_water(bool force) {
  GW_ASSIGN_OR_RETURN(HighWater have, numbers(*writer_));
  if (!force && have.version == mark_.version && have.directory == mark_.directory) return absl::OkStatus();
  GW_RETURN_IF_ERROR(write_high_water(paths_.lineage, have));
  mark_ = have;
  return absl::OkStatus();
}

absl::Status Database::write(const Fn& fn) {
  std::lock_guard lock(write_mutex_);
  GW_RETURN_IF_ERROR(writer_->transaction([&] { return fn(*writer_); }));
  // The transaction stands: a mark that cannot be written now (a full disk) is written with the next one.
  keep_high_water(false).IgnoreError();
  return absl::OkStatus();
}

absl::Status Database::read(const Fn& fn) {
  std::unique_ptr<Connection> db;
  {
    std::unique_lock lock(read_mutex_);
    reader_free_.wait(lock, [&] { return !readers_.empty() || readers_made_ < kReadersMax; });
    if (!readers_.empty()) {
      db = std::move(readers_.back());
      readers_.pop_back();
    } else {
      ++readers_made_;
    }
  }
  absl::Status status;
  if (!db) {
    auto opened = Connection::open(paths_.database, false);
    if (opened.ok()) {
      db = std::move(*opened);
    } else {
      status = opened.status();
    }
  }
  if (db) status = db->snapshot([&] { return fn(*db); });
  std::lock_guard lock(read_mutex_);
  if (db) {
    readers_.push_back(std::move(db));
  } else {
    --readers_made_;
  }
  reader_free_.notify_one();
  return status;
}

}  // namespace gw
