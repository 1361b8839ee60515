#include "cli/settings.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "cli/errors.h"
#include "common/base/status.h"
#include "common/crypto/issuing.h"
#include "tests/cli/gwctl_run.h"

namespace gw::cli {
namespace {

// A user's file with two contexts; `local` is current.
void write_contexts(GwctlRun& gwctl) {
  gwctl.variables.erase("GW_SERVER");
  gwctl.variables.erase("GW_TOKEN_FILE");
  gwctl.file("token-local", "t-local");
  gwctl.file("token-other", "t-other");
  gwctl.file(".config/gw/config.yaml",
             "current: local\ncontexts:\n- {name: local, server: \"127.0.0.1:1\", tokenFile: " + gwctl.directory + "/token-local, owner: platform}\n" +
                 "- {name: other, server: \"127.0.0.1:2\", tokenFile: " + gwctl.directory + "/token-other}\n");
}

Settings resolve(GwctlRun& gwctl, const ConnectionFlags& flags = {}) {
  auto out = resolve_settings(flags, gwctl.env);
  INFO(message_of(out.status()));
  REQUIRE(out.ok());
  return *out;
}

}  // namespace

TEST_CASE("a flag beats a variable, a variable beats the user's file") {
  GwctlRun gwctl;
  write_contexts(gwctl);
  CHECK(resolve(gwctl).server == "127.0.0.1:1");
  CHECK(resolve(gwctl).token == "t-local");
  CHECK(resolve(gwctl).owner == "platform");
  gwctl.variables["GW_CONTEXT"] = "other";
  CHECK(resolve(gwctl).server == "127.0.0.1:2");
  gwctl.variables["GW_SERVER"] = "127.0.0.1:3";
  gwctl.variables["GW_OWNER"] = "speakers";
  CHECK(resolve(gwctl).server == "127.0.0.1:3");
  CHECK(resolve(gwctl).owner == "speakers");
  ConnectionFlags flags;
  flags.context = "local";
  CHECK(resolve(gwctl, flags).server == "127.0.0.1:1");
  CHECK(resolve(gwctl, flags).token == "t-local");
  flags.server = "localhost:4";
  flags.owner = "attendees";
  flags.timeout = "5s";
  CHECK(resolve(gwctl, flags).server == "localhost:4");
  CHECK(resolve(gwctl, flags).owner == "attendees");
  CHECK(resolve(gwctl, flags).timeout_ms == 5000);
}

TEST_CASE("the file of a directory may name a context and nothing else") {
  GwctlRun gwctl;
  write_contexts(gwctl);
  std::string text = gwctl.read(".config/gw/config.yaml");
  gwctl.file(".config/gw/config.yaml", text.substr(text.find('\n') + 1));  // no current one
  gwctl.file(".gw/config.yaml", "context: other\n");
  CHECK(resolve(gwctl).server == "127.0.0.1:2");
  gwctl.file(".gw/config.yaml", "context: other\nserver: \"127.0.0.1:9\"\n");
  auto refused = resolve_settings({}, gwctl.env);
  CHECK(exit_code_of(refused.status()) == ExitCode::kUsage);
  CHECK(message_of(refused.status()).find("may only name a context") != std::string::npos);
}

TEST_CASE("a token is sent to loopback only") {
  GwctlRun gwctl;
  for (const char* server : {"10.0.0.1:7443", "gateway.example:7443", "127.0.0.1.evil.example:7443"}) {
    ConnectionFlags flags;
    flags.server = server;
    auto refused = resolve_settings(flags, gwctl.env);
    CHECK(exit_code_of(refused.status()) == ExitCode::kUsage);
    CHECK(message_of(refused.status()).find("loopback") != std::string::npos);
  }
  for (const char* server : {"127.0.0.1:1", "127.8.0.1:1", "[::1]:1", "localhost:1"}) {
    ConnectionFlags flags;
    flags.server = server;
    CHECK(resolve(gwctl, flags).server == server);
  }
  for (const char* server : {"localhost", "localhost:", "localhost:0", "localhost:99999", ":1"}) {
    ConnectionFlags flags;
    flags.server = server;
    CHECK(exit_code_of(resolve_settings(flags, gwctl.env).status()) == ExitCode::kUsage);
  }
}

TEST_CASE("a CA file means TLS, to any host and by that CA alone") {
  GwctlRun gwctl;
  const std::string ca = make_ca("a", 0, 10)->certificate, path = gwctl.file("ca.pem", ca);
  ConnectionFlags flags;
  flags.server = "gateway.example:7443";
  flags.ca_file = path;
  CHECK(resolve(gwctl, flags).ca == ca);
  CHECK(resolve(gwctl, flags).server == "gateway.example:7443");
  flags.server = "https://gateway.example:7443";
  CHECK(resolve(gwctl, flags).server == "gateway.example:7443");
  flags.ca_file.clear();
  auto refused = resolve_settings(flags, gwctl.env);
  CHECK(exit_code_of(refused.status()) == ExitCode::kUsage);
  CHECK(message_of(refused.status()).find("--ca-file") != std::string::npos);
  flags.server = "https://127.0.0.1:7443";
  CHECK(exit_code_of(resolve_settings(flags, gwctl.env).status()) == ExitCode::kUsage);
  gwctl.variables["GW_CA_FILE"] = path;
  CHECK(resolve(gwctl, flags).ca == ca);
  for (const char* server : {"http://127.0.0.1:1", "https://127.0.0.1:1/", "https://"}) {
    flags.server = server;
    CHECK(exit_code_of(resolve_settings(flags, gwctl.env).status()) == ExitCode::kUsage);
  }
  flags.server = "127.0.0.1:1";
  for (const std::string& file : {gwctl.file("bad.pem", "nothing"), gwctl.directory + "/absent"}) {
    flags.ca_file = file;
    CHECK(exit_code_of(resolve_settings(flags, gwctl.env).status()) == ExitCode::kUsage);
  }
}

TEST_CASE("a context keeps the CA of its control plane") {
  GwctlRun gwctl;
  write_contexts(gwctl);
  const std::string ca = make_ca("a", 0, 10)->certificate, path = gwctl.file("ca.pem", ca);
  CHECK(gwctl.run({"context", "set", "local", "--ca-file", path}) == 0);
  CHECK(gwctl.read(".config/gw/config.yaml").find("ca: " + path) != std::string::npos);
  CHECK(resolve(gwctl).ca == ca);
  CHECK(resolve(gwctl).ca_file == path);
  CHECK(gwctl.run({"context", "list", "-o", "json"}) == 0);
  CHECK(gwctl.out.find("\"ca\": \"" + path + "\"") != std::string::npos);
}

TEST_CASE("a broken configuration file is named with its line") {
  GwctlRun gwctl;
  write_contexts(gwctl);
  for (const char* text : {"contexts: [{name: x, token: secret}]", "contexts: {", "- a", "contexts: [{server: x}]", "curent: x"}) {
    gwctl.file(".config/gw/config.yaml", text);
    auto refused = resolve_settings({}, gwctl.env);
    CHECK(exit_code_of(refused.status()) == ExitCode::kUsage);
    CHECK(message_of(refused.status()).find("config.yaml") != std::string::npos);
  }
}

TEST_CASE("a token file must hold one token") {
  GwctlRun gwctl;
  for (const char* text : {"", "\n", "two words", "a\nb"}) {
    gwctl.file("token", text);
    CHECK(exit_code_of(resolve_settings({}, gwctl.env).status()) == ExitCode::kUsage);
  }
  gwctl.variables["GW_TOKEN"] = "from-variable";
  CHECK(resolve(gwctl).token == "from-variable");
}

TEST_CASE("contexts are kept in a file that only the user can read") {
  GwctlRun gwctl;
  const std::string token = gwctl.file("t", "tok");
  CHECK(gwctl.run({"context", "set", "local", "--server", "127.0.0.1:7443", "--token-file", token, "--owner", "platform"}) == 0);
  struct stat info {};
  REQUIRE(::stat((gwctl.directory + "/.config/gw/config.yaml").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  CHECK(gwctl.run({"context", "set", "prod", "--server", "127.0.0.1:7444"}) == 0);
  CHECK(gwctl.run({"context", "list", "--no-headers"}) == 0);
  CHECK(gwctl.out.find("*  local  127.0.0.1:7443  platform") != std::string::npos);
  CHECK(gwctl.run({"context", "use", "prod"}) == 0);
  CHECK(gwctl.err.find("gwctl context use local") != std::string::npos);
  CHECK(gwctl.run({"context", "use", "nowhere"}) == 4);
  CHECK(gwctl.run({"context", "delete", "prod"}) == 0);
  CHECK(gwctl.run({"context", "list", "-o", "name"}) == 0);
  CHECK(gwctl.out == "context/local\n");
  CHECK(gwctl.run({"context", "set", "new"}) == 2);
}

TEST_CASE("without a control plane named, gwctl says how to name one") {
  GwctlRun gwctl;
  gwctl.variables.erase("GW_SERVER");
  CHECK(gwctl.run({"status"}) == 2);
  CHECK(gwctl.err.find("gwctl context set") != std::string::npos);
  CHECK(gwctl.out.empty());
}

}  // namespace gw::cli
