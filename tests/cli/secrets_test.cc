#include <catch2/catch.hpp>

#include "common/base/status.h"
#include "tests/cli/gwctl_run.h"
#include "tests/support/certificates.h"

namespace gw::cli {
namespace {

constexpr int64_t kNow = 1'800'000'000;

v1::ApplyResponse secret_stored(v1::Change::Action action, uint64_t certificates = 7) {
  v1::ApplyResponse out;
  v1::Change& change = *out.add_changes();
  change.set_action(action);
  change.set_kind("Secret");
  change.set_owner("platform");
  change.set_name("tls");
  out.set_certificates_version(certificates);
  out.set_nodes_connected(1);
  return out;
}

v1::CertificateInfo certificate_info(const std::string& serial) {
  v1::CertificateInfo out;
  out.set_certificate("platform/site");
  out.set_secret("platform/tls");
  out.add_hosts("a.example.com");
  out.add_names("a.example.com");
  out.set_serial(serial);
  out.set_key("ECDSA P-256");
  out.set_issuer("CN=Test CA");
  out.set_not_before(kNow - 3600);
  out.set_not_after(kNow + 86'400);
  out.set_sha256("ab12");
  out.set_chain(2);
  out.add_serving("n1");
  return out;
}

v1::ListCertificatesResponse one_certificate(const v1::CertificateInfo& info) {
  v1::ListCertificatesResponse out;
  *out.add_certificates() = info;
  out.set_certificates_version(7);
  return out;
}

v1::RolloutStatus certificates_on_one() { return rollout(0, "active", {node_rollout("n1", "az-a", v1::ACTIVE)}, true); }

struct SecretRun : GwctlRun {
  SecretRun() { clock.set_wall_ns(kNow * 1'000'000'000); }
  bool says(const std::string& words) const { return (out + err).find(words) != std::string::npos; }
};

}  // namespace

TEST_CASE("secret set stores a file's text, waits for the nodes, and never shows it") {
  SecretRun gwctl;
  gwctl.admin.answer("apply", secret_stored(v1::Change::CREATED));
  gwctl.admin.watches.push_back({certificates_on_one()});
  std::string path = gwctl.file("tls.pem", "the value\n");
  CHECK(gwctl.run({"secret", "set", "platform/tls", "--from-file", path, "-m", "new"}) == 0);
  CHECK(gwctl.out == "Secret platform/tls created\n  node n1 (az-a)  in force\nin force on 1/1 nodes in 0.4 s\n");
  CHECK(gwctl.says("undo with: gwctl delete secret platform/tls"));
  CHECK_FALSE(gwctl.says("the value"));
  auto asked = gwctl.admin.asked<v1::ApplyRequest>("apply");
  CHECK(asked.objects(0).secret().value() == "the value\n");
  CHECK(asked.objects(0).metadata().owner() == "platform");
  CHECK(asked.seen(0).generation() == 0);
  CHECK(asked.message() == "new");
  CHECK(gwctl.admin.asked<v1::WatchRolloutRequest>("watch_rollout").certificates_version() == 7);

  gwctl.admin.watches.push_back({certificates_on_one()});
  gwctl.input = "from stdin";
  CHECK(gwctl.run({"secret", "set", "platform/tls", "--from-stdin", "-o", "json"}) == 0);
  CHECK(is_golden("secret_set.json", gwctl.out));
  CHECK(gwctl.admin.asked<v1::ApplyRequest>("apply").objects(0).secret().value() == "from stdin");
}

TEST_CASE("secret set keeps what else the Secret says, and its set") {
  SecretRun gwctl;
  v1::ObjectView there = view("{apiVersion: gw/v1, kind: Secret, metadata: {name: tls, owner: platform, shareWith: [all]}, spec: {}}");
  there.mutable_object()->set_set("edge-repo");
  there.mutable_object()->set_generation(3);
  gwctl.admin.objects.push_back(there);
  gwctl.admin.answer("apply", secret_stored(v1::Change::CHANGED, 0));
  CHECK(gwctl.run({"secret", "set", "platform/tls", "--from-file", gwctl.file("x", "x")}) == 0);
  auto asked = gwctl.admin.asked<v1::ApplyRequest>("apply");
  CHECK(asked.set() == "edge-repo");
  CHECK(asked.seen(0).generation() == 3);
  CHECK(asked.objects(0).metadata().share_with(0) == "all");
  CHECK(gwctl.says("the value before is kept nowhere"));
}

TEST_CASE("secret set wants one value, which is text") {
  SecretRun gwctl;
  CHECK(gwctl.run({"secret", "set", "platform/tls"}) == 2);
  CHECK(gwctl.run({"secret", "set", "platform/tls", "--from-stdin", "--from-file", gwctl.file("x", "x")}) == 2);
  CHECK(gwctl.run({"secret", "set", "platform/tls", "--from-file", gwctl.file("empty", "")}) == 2);
  CHECK(gwctl.run({"secret", "set", "platform/tls", "--from-file", gwctl.file("binary", "\xff\xfe")}) == 2);
  CHECK(gwctl.run({"secret", "set", "platform/tls", "--from-file", gwctl.directory + "/gone"}) == 2);
  CHECK(gwctl.admin.count("apply") == 0);
}

TEST_CASE("secret list shows what may be said of values") {
  SecretRun gwctl;
  v1::ObjectView there = view("{apiVersion: gw/v1, kind: Secret, metadata: {name: tls, owner: platform}, spec: {}}");
  auto fact = [&](const char* name, const char* value) {
    v1::Pair& pair = *there.add_facts();
    pair.set_name(name);
    pair.set_value(value);
  };
  fact("value", "(set) key pair, 2 certificates, 3412 bytes, sha256 ab12cd34");
  fact("changed", "2027-01-15 08:00 UTC by ci@platform");
  gwctl.admin.objects.push_back(there);
  CHECK(gwctl.run({"secret", "list", "-o", "json"}) == 0);
  CHECK(is_golden("secret_list.json", gwctl.out));
  CHECK(gwctl.run({"secret", "list"}) == 0);
  CHECK(gwctl.says("(set) key pair, 2 certificates"));
  CHECK(gwctl.run({"get", "secret"}) == 0);
  CHECK(gwctl.says("(set) key pair, 2 certificates"));
}

TEST_CASE("secret rotate-master asks first and says how many are sealed anew") {
  SecretRun gwctl;
  v1::RotateMasterResponse done;
  done.set_key_id("0123456789abcdef");
  done.set_secrets(3);
  gwctl.admin.answer("rotate_master", done);
  CHECK(gwctl.run({"secret", "rotate-master"}) == 2);
  CHECK(gwctl.admin.count("rotate_master") == 0);
  CHECK(gwctl.run({"secret", "rotate-master", "-y"}) == 0);
  CHECK(gwctl.out == "master key 0123456789abcdef is in force; 3 secrets are encrypted under it\n");
  CHECK(gwctl.run({"secret", "rotate-master", "-y", "-o", "json"}) == 0);
  CHECK(is_golden("rotate_master.json", gwctl.out));
}

TEST_CASE("cert check tells what is wrong, and answers no") {
  SecretRun gwctl;
  v1::CertificateInfo info = certificate_info("1002");
  gwctl.admin.answer("list_certificates", one_certificate(info));
  CHECK(gwctl.run({"cert", "check"}) == 0);
  for (const char* words : {"platform/site", "platform/tls", "ECDSA P-256", "1002", "1/1", "good"}) CHECK(gwctl.says(words));
  v1::Diagnostic& warning = *info.add_diagnostics();
  warning.set_code("GW2030");
  warning.set_severity(v1::Diagnostic::WARNING);
  warning.set_message("it ends soon");
  gwctl.admin.answer("list_certificates", one_certificate(info));
  CHECK(gwctl.run({"cert", "check", "site"}) == 0);
  CHECK(gwctl.says("it ends soon"));
  CHECK(gwctl.admin.asked<v1::ListCertificatesRequest>("list_certificates").certificate() == "site");
  CHECK(gwctl.run({"cert", "check", "-o", "json"}) == 0);
  CHECK(is_golden("cert_check.json", gwctl.out));
  info.mutable_diagnostics(0)->set_severity(v1::Diagnostic::ERROR);
  gwctl.admin.answer("list_certificates", one_certificate(info));
  CHECK(gwctl.run({"cert", "check"}) == 1);
}

TEST_CASE("cert check --file looks at a file without a control plane") {
  SecretRun gwctl;
  test::CertificateMaker ca(kNow);
  test::Issued made = ca.issue({"a.example.com"});
  std::string path = gwctl.file("site.pem", made.pem());
  CHECK(gwctl.run({"cert", "check", "--file", path, "--host", "a.example.com"}) == 0);
  CHECK(gwctl.says("good"));
  CHECK(gwctl.run({"cert", "check", "--file", path, "--host", "b.example.com"}) == 1);
  CHECK(gwctl.says("GW1441"));
  CHECK(gwctl.run({"cert", "check", "--file", gwctl.file("chain.pem", made.certificate)}) == 0);
  CHECK(gwctl.says("has no private key"));
  CHECK(gwctl.run({"cert", "check", "--file", gwctl.file("wrong.pem", made.certificate + ca.issue({"x"}).key)}) == 1);
  CHECK(gwctl.says("GW1440"));
  CHECK_FALSE(gwctl.says("BEGIN"));
  gwctl.clock.set_wall_ns((kNow + 89 * 86'400) * 1'000'000'000);
  CHECK(gwctl.run({"cert", "check", "--file", path}) == 0);
  CHECK(gwctl.says("GW2030"));
  CHECK(gwctl.run({"cert", "check", "site", "--file", path}) == 2);
  CHECK(gwctl.run({"cert", "check", "--host", "a"}) == 2);
  CHECK(gwctl.admin.calls.empty());
}

TEST_CASE("cert rotate stores the pair in the Secret of its kind of key and lists the nodes") {
  SecretRun gwctl;
  test::CertificateMaker ca(kNow);
  v1::ListCertificatesResponse two = one_certificate(certificate_info("1002"));
  *two.add_certificates() = certificate_info("1003");
  two.mutable_certificates(1)->set_key("RSA 2048");
  two.mutable_certificates(1)->set_secret("platform/rsa");
  gwctl.admin.answer("list_certificates", two);
  gwctl.admin.answer("apply", secret_stored(v1::Change::CHANGED));
  gwctl.admin.watches.push_back({certificates_on_one()});
  std::string rsa = gwctl.file("rsa.pem", ca.issue({"a.example.com"}, test::KeyKind::kRsa).pem());
  CHECK(gwctl.run({"cert", "rotate", "site", "--from-file", rsa}) == 0);
  CHECK(gwctl.admin.asked<v1::ApplyRequest>("apply").objects(0).metadata().name() == "rsa");
  CHECK(gwctl.says("  node n1  serves it\nin force on 1/1 nodes that hold it\n"));
  gwctl.admin.watches.push_back({certificates_on_one()});
  CHECK(gwctl.run({"cert", "rotate", "site", "--from-file", rsa, "--secret", "tls", "-o", "json"}) == 0);
  CHECK(gwctl.admin.asked<v1::ApplyRequest>("apply").objects(0).metadata().name() == "tls");
  CHECK(is_golden("cert_rotate.json", gwctl.out));
  CHECK(gwctl.run({"cert", "rotate", "site", "--from-file", rsa, "--secret", "gone"}) == 4);
  CHECK(gwctl.run({"cert", "rotate", "site", "--from-file", gwctl.file("no.pem", "nothing")}) == 8);
  two.mutable_certificates(0)->clear_serving();
  two.mutable_certificates(0)->add_waiting("n1");
  gwctl.admin.answer("list_certificates", two);
  CHECK(gwctl.run({"cert", "rotate", "site", "--from-file", rsa, "--secret", "tls"}) == 7);
  CHECK(gwctl.says("  node n1  not yet"));
}

TEST_CASE("status names certificates that end soon") {
  SecretRun gwctl;
  v1::StatusResponse status;
  *status.add_ending() = certificate_info("1002");
  gwctl.admin.answer("status", status);
  CHECK(gwctl.run({"status"}) == 0);
  CHECK(gwctl.says("certificates ending 1"));
  CHECK(gwctl.says("platform/site (ECDSA P-256)"));
}

TEST_CASE("lint looks into the files that values stand in") {
  SecretRun gwctl;
  test::CertificateMaker ca(kNow);
  test::IssueOptions soon;
  soon.dns = {"a.example.com"};
  soon.not_after = 20 * 86'400;
  gwctl.file("tls.pem", ca.issue(soon).pem());
  auto yaml = [&](const std::string& host) {
    return gwctl.file("s.yaml", "{apiVersion: gw/v1, kind: Team, metadata: {name: platform}, spec: {title: Platform}}\n---\n"
                                "{apiVersion: gw/v1, kind: Secret, metadata: {name: tls, owner: platform}, spec: {value: {file: tls.pem}}}\n---\n"
                                "{apiVersion: gw/v1, kind: Certificate, metadata: {name: site, owner: platform}, spec: {hosts: [" + host + "], keyPairs: [{secret: tls}]}}\n");
  };
  CHECK(gwctl.run({"lint", "-f", yaml("a.example.com")}) == 0);
  CHECK(gwctl.says("s.yaml:5:"));
  CHECK(gwctl.says("GW2030"));
  CHECK(gwctl.run({"lint", "-f", yaml("b.example.com")}) == 1);
  CHECK(gwctl.says("GW1441"));
  CHECK_FALSE(gwctl.says("BEGIN"));
}

TEST_CASE("values of files and variables are read where gwctl runs, and a plan file holds none") {
  SecretRun gwctl;
  gwctl.file("tls.pem", "the value");
  std::string yaml = gwctl.file("s.yaml", "{apiVersion: gw/v1, kind: Secret, metadata: {name: tls, owner: platform}, spec: {value: {file: tls.pem}}}\n---\n"
                                          "{apiVersion: gw/v1, kind: Secret, metadata: {name: token, owner: platform}, spec: {value: {env: TOKEN}}}\n");
  gwctl.admin.answer("apply", secret_stored(v1::Change::CREATED));
  CHECK(gwctl.run({"apply", "-f", yaml, "--no-wait"}) == 8);
  CHECK(gwctl.says("GW1016"));
  CHECK(gwctl.says("the variable TOKEN is not set"));
  gwctl.variables["TOKEN"] = "of the variable";
  CHECK(gwctl.run({"apply", "-f", yaml, "--no-wait"}) == 0);
  auto asked = gwctl.admin.asked<v1::ApplyRequest>("apply");
  CHECK(asked.objects(0).secret().value() == "the value");
  CHECK(asked.objects(1).secret().value() == "of the variable");
  gwctl.admin.answer("who_am_i", v1::WhoAmIResponse());
  CHECK(gwctl.run({"plan", "-f", yaml, "--out", gwctl.directory + "/plan.json"}) == 2);
  CHECK(gwctl.says("a plan holds no secrets"));
  CHECK(gwctl.run({"render", "-f", yaml}) == 0);
  CHECK_FALSE(gwctl.says("the value"));
}

}  // namespace gw::cli
