// Which control plane a command talks to, as whom, and for which team. Flag > GW_* > the user's file > ./.gw/config.yaml,
// which may only name a context: a cloned repository must not receive a token.
//
//   ~/.config/gw/config.yaml (0600; GW_CONFIG names another):
//     current: local
//     contexts:
//       - {name: local, server: "127.0.0.1:7443", tokenFile: /home/ann/.config/gw/local.token, owner: platform}
//       - {name: prod, server: "gw.example.com:7443", ca: /home/ann/.config/gw/prod-ca.pem, tokenFile: /home/ann/.config/gw/prod.token}
//
// A CA file means TLS, by that CA alone. Without one the connection is plain text, and to loopback only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/environment.h"

namespace gw::cli {

struct Context {
  std::string name;
  std::string server;
  std::string token_file;
  std::string owner;
  std::string ca;  // file
};

struct UserConfig {
  std::string current;
  std::vector<Context> contexts;
  const Context* find(std::string_view name) const;
};

// What the flags said; empty where they said nothing.
struct ConnectionFlags {
  std::string context;
  std::string server;
  std::string token_file;
  std::string ca_file;
  std::string owner;
  std::string timeout;
};

struct Settings {
  std::string context;  // empty: none was used
  std::string server;   // host:port
  std::string ca;       // PEM; empty: plain text
  std::string ca_file;  // where it was read
  std::string token;
  std::string owner;  // may be empty: the token's team
  int64_t timeout_ms = 60'000;
};

std::string user_config_path(const Environment& env);
// An absent file is an empty configuration.
absl::StatusOr<UserConfig> load_user_config(const std::string& path);
// Replaces the file in one step; 0600, and 0700 for a directory that it has to make.
absl::Status save_user_config(const std::string& path, const UserConfig& config);

// Fails with exit code 2 when no control plane or no token is named, or the server is not on loopback and no CA is named.
absl::StatusOr<Settings> resolve_settings(const ConnectionFlags& flags, const Environment& env);
// Owner and timeout alone, for commands that work offline.
absl::StatusOr<Settings> resolve_offline_settings(const ConnectionFlags& flags, const Environment& env);

// The value of a duration flag (250ms, 10s, 7d) in milliseconds, more than 0; failures carry exit code 2.
absl::StatusOr<int64_t> duration_flag_ms(std::string_view flag, std::string_view text);
// A whole file of at most `max_bytes`; failures carry exit code 2.
absl::StatusOr<std::string> read_small_file(const std::string& path, size_t max_bytes);

}  // namespace gw::cli
