#include <catch2/catch.hpp>

#include "common/base/status.h"
#include "tests/cli/gwctl_run.h"

namespace gw::cli {

TEST_CASE("words of other tools get a suggestion and exit code 2") {
  GwctlRun gwctl;
  for (auto [word, meant] : {std::pair{"sync", "gwctl apply"}, {"dump", "gwctl export"}, {"ping", "gwctl status"}, {"validate", "gwctl lint"}, {"aply", "gwctl apply"}, {"rollback", "gwctl rollout undo"}}) {
    CHECK(gwctl.run({word, "-f", "x"}) == 2);
    CHECK(gwctl.err == std::string("gwctl: unknown command \"") + word + "\"; did you mean `" + meant + "`?\n");
    CHECK(gwctl.out.empty());
  }
  CHECK(gwctl.run({"get", "pods"}) == 2);
  CHECK(gwctl.err.find("gwctl node list") != std::string::npos);
  CHECK(gwctl.run({"rollout", "undoo", "4"}) == 2);
  CHECK(gwctl.err.find("did you mean `gwctl rollout undo`?") != std::string::npos);
  CHECK(gwctl.run({"frobnicate"}) == 2);
  CHECK(gwctl.err.find("gwctl --help") != std::string::npos);
}

TEST_CASE("a flag that is not there gets a suggestion") {
  GwctlRun gwctl;
  CHECK(gwctl.run({"apply", "--no-wiat", "-f", "x"}) == 2);
  CHECK(gwctl.err == "gwctl: unknown flag --no-wiat; did you mean --no-wait?\n");
  CHECK(gwctl.run({"apply", "--dry-run", "-f", "x"}) == 2);
  CHECK(gwctl.err.find("gwctl plan") != std::string::npos);
  CHECK(gwctl.run({"status", "--token", "secret"}) == 2);
  CHECK(gwctl.err.find("never stands on the command line") != std::string::npos);
  CHECK(gwctl.err.find("secret\n") == std::string::npos);
}

TEST_CASE("a value that cannot be is usage, before anything is asked of the server") {
  GwctlRun gwctl;
  const std::string file = gwctl.file("a.yaml", kDemoObjects);
  const std::vector<std::vector<std::string>> wrong = {
      {"get", "route", "-o", "xml"},
      {"get", "route", "--color", "pink"},
      {"get", "route", "-l", "novalue"},
      {"status", "--timeout", "60"},
      {"rollout", "undo", "seven"},
      {"rollout", "undo"},
      {"apply"},
      {"apply", "-f", file, "--prune"},
      {"apply", "-f", file, "--quorum", "0"},
      {"apply", "-f", file, "--quorum", "120%"},
      {"apply", "--plan", "p.json", "-f", file},
      {"key", "create", "--app", "no-owner"},
      {"usage", "--by", "ap"},
      {"usage", "--by", "day,month"},
      {"usage", "--from", "yesterday"},
      {"explain-request", "GET", "http://a/", "-H", "nocolon"},
      {"explain-request", "GET", "http://a/", "--expect", "maybe"},
      {"token", "create", "--name", "x", "--role", "king"},
      {"token", "create", "--name", "x", "--role", "editor"},
      {},
  };
  for (const auto& args : wrong) {
    INFO((args.empty() ? "no arguments" : args.back()));
    CHECK(gwctl.run(args) == 2);
    CHECK(gwctl.err.rfind("gwctl: ", 0) == 0);
    CHECK(gwctl.out.empty());
    CHECK(gwctl.admin.calls.empty());
  }
}

TEST_CASE("help goes to standard output and is no error") {
  GwctlRun gwctl;
  CHECK(gwctl.run({"--help"}) == 0);
  for (const char* word : {"apply", "explain-request", "rollout", "Exit codes"}) CHECK(gwctl.out.find(word) != std::string::npos);
  CHECK(gwctl.err.empty());
  CHECK(gwctl.run({"apply", "--help"}) == 0);
  CHECK(gwctl.out.find("--quorum") != std::string::npos);
  CHECK(gwctl.run({"--version"}) == 0);
  CHECK(gwctl.out.rfind("gwctl ", 0) == 0);
}

TEST_CASE("every failure of the server has its words and its exit code") {
  GwctlRun gwctl;
  gwctl.admin.failures["status"] = unavailable("connection refused");
  CHECK(gwctl.run({"status"}) == 6);
  CHECK(gwctl.err == "gwctl: cannot reach the control plane at 127.0.0.1:7443: connection refused\n");
  gwctl.admin.failures["status"] = unauthenticated("the token is expired");
  CHECK(gwctl.run({"status"}) == 3);
  CHECK(gwctl.err == "gwctl: not let in by the control plane at 127.0.0.1:7443: the token is expired\n");
  gwctl.admin.failures["status"] = deadline_exceeded("60 s");
  CHECK(gwctl.run({"status"}) == 7);
  gwctl.admin.failures["status"] = internal_error("disk I/O error");
  CHECK(gwctl.run({"status"}) == 6);
  CHECK(gwctl.err.find("failed: disk I/O error") != std::string::npos);
}

TEST_CASE("completion knows the commands") {
  GwctlRun gwctl;
  for (const char* shell : {"bash", "zsh", "fish"}) {
    CHECK(gwctl.run({"completion", shell}) == 0);
    CHECK(gwctl.out.find("explain-request") != std::string::npos);
    CHECK(gwctl.out.find("join-token") != std::string::npos);
  }
  CHECK(gwctl.run({"completion", "tcsh"}) == 2);
}

}  // namespace gw::cli
