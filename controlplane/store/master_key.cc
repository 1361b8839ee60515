#include "controlplane/store/master_key.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <sstream>

#include "common/base/random.h"
#include "common/base/status.h"
#include "common/crypto/hex.h"
#include "common/crypto/sha256.h"
#include "controlplane/store/state_dir.h"

namespace gw {
namespace {

constexpr size_t kIdBytes = 8;
constexpr size_t kFileMax = 4096;
constexpr std::string_view kTitle = "# Northgate master key: opens the secrets in the database. Keep a copy apart from the database's backups.\n";
constexpr std::string_view kWord = "key ";

absl::StatusOr<std::string> read_private_file(const std::string& path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return not_found(path + " does not exist");
  if (fd < 0) return permission_denied("open " + path + ": " + std::strerror(errno));
  struct stat info {};
  std::string text(kFileMax, '\0');
  ssize_t size = ::fstat(fd, &info) == 0 ? ::read(fd, text.data(), text.size()) : -1;
  int error = errno;
  ::close(fd);
  if (size < 0) return errno_status("read " + path, error);
  if ((info.st_mode & 077) != 0) return permission_denied(path + " can be read by others: chmod 600 " + path);
  text.resize(static_cast<size_t>(size));
  return text;
}

}  // namespace

MasterKey::~MasterKey() {
  for (Key& key : keys_) wipe(key.bytes);
}

std::string MasterKey::id_of(const SealKey& bytes) {
  std::string text = "northgate master key ";
  text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  Sha256 hash = sha256(text);
  wipe(text.data(), text.size());
  return to_hex(as_view(hash).substr(0, kIdBytes));
}

MasterKey::Key MasterKey::make_key() {
  Key out;
  secure_random(out.bytes.data(), out.bytes.size());
  out.id = id_of(out.bytes);
  return out;
}

absl::StatusOr<std::unique_ptr<MasterKey>> MasterKey::create(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0) return already_exists(path + " exists");
  std::unique_ptr<MasterKey> out(new MasterKey(path));
  out->keys_.push_back(make_key());
  GW_RETURN_IF_ERROR(out->write());
  return out;
}

absl::StatusOr<std::unique_ptr<MasterKey>> MasterKey::open(const std::string& path) {
  GW_ASSIGN_OR_RETURN(std::string text, read_private_file(path));
  std::unique_ptr<MasterKey> out(new MasterKey(path));
  std::istringstream lines(text);
  std::string line;
  while (std::getline(lines, line)) {
    if (line.empty() || line[0] == '#') continue;
    std::optional<std::string> bytes = line.starts_with(kWord) ? from_hex(std::string_view(line).substr(kWord.size())) : std::nullopt;
    Key key;
    if (!bytes || bytes->size() != key.bytes.size()) return data_loss(path + " is not a master key file, or is damaged: restore your copy of it");
    std::copy(bytes->begin(), bytes->end(), key.bytes.begin());
    key.id = id_of(key.bytes);
    wipe(bytes->data(), bytes->size());
    out->keys_.push_back(key);
  }
  wipe(line.data(), line.size());
  wipe(text.data(), text.size());
  if (out->keys_.empty()) return data_loss(path + " has no key in it: restore your copy of it");
  return out;
}

absl::Status MasterKey::write() const {
  std::string text(kTitle);
  for (const Key& key : keys_) {
    text += std::string(kWord) + to_hex({reinterpret_cast<const char*>(key.bytes.data()), key.bytes.size()}) + "\n";
  }
  absl::Status status = write_file_durably(path_, text, 0600);
  wipe(text.data(), text.size());
  return status;
}

std::string MasterKey::seal(std::string_view value, std::string_view place) const {
  std::lock_guard lock(mutex_);
  return *from_hex(keys_.front().id) + gw::seal(keys_.front().bytes, value, place);
}

std::string MasterKey::key_id_of(std::string_view sealed) { return to_hex(sealed.substr(0, kIdBytes)); }

absl::StatusOr<std::string> MasterKey::open(std::string_view sealed, std::string_view place) const {
  std::string id = key_id_of(sealed);
  std::lock_guard lock(mutex_);
  auto key = std::find_if(keys_.begin(), keys_.end(), [&](const Key& k) { return k.id == id; });
  if (key == keys_.end()) return failed_precondition(path_ + " does not have master key " + id + ", under which secrets in the database are sealed");
  std::optional<std::string> value = unseal(key->bytes, sealed.substr(std::min(sealed.size(), kIdBytes)), place);
  if (!value) return data_loss("a sealed value in the database (" + std::string(place) + ") is damaged");
  return *std::move(value);
}

std::string MasterKey::id() const {
  std::lock_guard lock(mutex_);
  return keys_.front().id;
}

bool MasterKey::has(std::string_view id) const {
  std::lock_guard lock(mutex_);
  return std::any_of(keys_.begin(), keys_.end(), [&](const Key& k) { return k.id == id; });
}

bool MasterKey::changing() const {
  std::lock_guard lock(mutex_);
  return keys_.size() > 1;
}

absl::Status MasterKey::begin_change() {
  std::lock_guard lock(mutex_);
  keys_.insert(keys_.begin(), make_key());
  absl::Status status = write();
  // The file may be as it was or as it should be; either way nothing was sealed under the new key yet.
  if (!status.ok()) keys_.erase(keys_.begin());
  return status;
}

absl::Status MasterKey::end_change() {
  std::lock_guard lock(mutex_);
  std::vector<Key> before(keys_.begin() + 1, keys_.end());
  keys_.resize(1);
  absl::Status status = write();
  if (!status.ok()) keys_.insert(keys_.end(), before.begin(), before.end());
  return status;
}

}  // namespace gw
