#include "cli/settings.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "cli/errors.h"
#include "cli/output.h"
#include "common/base/status.h"
#include "common/base/units.h"
#include "common/crypto/certificates.h"

namespace gw::cli {
namespace {

constexpr size_t kMaxConfigBytes = 64 << 10;
constexpr size_t kMaxTokenBytes = 4 << 10;
constexpr size_t kMaxCaBytes = 1 << 20;
constexpr size_t kMaxContexts = 200;

absl::StatusOr<std::string> scalar(const YAML::Node& node, const std::string& where) {
  if (!node.IsScalar()) return usage_error(where + ": must be a text");
  return node.Scalar();
}

absl::StatusOr<Context> parse_context(const YAML::Node& node, const std::string& path) {
  Context out;
  if (!node.IsMap()) return usage_error(path + ": contexts: each must be a mapping {name, server, ca, tokenFile, owner}");
  for (const auto& item : node) {
    GW_ASSIGN_OR_RETURN(std::string key, scalar(item.first, path));
    GW_ASSIGN_OR_RETURN(std::string value, scalar(item.second, path + ": contexts: " + key));
    if (key == "name") out.name = value;
    else if (key == "server") out.server = value;
    else if (key == "tokenFile") out.token_file = value;
    else if (key == "owner") out.owner = value;
    else if (key == "ca") out.ca = value;
    else return usage_error(path + ": contexts: unknown field \"" + key + "\"; there are name, server, ca, tokenFile, owner");
  }
  if (out.name.empty()) return usage_error(path + ": contexts: name is required");
  return out;
}

absl::StatusOr<UserConfig> parse_user_config(const YAML::Node& root, const std::string& path) {
  UserConfig out;
  if (root.IsNull()) return out;
  if (!root.IsMap()) return usage_error(path + ": must be a mapping with `current` and `contexts`");
  for (const auto& item : root) {
    GW_ASSIGN_OR_RETURN(std::string key, scalar(item.first, path));
    if (key == "current") {
      GW_ASSIGN_OR_RETURN(out.current, scalar(item.second, path + ": current"));
    } else if (key == "contexts" && item.second.IsSequence()) {
      for (const YAML::Node& node : item.second) {
        if (out.contexts.size() >= kMaxContexts) return usage_error(path + ": more than 200 contexts");
        GW_ASSIGN_OR_RETURN(Context context, parse_context(node, path));
        out.contexts.push_back(std::move(context));
      }
    } else {
      return usage_error(path + ": unknown field \"" + key + "\"; there are current and contexts");
    }
  }
  return out;
}

// yaml-cpp throws; nothing gets past here.
template <class Parse>
auto parse_yaml(const std::string& text, const std::string& path, Parse parse) -> decltype(parse(YAML::Node())) {
  try {
    return parse(YAML::Load(text));
  } catch (const YAML::Exception& e) {
    return usage_error(path + ":" + std::to_string(e.mark.line + 1) + ": " + e.msg);
  }
}

// ./.gw/config.yaml: a context's name and nothing else.
absl::StatusOr<std::string> project_context(const Environment& env) {
  const std::string path = env.directory + "/.gw/config.yaml";
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return std::string();
  GW_ASSIGN_OR_RETURN(std::string text, read_small_file(path, kMaxConfigBytes));
  return parse_yaml(text, path, [&](const YAML::Node& root) -> absl::StatusOr<std::string> {
    if (!root.IsMap()) return usage_error(path + ": must be `context: NAME`");
    std::string name;
    for (const auto& item : root) {
      GW_ASSIGN_OR_RETURN(std::string key, scalar(item.first, path));
      if (key != "context") {
        return usage_error(path + ": \"" + key + "\" is not allowed here: the file of a directory may only name a context");
      }
      GW_ASSIGN_OR_RETURN(name, scalar(item.second, path + ": context"));
    }
    return name;
  });
}

bool is_loopback(const std::string& server) {
  const std::string host = server.substr(0, server.rfind(':'));
  in_addr address{};
  if (::inet_pton(AF_INET, host.c_str(), &address) == 1) return (ntohl(address.s_addr) >> 24) == 127;
  return host == "localhost" || host == "[::1]";
}

// Takes `https://` off, which says in so many words that TLS is meant.
absl::Status check_server(std::string& server, bool tls) {
  constexpr std::string_view kHttps = "https://";
  bool https = server.starts_with(kHttps);
  if (https) server.erase(0, kHttps.size());
  if (server.find('/') != std::string::npos) return usage_error("server \"" + server + "\": must be HOST:PORT, or https://HOST:PORT");
  size_t colon = server.rfind(':');
  int port = 0;
  const char* end = server.data() + server.size();
  if (colon == std::string::npos || colon == 0 || std::from_chars(server.data() + colon + 1, end, port).ptr != end ||
      port < 1 || port > 65535) {
    return usage_error("server \"" + server + "\": must be HOST:PORT");
  }
  if (!tls && (https || !is_loopback(server))) {
    return usage_error("server " + server + ": a token goes in plain text to loopback only, and TLS needs the control plane's CA: give --ca-file FILE, "
                       "set GW_CA_FILE, or keep it with `gwctl context set NAME --ca-file FILE` (it is ca.pem in the state directory there)");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> read_ca(const std::string& path) {
  GW_ASSIGN_OR_RETURN(std::string text, read_small_file(path, kMaxCaBytes));
  auto bundle = parse_ca_bundle(text);
  return bundle.ok() ? absl::StatusOr<std::string>(text) : usage_error("CA file " + path + ": " + message_of(bundle.status()));
}

absl::StatusOr<std::string> read_token(const std::string& path) {
  GW_ASSIGN_OR_RETURN(std::string text, read_small_file(path, kMaxTokenBytes));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.pop_back();
  for (char c : text) {
    if (c <= ' ' || c > '~') return usage_error("token file " + path + ": does not hold one token on one line");
  }
  if (text.empty()) return usage_error("token file " + path + ": is empty");
  return text;
}

const std::string& first_of(const std::string& a, const std::string& b) { return a.empty() ? b : a; }

// The context that flag, variable, user file or directory names, in that order.
absl::StatusOr<Context> pick_context(const ConnectionFlags& flags, const Environment& env, bool& by_flag) {
  const std::string path = user_config_path(env);
  GW_ASSIGN_OR_RETURN(UserConfig config, load_user_config(path));
  by_flag = !flags.context.empty();
  std::string name = first_of(flags.context, env.variable("GW_CONTEXT"));
  if (name.empty()) name = config.current;
  if (name.empty()) {
    GW_ASSIGN_OR_RETURN(name, project_context(env));
  }
  if (name.empty()) return Context{};
  if (const Context* found = config.find(name)) return *found;
  return usage_error("context \"" + name + "\" is not in " + path + "; `gwctl context list` shows those that are");
}

}  // namespace

const Context* UserConfig::find(std::string_view name) const {
  for (const Context& context : contexts) {
    if (context.name == name) return &context;
  }
  return nullptr;
}

std::string user_config_path(const Environment& env) {
  if (std::string path = env.variable("GW_CONFIG"); !path.empty()) return path;
  if (std::string base = env.variable("XDG_CONFIG_HOME"); !base.empty()) return base + "/gw/config.yaml";
  return env.variable("HOME") + "/.config/gw/config.yaml";
}

absl::StatusOr<UserConfig> load_user_config(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return UserConfig{};
  GW_ASSIGN_OR_RETURN(std::string text, read_small_file(path, kMaxConfigBytes));
  return parse_yaml(text, path, [&](const YAML::Node& root) { return parse_user_config(root, path); });
}

absl::Status save_user_config(const std::string& path, const UserConfig& config) {
  Json contexts = Json::array();
  for (const Context& context : config.contexts) {
    Json item = {{"name", context.name}};
    if (!context.server.empty()) item["server"] = context.server;
    if (!context.ca.empty()) item["ca"] = context.ca;
    if (!context.token_file.empty()) item["tokenFile"] = context.token_file;
    if (!context.owner.empty()) item["owner"] = context.owner;
    contexts.push_back(std::move(item));
  }
  const std::string text = to_yaml_text(Json{{"current", config.current}, {"contexts", contexts}});
  std::filesystem::path directory = std::filesystem::path(path).parent_path();
  std::error_code error;
  if (!directory.empty() && std::filesystem::create_directories(directory, error)) {
    std::filesystem::permissions(directory, std::filesystem::perms::owner_all, error);
  }
  const std::string fresh = path + ".new";
  int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return usage_error(message_of(errno_status("open " + fresh, errno)));
  bool written = ::fchmod(fd, 0600) == 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                 ::fsync(fd) == 0;
  int problem = errno;
  ::close(fd);
  if (written && ::rename(fresh.c_str(), path.c_str()) == 0) return absl::OkStatus();
  if (written) problem = errno;
  ::unlink(fresh.c_str());
  return usage_error(message_of(errno_status("write " + path, problem)));
}

absl::StatusOr<Settings> resolve_offline_settings(const ConnectionFlags& flags, const Environment& env) {
  bool by_flag = false;
  GW_ASSIGN_OR_RETURN(Context context, pick_context(flags, env, by_flag));
  Settings out;
  out.context = context.name;
  out.owner = flags.owner;
  if (out.owner.empty() && !by_flag) out.owner = env.variable("GW_OWNER");
  if (out.owner.empty()) out.owner = context.owner;
  const std::string timeout = first_of(flags.timeout, env.variable("GW_TIMEOUT"));
  if (!timeout.empty()) {
    GW_ASSIGN_OR_RETURN(out.timeout_ms, duration_flag_ms("--timeout", timeout));
  }
  return out;
}

absl::StatusOr<Settings> resolve_settings(const ConnectionFlags& flags, const Environment& env) {
  GW_ASSIGN_OR_RETURN(Settings out, resolve_offline_settings(flags, env));
  bool by_flag = false;
  GW_ASSIGN_OR_RETURN(Context context, pick_context(flags, env, by_flag));
  // A context that a flag names beats the variables.
  auto variable = [&](const char* name) { return by_flag ? std::string() : env.variable(name); };
  out.server = first_of(first_of(flags.server, variable("GW_SERVER")), context.server);
  if (out.server.empty()) {
    return usage_error(
        "no control plane is named: give --server HOST:PORT and --token-file FILE, set GW_SERVER and GW_TOKEN_FILE, or "
        "keep them with `gwctl context set NAME --server HOST:PORT --token-file FILE`");
  }
  out.ca_file = first_of(first_of(flags.ca_file, variable("GW_CA_FILE")), context.ca);
  if (!out.ca_file.empty()) {
    GW_ASSIGN_OR_RETURN(out.ca, read_ca(out.ca_file));
  }
  GW_RETURN_IF_ERROR(check_server(out.server, !out.ca.empty()));
  std::string file = flags.token_file;
  if (file.empty()) {
    out.token = variable("GW_TOKEN");
    if (!out.token.empty()) return out;
    file = first_of(variable("GW_TOKEN_FILE"), context.token_file);
  }
  if (file.empty()) {
    return usage_error("no token for " + out.server + ": give --token-file FILE or set GW_TOKEN_FILE (a token never stands on the command line)");
  }
  GW_ASSIGN_OR_RETURN(out.token, read_token(file));
  return out;
}

absl::StatusOr<int64_t> duration_flag_ms(std::string_view flag, std::string_view text) {
  auto ms = parse_duration_ms(text);
  if (ms.ok() && *ms > 0) return *ms;
  return usage_error(std::string(flag) + ": " + (ms.ok() ? "must be more than 0" : message_of(ms.status())));
}

absl::StatusOr<std::string> read_small_file(const std::string& path, size_t max_bytes) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return usage_error("cannot open " + path + ": it is a directory");
  std::ifstream file(path, std::ios::binary);
  if (!file) return usage_error("cannot open " + path + ": " + std::strerror(errno));
  std::string text(max_bytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > max_bytes) return usage_error(path + ": is larger than " + std::to_string(max_bytes) + " bytes");
  return text;
}

}  // namespace gw::cli
