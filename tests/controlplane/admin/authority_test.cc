// The CA, and who is let in by its certificates.
#include "controlplane/admin/authority.h"

#include <catch2/catch.hpp>

#include "common/base/status.h"
#include "common/crypto/certificates.h"
#include "controlplane/admin/node_side.h"
#include "controlplane/store/secrets.h"
#include "controlplane/store/tokens.h"
#include "tests/support/temp_dir.h"

using namespace gw;

namespace {

constexpr int64_t kAuthorityStart = 1'800'000'000;
constexpr int64_t kAuthorityLifetime = 900;

struct AuthorityWorld {
  test::TempDir dir;
  ManualClock clock;
  std::unique_ptr<Database> db;
  std::unique_ptr<MasterKey> key;
  std::unique_ptr<Authority> authority;
  std::unique_ptr<Engine> engine;
  std::unique_ptr<StoreNodeTokens> tokens;

  AuthorityWorld() {
    at(0);
    db = *Database::create(dir.path() + "/state", clock);
    key = *MasterKey::create(dir.path() + "/master.key");
    begin();
  }
  void at(int64_t seconds) { clock.set_wall_ns((kAuthorityStart + seconds) * 1'000'000'000); }
  // As at a start of the control plane.
  void begin() {
    tokens.reset();
    engine.reset();
    auto made = Authority::open(*db, *key, clock, kAuthorityLifetime);
    INFO(message_of(made.status()));
    REQUIRE(made.ok());
    authority = *std::move(made);
    Engine::Options options;
    options.db = db.get();
    options.master_key = key.get();
    options.clock = &clock;
    engine = *Engine::load(options);
    tokens = std::make_unique<StoreNodeTokens>(*engine, *authority, true);
  }
  std::string join_token(int64_t expires_at = 0) {
    TokenRow row;
    row.name = "join";
    row.role = "join";
    row.created_at = engine->now_s();
    row.expires_at = expires_at;
    NewToken made = make_token(std::move(row));
    REQUIRE(db->write([&](Connection& c) { return insert_token(c, made.row); }).ok());
    return made.text;
  }
  static std::string request() { return *make_signing_request(make_private_key(), "node"); }
  NodeCredentials joined(const std::string& node) {
    auto grant = tokens->join(join_token(), node, request());
    INFO(message_of(grant.status()));
    REQUIRE(grant.ok());
    return {grant->token, grant->certificate};
  }
  void revoke(const std::string& node) {
    REQUIRE(db->write([&](Connection& c) -> absl::Status {
                GW_RETURN_IF_ERROR(revoke_node_tokens(c, node, engine->now_s()).status());
                GW_RETURN_IF_ERROR(revoke_node_certificates(c, node, engine->now_s()).status());
                return refuse_joins(c, node);
              }).ok());
  }
  std::string refusal(const NodeCredentials& shown,
                      absl::StatusCode code = absl::StatusCode::kUnauthenticated) {
    auto identity = tokens->node_of(shown);
    CHECK(identity.status().code() == code);
    return message_of(identity.status());
  }
  int64_t rows(const std::string& table) {
    int64_t out = -1;
    REQUIRE(db->read([&](Connection& c) -> absl::Status {
                GW_ASSIGN_OR_RETURN(out, c.integer("SELECT COUNT(*) FROM " + table));
                return absl::OkStatus();
              }).ok());
    return out;
  }
};

}  // namespace

TEST_CASE("a control plane makes its CA once; a restart and another master key leave it as it is") {
  AuthorityWorld w;
  std::string ca = w.authority->ca();
  NodeCredentials shown = w.joined("n1");
  w.begin();
  CHECK(w.authority->ca() == ca);
  CHECK(w.tokens->node_of(shown).ok());
  REQUIRE(w.engine->rotate_master("alice").ok());
  w.begin();
  CHECK(w.authority->ca() == ca);
  CHECK(is_issued_by(w.joined("n2").certificate, ca));
  std::map<std::string, int> sealed;
  REQUIRE(w.db->read([&](Connection& c) -> absl::Status {
                GW_ASSIGN_OR_RETURN(sealed, sealed_under(c));
                return absl::OkStatus();
              })
              .ok());
  CHECK(sealed == std::map<std::string, int>{{w.key->id(), 1}});
}

TEST_CASE("a node is let in by its token with its own certificate") {
  AuthorityWorld w;
  NodeCredentials n1 = w.joined("n1"), n2 = w.joined("n2");
  auto identity = w.tokens->node_of(n1);
  REQUIRE(identity.ok());
  CHECK(identity->node == "n1");
  CHECK(identity->certificate_ends == kAuthorityStart + kAuthorityLifetime);
  CHECK(identity->serial == parse_chain(n1.certificate)->leaf().serial);
  CHECK(w.refusal({n1.token, ""}).find("shows no certificate") != std::string::npos);
  CHECK(w.refusal({n1.token, n2.certificate}, absl::StatusCode::kPermissionDenied)
            .find("the token that of node n1") != std::string::npos);
  CHECK(w.refusal({"", n1.certificate}).find("token") != std::string::npos);
  w.at(kAuthorityLifetime);
  CHECK(w.refusal(n1).find("has ended") != std::string::npos);
}

TEST_CASE("a join needs a signing request where certificates are needed") {
  AuthorityWorld w;
  std::string token = w.join_token();
  CHECK(absl::IsInvalidArgument(w.tokens->join(token, "n1", "").status()));
  CHECK(absl::IsInvalidArgument(w.tokens->join(token, "n1", "not a request").status()));
  CHECK(absl::IsInvalidArgument(
      w.tokens->join(token, "no name!", AuthorityWorld::request()).status()));
  CHECK(absl::IsUnauthenticated(
      w.tokens->join("gwj_unknown", "n1", AuthorityWorld::request()).status()));
  CHECK(w.rows("node_certificates") == 0);
  StoreNodeTokens plain(*w.engine, *w.authority, false);
  auto grant = plain.join(token, "n1", "");
  REQUIRE(grant.ok());
  CHECK(grant->certificate.empty());
  CHECK(plain.node_of({grant->token, ""}).ok());
}

TEST_CASE("a certificate is renewed by the one before; ended ones are forgotten") {
  AuthorityWorld w;
  NodeCredentials n1 = w.joined("n1");
  w.at(kAuthorityLifetime * 2 / 3);
  auto renewed = w.tokens->renew(n1, AuthorityWorld::request());
  REQUIRE(renewed.ok());
  CHECK(renewed->token.empty());
  CHECK(renewed->ca == w.authority->ca());
  NodeCredentials next{n1.token, renewed->certificate};
  CHECK(w.tokens->node_of(n1).ok());
  CHECK(w.tokens->node_of(next).ok());
  CHECK(absl::IsInvalidArgument(w.tokens->renew(next, "").status()));
  w.at(kAuthorityLifetime + 1);
  CHECK(absl::IsUnauthenticated(w.tokens->renew(n1, AuthorityWorld::request()).status()));
  CHECK(w.tokens->node_of(next).ok());
  CHECK(w.rows("node_certificates") == 2);
  w.at(kAuthorityLifetime * 2 + StoreNodeTokens::kEndedKeptS);
  w.joined("n2");
  CHECK(w.rows("node_certificates") == 1);
}

TEST_CASE("a revoked node is refused until it joins with a join token that is newer") {
  AuthorityWorld w;
  NodeCredentials n1 = w.joined("n1"), n2 = w.joined("n2");
  std::string before = w.join_token(kAuthorityStart + 100);
  w.revoke("n1");
  CHECK(w.refusal(n1).find("revoked") != std::string::npos);
  CHECK(absl::IsUnauthenticated(w.tokens->renew(n1, AuthorityWorld::request()).status()));
  auto again = w.tokens->join(before, "n1", AuthorityWorld::request());
  CHECK(absl::IsUnauthenticated(again.status()));
  CHECK(message_of(again.status()).find("gwctl node join-token") != std::string::npos);
  CHECK(w.tokens->node_of(n2).ok());
  CHECK(w.tokens->known_nodes() == std::vector<std::string>{"n2"});
  NodeCredentials anew = w.joined("n1");  // by a token of the same second
  CHECK(w.tokens->node_of(anew).ok());
  // Its old certificate stays revoked, and the old join token refused.
  CHECK(w.refusal({anew.token, n1.certificate}).find("was revoked") != std::string::npos);
  CHECK(absl::IsUnauthenticated(w.tokens->join(before, "n1", AuthorityWorld::request()).status()));
  CHECK(w.tokens->join(before, "n3", AuthorityWorld::request()).ok());
  int64_t refused = w.rows("refused_joins");
  w.at(200);  // that token has expired: nothing is to be remembered of it
  w.joined("n4");
  CHECK(w.rows("refused_joins") == refused - 1);
}

TEST_CASE(
    "the control plane's certificate is for its names, and is renewed when two thirds of its time "
    "are over") {
  AuthorityWorld w;
  auto made =
      ServerCertificate::make(*w.authority, {"gw.example.com", "127.0.0.1", "::1"}, w.clock);
  REQUIRE(made.ok());
  ServerCertificate::Current first = (*made)->current();
  auto pair = parse_key_pair(first.pair.certificate + w.authority->ca() + first.pair.key);
  REQUIRE(pair.ok());
  for (const char* name : {"gw.example.com", "127.0.0.1", "::1"}) CHECK(covers(pair->leaf(), name));
  CHECK(pair->leaf().server);
  CHECK_FALSE(pair->leaf().client);
  w.at(ServerCertificate::kLifetimeS * 2 / 3 - 1);
  CHECK((*made)->current().number == first.number);
  w.at(ServerCertificate::kLifetimeS * 2 / 3);
  ServerCertificate::Current second = (*made)->current();
  CHECK(second.number != first.number);
  CHECK(second.pair.key != first.pair.key);
  CHECK((*made)->current().number == second.number);
  for (const char* name : {"", "-x", "a b", "a,DNS:b", "a..b", "x.", "exämple"}) {
    CHECK(absl::IsInvalidArgument(ServerCertificate::make(*w.authority, {name}, w.clock).status()));
  }
  CHECK(absl::IsInvalidArgument(
      ServerCertificate::make(*w.authority, std::vector<std::string>(91, "a"), w.clock).status()));
}
