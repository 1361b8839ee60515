#include <catch2/catch.hpp>

#include "cli/output.h"
#include "common/base/status.h"
#include "tests/cli/gwctl_run.h"

namespace gw::cli {
namespace {

v1::CreateKeyResponse made_key() {
  v1::CreateKeyResponse out;
  out.set_key("gwk_live_abc_secret");
  out.mutable_info()->set_id("abc");
  out.mutable_info()->set_app("platform/acme-mobile");
  out.mutable_info()->set_live(true);
  out.mutable_info()->set_created_at(1'800'000'000);
  out.set_directory_version(5);
  return out;
}

v1::RolloutStatus directory_there() { return rollout(0, "active", {node_rollout("n1", "", v1::ACTIVE)}, true); }

}  // namespace

TEST_CASE("a new key is alone on standard output, and is waited for on the nodes") {
  GwctlRun gwctl;
  gwctl.admin.answer("create_key", made_key());
  gwctl.admin.watches.push_back({directory_there()});
  CHECK(gwctl.run({"key", "create", "--app", "platform/acme-mobile", "--ttl", "30d"}) == 0);
  CHECK(gwctl.out == "gwk_live_abc_secret\n");
  CHECK(gwctl.err.find("secret") == std::string::npos);
  CHECK(gwctl.err.find("gwctl key revoke abc") != std::string::npos);
  CHECK(gwctl.admin.asked<v1::CreateKeyRequest>("create_key").ttl_seconds() == 30 * 86400);
  CHECK(gwctl.admin.asked<v1::WatchRolloutRequest>("watch_rollout").directory_version() == 5);
  CHECK(gwctl.run({"key", "create", "--app", "platform/acme-mobile", "-o", "json", "--no-wait"}) == 0);
  CHECK(is_golden("key_create.json", gwctl.out));
}

TEST_CASE("a key that not every node has yet was made all the same") {
  GwctlRun gwctl;
  gwctl.admin.answer("create_key", made_key());
  gwctl.admin.watches.push_back({rollout(0, "active", {node_rollout("n1", "", v1::RECEIVED, false)}, true)});
  CHECK(gwctl.run({"key", "create", "--app", "platform/acme-mobile"}) == 0);
  CHECK(gwctl.out == "gwk_live_abc_secret\n");
  CHECK(gwctl.err.find("not every node has it yet") != std::string::npos);
}

TEST_CASE("revoking asks first, and is exit 7 when a node may still let the key in") {
  GwctlRun gwctl;
  v1::RevokeKeyResponse done;
  done.set_directory_version(6);
  gwctl.admin.answer("revoke_key", done);
  CHECK(gwctl.run({"key", "revoke", "abc"}) == 2);
  CHECK(gwctl.admin.count("revoke_key") == 0);
  gwctl.env.in_is_terminal = gwctl.env.err_is_terminal = true;
  gwctl.input = "n\n";
  CHECK(gwctl.run({"key", "revoke", "abc"}) == 2);
  gwctl.input = "y\n";
  gwctl.admin.watches.push_back({directory_there()});
  CHECK(gwctl.run({"key", "revoke", "abc"}) == 0);
  CHECK(gwctl.run({"key", "revoke", "abc", "--no-input"}) == 2);
  gwctl.admin.watches.push_back({rollout(0, "active", {node_rollout("n1", "", v1::RECEIVED, false)}, true)});
  CHECK(gwctl.run({"key", "revoke", "abc", "-y"}) == 7);
  gwctl.admin.failures["revoke_key"] = not_found("key xyz: there is none");
  CHECK(gwctl.run({"key", "revoke", "xyz", "-y"}) == 4);
}

TEST_CASE("rotating keeps the old key for the overlap") {
  GwctlRun gwctl;
  gwctl.admin.answer("rotate_key", made_key());
  CHECK(gwctl.run({"key", "rotate", "old", "--overlap", "7d", "--no-wait"}) == 0);
  CHECK(gwctl.admin.asked<v1::RotateKeyRequest>("rotate_key").overlap_seconds() == 7 * 86400);
  CHECK(gwctl.err.find("key old is good for another 7d") != std::string::npos);
  CHECK(gwctl.run({"key", "rotate", "old", "--no-wait"}) == 0);
  CHECK(gwctl.admin.asked<v1::RotateKeyRequest>("rotate_key").overlap_seconds() == 0);
}

TEST_CASE("keys are listed without secrets") {
  GwctlRun gwctl;
  gwctl.clock.set_wall_ns(INT64_C(1'800'000'000'000'000'000));
  v1::ListKeysResponse list;
  *list.add_keys() = made_key().info();
  v1::KeyInfo& old = *list.add_keys();
  old.set_id("old");
  old.set_app("platform/acme-mobile");
  old.set_imported(true);
  old.set_expires_at(1'799'999'999);
  gwctl.admin.answer("list_keys", list);
  CHECK(gwctl.run({"key", "list", "--no-headers"}) == 0);
  CHECK(gwctl.out.find("abc  platform/acme-mobile  live            good     2027-01-15T08:00:00Z  -") == 0);
  CHECK(gwctl.out.find("old  platform/acme-mobile  test, imported  expired") != std::string::npos);
  CHECK(gwctl.run({"key", "list", "-o", "json"}) == 0);
  CHECK(is_golden("key_list.json", gwctl.out));
}

TEST_CASE("foreign keys are imported by hash, and a bad line is named") {
  GwctlRun gwctl;
  v1::ImportKeysResponse done;
  done.set_imported(1);
  done.set_already_there(1);
  gwctl.admin.answer("import_keys", done);
  const std::string hash(64, 'a');
  const std::string good = gwctl.file("keys.csv", "# old gateway\nplatform/a," + hash + "\r\n\nplatform/b," + std::string(64, 'B') + "\n");
  CHECK(gwctl.run({"key", "import", "--sha256-file", good, "--no-wait"}) == 0);
  CHECK(gwctl.out == "1 keys imported, 1 were there\n");
  auto request = gwctl.admin.asked<v1::ImportKeysRequest>("import_keys");
  REQUIRE(request.keys_size() == 2);
  CHECK(request.keys(0).sha256() == std::string(32, '\xaa'));
  CHECK(request.keys(1).line() == 4);
  for (const char* line : {"platform/a", "a,", "noowner,aa", "platform/a,zz", "platform/a,aa"}) {
    gwctl.admin.calls.clear();
    CHECK(gwctl.run({"key", "import", "--sha256-file", gwctl.file("bad.csv", std::string("\n") + line + "\n")}) == 8);
    CHECK(gwctl.err.find("bad.csv:2: ") != std::string::npos);
    CHECK(gwctl.admin.calls.empty());
  }
  CHECK(gwctl.run({"key", "import", "--sha256-file", gwctl.file("empty.csv", "")}) == 2);
}

TEST_CASE("tokens and join tokens are shown once") {
  GwctlRun gwctl;
  v1::CreateTokenResponse made;
  made.set_token("gwt_secret");
  made.mutable_info()->set_id("t1");
  made.mutable_info()->set_role("join");
  made.mutable_info()->set_expires_at(1'800'000'000);
  gwctl.admin.answer("create_token", made);
  CHECK(gwctl.run({"node", "join-token", "--ttl", "1h"}) == 0);
  CHECK(gwctl.out == "gwt_secret\n");
  CHECK(gwctl.err.find("secret") == std::string::npos);
  made.set_ca("-----BEGIN CERTIFICATE-----\n");
  gwctl.admin.answer("create_token", made);
  CHECK(gwctl.run({"node", "join-token", "--ttl", "1h"}) == 0);
  CHECK(gwctl.out == "gwt_secret\n-----BEGIN CERTIFICATE-----\n");
  CHECK(gwctl.run({"node", "join-token", "--ttl", "1h", "-o", "json"}) == 0);
  CHECK(gwctl.out.find("\"ca\": \"-----BEGIN") != std::string::npos);
  made.clear_ca();
  gwctl.admin.answer("create_token", made);
  auto request = gwctl.admin.asked<v1::CreateTokenRequest>("create_token");
  CHECK(request.role() == "join");
  CHECK(request.ttl_seconds() == 3600);
  CHECK(gwctl.run({"token", "create", "--name", "ci", "--role", "editor", "--team", "attendees"}) == 0);
  request = gwctl.admin.asked<v1::CreateTokenRequest>("create_token");
  CHECK(request.team() == "attendees");
  CHECK(request.ttl_seconds() == 90 * 86400);
  gwctl.admin.answer("revoke_token", v1::RevokeTokenResponse());
  CHECK(gwctl.run({"token", "revoke", "t1", "-y"}) == 0);
  v1::ListTokensResponse list;
  *list.add_tokens() = made.info();
  list.mutable_tokens(0)->set_name("join");
  gwctl.admin.answer("list_tokens", list);
  CHECK(gwctl.run({"token", "list", "-o", "json"}) == 0);
  CHECK(is_golden("token_list.json", gwctl.out));
}

TEST_CASE("node revoke asks first, says what ended, and how to undo it") {
  GwctlRun gwctl;
  v1::RevokeNodeResponse done;
  done.set_certificates(1);
  gwctl.admin.answer("revoke_node", done);
  CHECK(gwctl.run({"node", "revoke", "n1"}) == 2);
  CHECK(gwctl.run({"node", "revoke", "n1", "-y"}) == 0);
  CHECK(gwctl.admin.asked<v1::RevokeNodeRequest>("revoke_node").node() == "n1");
  CHECK(gwctl.out == "node n1 revoked: its token, 1 certificate, and its streams\n");
  CHECK(gwctl.err.find("undo with: gwctl node join-token") != std::string::npos);
  CHECK(gwctl.run({"node", "revoke", "n1", "-y", "-o", "json"}) == 0);
  CHECK(gwctl.out.find("\"certificates\": 1") != std::string::npos);
}

}  // namespace gw::cli
