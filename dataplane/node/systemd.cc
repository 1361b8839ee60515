#include "dataplane/node/systemd.h"

#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "common/base/status.h"

namespace gw {
namespace {

constexpr int kFirstPassed = 3;

int number_in(const char* text) {
  if (text == nullptr) return -1;
  const char* end = text + std::strlen(text);
  int out = -1;
  auto parsed = std::from_chars(text, end, out);
  return parsed.ec == std::errc() && parsed.ptr == end ? out : -1;
}

}  // namespace

std::vector<PassedDescriptor> parse_passed(const char* pid_text, const char* count_text, const char* names_text, int pid) {
  std::vector<PassedDescriptor> out;
  int count = number_in(count_text);
  if (number_in(pid_text) != pid || count <= 0 || count > kMaxPassedDescriptors) return out;
  std::string_view names = names_text != nullptr ? names_text : "";
  for (int i = 0; i < count; ++i) {
    std::string_view name = names.substr(0, names.find(':'));
    names.remove_prefix(std::min(names.size(), name.size() + 1));
    if (name == "unknown" || name == "stored") name = {};  // systemd's words for none
    out.push_back({kFirstPassed + i, std::string(name)});
  }
  return out;
}

std::vector<PassedSocket> passed_by_systemd(std::vector<std::string>& problems) {
  std::vector<PassedSocket> out;
  for (PassedDescriptor& passed : parse_passed(getenv("LISTEN_PID"), getenv("LISTEN_FDS"), getenv("LISTEN_FDNAMES"), getpid())) {
    auto socket = ListenSocket::adopt({passed.fd});
    if (!socket.ok()) {
      problems.push_back("passed descriptor " + std::to_string(passed.fd) + " (" + passed.name + "): " + message_of(socket.status()));
      continue;
    }
    out.push_back({.key = {}, .name = std::move(passed.name), .kept = true, .socket = *std::move(socket)});
  }
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) unsetenv(name);
  return out;
}

void notify_supervisor(std::string_view words) {
  const char* path = getenv("NOTIFY_SOCKET");
  if (path == nullptr || (path[0] != '/' && path[0] != '@')) return;
  size_t size = std::strlen(path);
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  if (size >= sizeof where.sun_path) return;
  std::memcpy(where.sun_path, path, size);
  if (path[0] == '@') where.sun_path[0] = '\0';  // an abstract name
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size);
  if (sendto(fd, words.data(), words.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&where), length) < 0) {
    spdlog::warn("the supervisor's socket {} takes nothing: {}", path, std::strerror(errno));
  }
  close(fd);
}

}  // namespace gw
