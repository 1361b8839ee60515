#include "dataplane/agent/last_good.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "agent_support.h"
#include "dataplane/agent/node_token.h"

using namespace gw;
using namespace gw::agent_test;

namespace {

LastGood content(uint64_t version) {
  LastGood out;
  for (v1::Stream stream : {v1::STREAM_CONFIG, v1::STREAM_DIRECTORY}) {
    v1::Offer& offer = out[stream];
    offer.set_stream(stream);
    offer.set_version(version);
    offer.set_lineage(std::string(16, 'l'));
    v1::Entry& e = *offer.add_upserts();
    e.set_uid(1);
    e.set_body(std::string(300, 'b'));
  }
  return out;
}

uint64_t version_of(const LastGoodStore::Loaded& loaded) {
  return loaded.content ? loaded.content->at(v1::STREAM_CONFIG).version() : 0;
}

void write(const std::string& path, const std::string& bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << bytes;
}

std::string slot(const TempDir& dir, int n) { return dir.path() + "/last_good." + std::to_string(n); }

// Versions 1 and 2 saved; the newer one is in slot 1.
void save_two(const TempDir& dir) {
  LastGoodStore store(dir.path());
  store.load();
  REQUIRE(store.save(content(1)).ok());
  REQUIRE(store.save(content(2)).ok());
}

}  // namespace

TEST_CASE("what was saved last is loaded, slot by slot") {
  TempDir dir;
  LastGoodStore store(dir.path());
  CHECK_FALSE(store.load().content);
  CHECK(store.load().problem.empty());
  for (uint64_t v = 1; v <= 5; ++v) {
    REQUIRE(store.save(content(v)).ok());
    LastGoodStore again(dir.path());
    auto loaded = again.load();
    CHECK(version_of(loaded) == v);
    CHECK(loaded.problem.empty());
    CHECK(loaded.content->at(v1::STREAM_DIRECTORY).SerializeAsString() == content(v).at(v1::STREAM_DIRECTORY).SerializeAsString());
  }
  struct stat info {};
  REQUIRE(::stat(slot(dir, 0).c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
}

TEST_CASE("a newer slot that was torn anywhere leaves the older one in force") {
  TempDir dir;
  save_two(dir);
  std::string whole = *read_whole(slot(dir, 1), 1 << 20);
  size_t n = whole.size();
  // Every place of the head, the borders of what lies in the payload, and a few beyond.
  std::vector<size_t> cuts;
  for (size_t i = 0; i <= 72; ++i) cuts.push_back(i);
  for (size_t i = 80; i < n; i += 61) cuts.push_back(i);
  cuts.push_back(n - 1);
  for (size_t cut : cuts) {
    INFO("cut at " << cut << " of " << n);
    write(slot(dir, 1), whole.substr(0, cut));
    LastGoodStore store(dir.path());
    auto loaded = store.load();
    CHECK(version_of(loaded) == 1);
    CHECK(loaded.problem.find("last_good.1") != std::string::npos);
  }
}

TEST_CASE("the next write goes over the torn slot, not over the good one") {
  TempDir dir;
  save_two(dir);
  write(slot(dir, 1), read_whole(slot(dir, 1), 1 << 20)->substr(0, 100));
  LastGoodStore store(dir.path());
  CHECK(version_of(store.load()) == 1);
  REQUIRE(store.save(content(3)).ok());
  CHECK(version_of(LastGoodStore(dir.path()).load()) == 3);
  write(slot(dir, 1), "torn");
  CHECK(version_of(LastGoodStore(dir.path()).load()) == 1);
}

TEST_CASE("one changed bit anywhere is noticed") {
  TempDir dir;
  save_two(dir);
  std::string whole = *read_whole(slot(dir, 1), 1 << 20);
  for (size_t at = 0; at < whole.size(); at += at < 80 ? 1 : 29) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 4);
    INFO("byte " << at);
    CHECK_FALSE(decode_last_good(bytes, nullptr).ok());
  }
  CHECK_FALSE(decode_last_good(whole + "x", nullptr).ok());
}

TEST_CASE("when both slots are bad both are named, and nothing is loaded") {
  TempDir dir;
  save_two(dir);
  write(slot(dir, 0), "rubbish");
  write(slot(dir, 1), "");
  LastGoodStore store(dir.path());
  auto loaded = store.load();
  CHECK_FALSE(loaded.content);
  CHECK(loaded.problem.find("last_good.0") != std::string::npos);
  CHECK(loaded.problem.find("last_good.1") != std::string::npos);
  REQUIRE(store.save(content(9)).ok());
  CHECK(version_of(LastGoodStore(dir.path()).load()) == 9);
}

TEST_CASE("a write that was begun and not ended is of no interest") {
  TempDir dir;
  save_two(dir);
  write(slot(dir, 0) + ".tmp", encode_last_good(content(3), 3).substr(0, 100));
  LastGoodStore store(dir.path());
  auto loaded = store.load();
  CHECK(version_of(loaded) == 2);
  CHECK(loaded.problem.empty());
}

TEST_CASE("a write that fails leaves what was there") {
  TempDir dir;
  save_two(dir);
  LastGoodStore store(dir.path());
  store.load();
  std::filesystem::create_directory(slot(dir, 0) + ".tmp");
  absl::Status status = store.save(content(3));
  CHECK_FALSE(status.ok());
  CHECK(message_of(status).find("last_good.0") != std::string::npos);
  CHECK(version_of(LastGoodStore(dir.path()).load()) == 2);
}

TEST_CASE("a seed is a slot, or one whole offer") {
  TempDir dir;
  std::string path = dir.path() + "/seed";
  write(path, encode_last_good(content(4), 9));
  auto seed = read_seed(path);
  REQUIRE(seed.ok());
  CHECK(seed->size() == 2);
  write(path, content(5).at(v1::STREAM_CONFIG).SerializeAsString());
  seed = read_seed(path);
  REQUIRE(seed.ok());
  CHECK(seed->at(v1::STREAM_CONFIG).version() == 5);

  v1::Offer delta = content(5).at(v1::STREAM_CONFIG);
  delta.set_base(4);
  write(path, delta.SerializeAsString());
  CHECK(message_of(read_seed(path).status()).find("delta") != std::string::npos);
  write(path, "not at all");
  CHECK(message_of(read_seed(path).status()).find(path) != std::string::npos);
  CHECK(read_seed(dir.path() + "/none").status().code() == absl::StatusCode::kNotFound);
}

TEST_CASE("a token's file is private and holds one word") {
  TempDir dir;
  std::string path = node_token_path(dir.path());
  CHECK(read_token_file(path).status().code() == absl::StatusCode::kNotFound);
  REQUIRE(write_node_token(dir.path(), "secret").ok());
  CHECK(*read_token_file(path) == "secret");
  ::chmod(path.c_str(), 0640);
  CHECK(message_of(read_token_file(path).status()).find("0600") != std::string::npos);
  ::chmod(path.c_str(), 0600);
  write(path, "two words");
  CHECK_FALSE(read_token_file(path).ok());
  write(path, " \n");
  CHECK_FALSE(read_token_file(path).ok());
}
