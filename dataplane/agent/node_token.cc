#include "dataplane/agent/node_token.h"

#include <sys/stat.h>

#include "common/base/status.h"
#include "dataplane/agent/last_good.h"

namespace gw {
namespace {
constexpr uint64_t kMaxTokenBytes = 4096;
}

std::string node_token_path(const std::string& state_dir) { return state_dir + "/node.token"; }

absl::StatusOr<std::string> read_token_file(const std::string& path) {
  GW_ASSIGN_OR_RETURN(std::string text, read_whole(path, kMaxTokenBytes));
  return token_of_text(path, text);
}

absl::StatusOr<std::string> token_of_text(const std::string& path, std::string_view whole) {
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && (info.st_mode & 077) != 0) {
    return invalid_argument(path + ": readable by others; a token's file must be 0600 (chmod 600 " + path + ")");
  }
  size_t first = whole.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return invalid_argument(path + ": empty");
  std::string text(whole.substr(first, whole.find_last_not_of(" \t\r\n") - first + 1));
  for (char c : text) {
    if (c <= ' ' || c == 0x7f) return invalid_argument(path + ": holds more than one word; a token is expected");
  }
  return text;
}

absl::Status write_node_token(const std::string& state_dir, const std::string& token) {
  return write_durably(node_token_path(state_dir), token + "\n");
}

}  // namespace gw
