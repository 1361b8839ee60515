// The master key's file, and what is sealed under it in the database.
#include "controlplane/store/master_key.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "common/base/status.h"
#include "common/crypto/hex.h"
#include "controlplane/store/database.h"
#include "controlplane/store/secrets.h"
#include "controlplane/store/versions.h"
#include "tests/support/temp_dir.h"

namespace gw {
namespace {

std::string text_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

size_t keys_in(const std::string& path) {
  size_t n = 0;
  std::istringstream lines(text_of(path));
  for (std::string line; std::getline(lines, line);) n += line.starts_with("key ");
  return n;
}

struct World {
  test::TempDir dir;
  ManualClock clock;
  std::unique_ptr<Database> db;
  std::string path = dir.path() + "/master.key";
  std::unique_ptr<MasterKey> key;

  World() {
    db = *Database::create(dir.path() + "/state", clock);
    key = *MasterKey::create(path);
  }
  void put(uint64_t uid, const std::string& value) {
    absl::Status status = db->write([&](Connection& c) -> absl::Status {
      GW_RETURN_IF_ERROR(take_uid(c, uid));
      GW_RETURN_IF_ERROR(put_secret(c, *key, {uid, value, 5, "alice"}));
      return insert_ticket_key(c, *key, {uid, std::string(16, 'n'), value + " ticket", 1, 2});
    });
    REQUIRE(status.ok());
  }
  absl::StatusOr<std::vector<SecretRow>> all() {
    std::vector<SecretRow> out;
    absl::Status status = db->read([&](Connection& c) -> absl::Status {
      GW_ASSIGN_OR_RETURN(out, all_secrets(c, *key));
      return all_ticket_keys(c, *key).status();
    });
    if (!status.ok()) return status;
    return out;
  }
  std::map<std::string, int> sealed() {
    std::map<std::string, int> out;
    REQUIRE(db->read([&](Connection& c) -> absl::Status {
      GW_ASSIGN_OR_RETURN(out, sealed_under(c));
      return absl::OkStatus();
    }).ok());
    return out;
  }
  // Of all files of the database.
  std::string database_bytes() const { return text_of(db->paths().database) + text_of(db->paths().database + "-wal"); }
};

}  // namespace

TEST_CASE("the master key's file is for its owner alone, and refused when it is not") {
  test::TempDir dir;
  std::string path = dir.path() + "/master.key";
  CHECK(absl::IsNotFound(MasterKey::open(path).status()));
  auto made = MasterKey::create(path);
  REQUIRE(made.ok());
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  CHECK(absl::IsAlreadyExists(MasterKey::create(path).status()));
  auto opened = MasterKey::open(path);
  REQUIRE(opened.ok());
  CHECK((*opened)->id() == (*made)->id());
  CHECK((*opened)->open((*made)->seal("a value", "here"), "here").value_or("") == "a value");
  ::chmod(path.c_str(), 0640);
  CHECK(absl::IsPermissionDenied(MasterKey::open(path).status()));
  ::chmod(path.c_str(), 0600);
  std::ofstream(path) << "key abc\n";
  CHECK(absl::IsDataLoss(MasterKey::open(path).status()));
  std::ofstream(path) << "# nothing\n";
  CHECK(absl::IsDataLoss(MasterKey::open(path).status()));
}

TEST_CASE("what is stored is sealed, bound to its place, and opens with the key alone") {
  World w;
  w.put(7, "the value of seven");
  w.put(8, "the value of eight");
  auto all = w.all();
  REQUIRE(all.ok());
  REQUIRE(all->size() == 2);
  CHECK(all->at(0).value == "the value of seven");
  CHECK(all->at(0).changed_by == "alice");
  CHECK(w.database_bytes().find("the value of") == std::string::npos);
  CHECK(w.sealed() == std::map<std::string, int>{{w.key->id(), 4}});

  SECTION("in another's place") {
    REQUIRE(w.db->write([](Connection& c) { return c.run("UPDATE secrets SET sealed = (SELECT sealed FROM secrets WHERE uid = 8) WHERE uid = 7"); }).ok());
    CHECK(absl::IsDataLoss(w.all().status()));
  }
  SECTION("without its key") {
    w.key = *MasterKey::create(w.dir.path() + "/other.key");
    CHECK(absl::IsFailedPrecondition(w.all().status()));
  }
}

TEST_CASE("at every moment of a change of the master key, the file opens what the database has") {
  World w;
  w.put(7, "the value of seven");
  std::string before = w.key->id();
  auto opens = [&] {
    auto fresh = MasterKey::open(w.path);  // as after a crash
    REQUIRE(fresh.ok());
    w.key = *std::move(fresh);
    auto all = w.all();
    INFO(message_of(all.status()));
    return all.ok() && all->at(0).value == "the value of seven";
  };
  REQUIRE(w.key->begin_change().ok());
  CHECK(keys_in(w.path) == 2);
  CHECK(w.key->id() != before);
  CHECK(w.sealed().contains(before));
  CHECK(opens());
  CHECK(w.key->changing());
  // The transaction fails: all of it is as it was.
  absl::Status failed = w.db->write([&](Connection& c) -> absl::Status {
    GW_RETURN_IF_ERROR(seal_anew(c, *w.key).status());
    return internal_error("crash");
  });
  CHECK_FALSE(failed.ok());
  CHECK(w.sealed().contains(before));
  CHECK(opens());
  int count = 0;
  REQUIRE(w.db->write([&](Connection& c) -> absl::Status {
    GW_ASSIGN_OR_RETURN(count, seal_anew(c, *w.key));
    return absl::OkStatus();
  }).ok());
  CHECK(count == 1);
  CHECK(w.sealed() == std::map<std::string, int>{{w.key->id(), 2}});
  CHECK(opens());
  REQUIRE(w.key->end_change().ok());
  CHECK(keys_in(w.path) == 1);
  CHECK(opens());
  CHECK_FALSE(w.key->has(before));
}

}  // namespace gw
