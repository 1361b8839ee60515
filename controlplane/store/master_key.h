// The key under which secrets lie in the database, in a file beside it (mode 0600). The file holds the key in force, and while
// the master key is being changed the one before as well: so that at any moment the file opens whatever the database has.
//
// Sealed values name their key by its id. Sealing belongs into the transaction that stores the value: the transaction that seals
// everything anew then comes before or after it as a whole. Thread-safe.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/crypto/sealed.h"

namespace gw {

class MasterKey {
 public:
  // A new key in a new file. ALREADY_EXISTS when there is one.
  static absl::StatusOr<std::unique_ptr<MasterKey>> create(const std::string& path);
  // NOT_FOUND; PERMISSION_DENIED (it cannot be opened, or others can read it); DATA_LOSS (it is no such file).
  static absl::StatusOr<std::unique_ptr<MasterKey>> open(const std::string& path);
  ~MasterKey();

  // Under the key in force; `place` is what the value is bound to.
  std::string seal(std::string_view value, std::string_view place) const;
  // Under any key of the file. FAILED_PRECONDITION: the file does not have it. DATA_LOSS: not what was sealed there.
  absl::StatusOr<std::string> open(std::string_view sealed, std::string_view place) const;

  // 16 hex digits.
  std::string id() const;
  bool has(std::string_view id) const;
  // Whether the file has keys that are no longer in force.
  bool changing() const;
  static std::string key_id_of(std::string_view sealed);
  const std::string& path() const { return path_; }

  // Makes a new key and puts it in force; those before stay in the file.
  absl::Status begin_change();
  // Takes those before out of the file. REQUIRES: nothing is sealed under them any more.
  absl::Status end_change();

 private:
  struct Key {
    std::string id;
    SealKey bytes;
  };
  explicit MasterKey(std::string path) : path_(std::move(path)) {}
  static Key make_key();
  static std::string id_of(const SealKey& bytes);
  absl::Status write() const;

  const std::string path_;
  mutable std::mutex mutex_;
  std::vector<Key> keys_;  // the one in force first
};

}  // namespace gw
