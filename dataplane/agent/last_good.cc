#include "dataplane/agent/last_good.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "common/base/status.h"
#include "common/crypto/sha256.h"

namespace gw {
namespace {

constexpr std::string_view kMagic = "GWLASTG1";
constexpr size_t kHashAt = 8 + 8 + 8;
constexpr size_t kHeaderBytes = kHashAt + 32;

template <class Int>
void put(std::string& out, Int value) {
  for (size_t i = 0; i < sizeof value; ++i) out += static_cast<char>(value >> (8 * i) & 0xff);
}

template <class Int>
Int get(std::string_view bytes) {
  Int out = 0;
  for (size_t i = 0; i < sizeof out; ++i) out |= static_cast<Int>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  return out;
}

Sha256 checksum(std::string_view numbers, std::string_view payload) {
  return Sha256Stream().update(numbers).update(payload).finish();
}

}  // namespace

std::string encode_last_good(const LastGood& content, uint64_t generation) {
  std::string payload;
  for (const auto& [stream, offer] : content) {
    put(payload, static_cast<uint32_t>(stream));
    put(payload, static_cast<uint64_t>(offer.ByteSizeLong()));
    offer.AppendToString(&payload);
  }
  std::string out(kMagic);
  put(out, generation);
  put(out, static_cast<uint64_t>(payload.size()));
  Sha256 hash = checksum(std::string_view(out).substr(kMagic.size()), payload);
  out += as_view(hash);
  out += payload;
  return out;
}

absl::StatusOr<LastGood> decode_last_good(std::string_view bytes, uint64_t* generation) {
  if (bytes.size() < kHeaderBytes) return data_loss("too short: " + std::to_string(bytes.size()) + " bytes");
  if (bytes.substr(0, kMagic.size()) != kMagic) return data_loss("does not begin with " + std::string(kMagic));
  std::string_view payload = bytes.substr(kHeaderBytes);
  uint64_t length = get<uint64_t>(bytes.substr(16));
  if (length != payload.size()) {
    return data_loss("cut short: " + std::to_string(payload.size()) + " of " + std::to_string(length) + " bytes");
  }
  Sha256 hash = checksum(bytes.substr(8, 16), payload);
  if (as_view(hash) != bytes.substr(kHashAt, 32)) return data_loss("checksum does not match");
  if (generation != nullptr) *generation = get<uint64_t>(bytes.substr(8));
  LastGood out;
  while (!payload.empty()) {
    if (payload.size() < 12) return data_loss("a stream's head is incomplete");
    auto stream = static_cast<v1::Stream>(get<uint32_t>(payload));
    uint64_t size = get<uint64_t>(payload.substr(4));
    payload.remove_prefix(12);
    if (size > payload.size()) return data_loss("a stream is longer than the file");
    v1::Offer offer;
    if (!offer.ParseFromArray(payload.data(), static_cast<int>(size)) || offer.stream() != stream || offer.base() != 0) {
      return data_loss("stream " + std::to_string(stream) + " cannot be read");
    }
    out[stream] = std::move(offer);
    payload.remove_prefix(size);
  }
  return out;
}

absl::StatusOr<LastGood> read_seed(const std::string& path) {
  GW_ASSIGN_OR_RETURN(std::string bytes, read_whole(path, LastGoodStore::kMaxBytes));
  if (bytes.starts_with(kMagic)) {
    auto content = decode_last_good(bytes, nullptr);
    if (!content.ok()) return data_loss("seed file " + path + ": " + message_of(content.status()));
    return content;
  }
  v1::Offer offer;
  if (!offer.ParseFromString(bytes) || offer.stream() == v1::STREAM_UNSPECIFIED || offer.version() == 0) {
    return data_loss("seed file " + path + ": neither a node's last_good file nor a serialized Offer");
  }
  if (offer.base() != 0) return data_loss("seed file " + path + ": holds a delta; the whole of a stream is needed");
  return LastGood{{offer.stream(), std::move(offer)}};
}

std::string LastGoodStore::slot_path(int slot) const { return dir_ + "/last_good." + std::to_string(slot); }

LastGoodStore::Loaded LastGoodStore::load() {
  Loaded out;
  int newest = -1;
  for (int slot = 0; slot < 2; ++slot) {
    std::string path = slot_path(slot);
    auto bytes = read_whole(path, kMaxBytes);
    if (!bytes.ok() && bytes.status().code() == absl::StatusCode::kNotFound) continue;
    uint64_t generation = 0;
    absl::Status status = bytes.status();
    if (bytes.ok()) {
      auto content = decode_last_good(*bytes, &generation);
      status = content.status();
      if (content.ok() && (newest < 0 || generation > generation_)) {
        newest = slot;
        generation_ = generation;
        out.content = *std::move(content);
      }
    }
    if (!status.ok()) out.problem += (out.problem.empty() ? "" : "; ") + path + ": " + message_of(status);
  }
  next_slot_ = newest == 0 ? 1 : 0;
  return out;
}

absl::Status LastGoodStore::save(const LastGood& content) {
  GW_RETURN_IF_ERROR(write_durably(slot_path(next_slot_), encode_last_good(content, generation_ + 1)));
  ++generation_;
  next_slot_ = 1 - next_slot_;
  return absl::OkStatus();
}

namespace {

absl::Status write_and_sync(int fd, const std::string& path, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_status("write " + path, errno);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  if (::fsync(fd) != 0) return errno_status("sync " + path, errno);
  return absl::OkStatus();
}

}  // namespace

absl::Status write_durably(const std::string& path, std::string_view bytes) {
  std::string beside = path + ".tmp";
  int fd = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return errno_status("create " + beside, errno);
  absl::Status status = write_and_sync(fd, beside, bytes);
  if (::close(fd) != 0 && status.ok()) status = errno_status("close " + beside, errno);
  if (status.ok() && std::rename(beside.c_str(), path.c_str()) != 0) status = errno_status("rename " + beside, errno);
  if (!status.ok()) {
    ::unlink(beside.c_str());
    return status;
  }
  std::string dir = path.substr(0, path.find_last_of('/') == std::string::npos ? 0 : path.find_last_of('/'));
  int dir_fd = ::open(dir.empty() ? "." : dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir_fd < 0) return errno_status("open " + dir, errno);
  if (::fsync(dir_fd) != 0) status = errno_status("sync " + dir, errno);
  ::close(dir_fd);
  return status;
}

absl::StatusOr<std::string> read_whole(const std::string& path, uint64_t max_bytes) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno_status("open " + path, errno);
  struct stat info {};
  absl::Status status = absl::OkStatus();
  std::string out;
  if (::fstat(fd, &info) != 0) status = errno_status("stat " + path, errno);
  else if (!S_ISREG(info.st_mode)) status = invalid_argument(path + ": not a file");
  else if (static_cast<uint64_t>(info.st_size) > max_bytes) status = invalid_argument(path + ": too large");
  while (status.ok()) {
    char buffer[65536];
    ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) status = errno_status("read " + path, errno);
    if (n <= 0) break;
    out.append(buffer, static_cast<size_t>(n));
    if (out.size() > max_bytes) status = invalid_argument(path + ": too large");
  }
  ::close(fd);
  if (!status.ok()) return status;
  return out;
}

}  // namespace gw
