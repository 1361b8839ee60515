#include "dataplane/telemetry/usage_meter.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>

#include "common/base/status.h"
#include "record_support.h"

using namespace gw;
using namespace gw::telemetry_test;

namespace {

std::unique_ptr<UsageSpool> open(const std::string& dir, size_t workers = 1, size_t bytes = size_t{96} << 20) {
  auto spool = UsageSpool::open({.dir = dir, .workers = workers, .file_bytes_max = bytes});
  INFO(message_of(spool.status()));
  REQUIRE(spool.ok());
  return *std::move(spool);
}

uint64_t requests(const std::vector<v1::UsageBatch>& batches) {
  uint64_t n = 0;
  for (const auto& b : batches) {
    for (const auto& c : b.cells()) n += c.requests();
  }
  return n;
}

size_t spool_files(const std::string& dir) {
  size_t n = 0;
  for (const auto& e : std::filesystem::directory_iterator(dir)) n += e.path().extension() == ".spool";
  return n;
}

}  // namespace

TEST_CASE("requests with the same key share a cell") {
  TempDir dir;
  Objects o;
  auto spool = open(dir.path());
  UsageMeter& meter = spool->meter(0);
  for (int i = 0; i < 10; ++i) meter.record(o.record(200));
  meter.record(o.record(204));
  meter.record(o.record(503));
  RequestRecord free = o.record();
  free.metered = false;
  meter.record(free);
  CHECK(spool->sealed({}, 10).empty());
  meter.seal();
  auto batches = spool->sealed({}, 10);
  REQUIRE(batches.size() == 1);
  CHECK(batches[0].sequence() == 1);
  REQUIRE(batches[0].cells_size() == 2);
  const v1::UsageCell& cell = batches[0].cells(0);
  CHECK(cell.subscription() == o.subscription.uid);
  CHECK(cell.app() == o.app.uid);
  CHECK(cell.plan() == o.plan.uid);
  CHECK(cell.api() == o.route.api->uid);
  CHECK(cell.route() == o.route.uid());
  CHECK(cell.status_class() == 2);
  CHECK(cell.hour() == 1'768'478'400 / 3600);
  CHECK(cell.requests() == 11);
  CHECK(cell.units() == 11);
  CHECK(cell.request_bytes() == 110);
  CHECK(cell.response_bytes() == 22'000);
  CHECK(meter.events() == 12);
}

TEST_CASE("an hour has cells of its own") {
  TempDir dir;
  Objects o;
  auto spool = open(dir.path());
  RequestRecord r = o.record();
  for (int64_t hour : {0, 1, 0}) {
    r.wall_ns = 1'768'478'400'000'000'000 + hour * 3600 * 1'000'000'000;
    spool->meter(0).record(r);
  }
  spool->meter(0).seal();
  CHECK(spool->sealed({}, 10)[0].cells_size() == 2);
}

TEST_CASE("batches stay until they are acknowledged, and are not given twice in a row") {
  TempDir dir;
  Objects o;
  auto spool = open(dir.path());
  for (int i = 0; i < 2; ++i) {
    spool->meter(0).record(o.record());
    spool->meter(0).seal();
  }
  spool->meter(0).seal();  // nothing in it: no batch
  auto batches = spool->sealed({}, 10);
  REQUIRE(batches.size() == 2);
  CHECK(batches[1].sequence() == 2);
  uint64_t boot = batches[0].boot();
  CHECK(spool->sealed({{boot, 1}}, 10).size() == 1);
  CHECK(spool->sealed({}, 1).size() == 1);
  CHECK(spool->unacknowledged_batches() == 2);
  spool->acknowledged(boot, 1);
  REQUIRE(spool->sealed({}, 10).size() == 1);
  CHECK(spool->sealed({}, 10)[0].sequence() == 2);
  spool->acknowledged(boot + 1, 9);  // somebody else's
  CHECK(spool->unacknowledged_cells() == 1);
  spool->acknowledged(boot, 2);
  CHECK(spool->unacknowledged_batches() == 0);
}

TEST_CASE("a table that is full is followed by the next") {
  TempDir dir;
  Objects o;
  auto spool = open(dir.path());
  uint64_t n = 0;
  for (uint64_t uid = 1; uid <= 10'000; ++uid) {
    SubscriptionRecord subscription;
    subscription.uid = uid;
    RequestRecord r = o.record();
    r.subscription = &subscription;
    spool->meter(0).record(r);
    ++n;
    if (uid % 1000 == 0) REQUIRE(spool->maintain().ok());
  }
  spool->meter(0).seal();
  auto batches = spool->sealed({}, 10);
  CHECK(batches.size() == 3);
  CHECK(requests(batches) == n);
  CHECK(spool->meter(0).lost() == 0);
  for (const auto& batch : batches) CHECK(batch.ByteSizeLong() < (1 << 20));
}

TEST_CASE("what finds no place is counted as lost, and room is made again") {
  TempDir dir;
  Objects o;
  auto spool = open(dir.path(), 1, 3 * UsageFile::kTableBytes);
  auto fill = [&](uint64_t from, uint64_t to) {
    for (uint64_t uid = from; uid <= to; ++uid) {
      SubscriptionRecord subscription;
      subscription.uid = uid;
      RequestRecord r = o.record();
      r.subscription = &subscription;
      spool->meter(0).record(r);
      if (uid % 1000 == 0) (void)spool->maintain();
    }
  };
  fill(1, 3 * 4096);
  CHECK(spool->meter(0).lost() == 0);
  fill(3 * 4096 + 1, 3 * 4096 + 7);
  CHECK(spool->meter(0).lost() == 7);
  CHECK(spool->maintain().code() == absl::StatusCode::kResourceExhausted);
  spool->acknowledged(spool->sealed({}, 1)[0].boot(), 1);
  fill(50'000, 50'010);
  CHECK(spool->meter(0).lost() == 7);
}

TEST_CASE("places of acknowledged batches are used again, and disk is given back") {
  TempDir dir;
  Objects o;
  auto spool = open(dir.path());
  for (int round = 0; round < 300; ++round) {  // more rounds than the file has tables
    spool->meter(0).record(o.record());
    spool->meter(0).seal();
    auto batches = spool->sealed({}, 10);
    REQUIRE(batches.size() == 1);
    REQUIRE(batches[0].sequence() == static_cast<uint64_t>(round) + 1);
    spool->acknowledged(batches[0].boot(), batches[0].sequence());
    REQUIRE(spool->maintain().ok());
  }
  for (int i = 0; i < 1000; ++i) {  // an outage: cells add up instead of taking place
    spool->meter(0).record(o.record());
    CHECK(spool->meter(0).seal() == (i < static_cast<int>(UsageMeter::kSealedAhead)));
    REQUIRE(spool->maintain().ok());
  }
  CHECK(spool->meter(0).lost() == 0);
  CHECK(spool->unacknowledged_batches() == UsageMeter::kSealedAhead);
  uint64_t boot = spool->sealed({}, 1)[0].boot();
  spool->acknowledged(boot, 1000);
  for (const auto& e : std::filesystem::directory_iterator(dir.path())) {
    struct stat info {};
    REQUIRE(::stat(e.path().c_str(), &info) == 0);
    CHECK(static_cast<size_t>(info.st_blocks) * 512 < 14 * UsageFile::kTableBytes);
  }
}

TEST_CASE("what a killed process had counted is sent by the next one, under its own number") {
  TempDir dir;
  Objects o;
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    auto spool = UsageSpool::open({.dir = dir.path(), .workers = 2});
    if (!spool.ok()) ::_exit(1);
    (*spool)->meter(0).record(o.record(200));
    (*spool)->meter(0).seal();
    for (int i = 0; i < 1000; ++i) (*spool)->meter(0).record(o.record(200 + i % 300));
    for (int i = 0; i < 500; ++i) (*spool)->meter(1).record(o.record(404));
    char byte = 1;
    if (::write(ready[1], &byte, 1) != 1) ::_exit(1);
    ::pause();
    ::_exit(0);
  }
  char byte = 0;
  REQUIRE(::read(ready[0], &byte, 1) == 1);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);

  uint64_t old_boot = 0;
  {
    auto spool = open(dir.path(), 2);
    auto batches = spool->sealed({}, 10);
    REQUIRE(batches.size() == 3);
    CHECK(requests(batches) == 1501);
    old_boot = batches[0].boot();
    CHECK(spool_files(dir.path()) == 4);
    spool->meter(0).record(o.record());
    spool->meter(0).seal();
    bool other = false;
    for (const auto& b : spool->sealed({}, 10)) other = other || (b.boot() != batches[0].boot() && b.boot() != batches[2].boot());
    CHECK(other);
  }
  {
    // Neither is acknowledged: both are still there, unchanged, after one more start.
    auto spool = open(dir.path());
    auto batches = spool->sealed({}, 10);
    CHECK(requests(batches) == 1502);
    for (const auto& b : batches) spool->acknowledged(b.boot(), b.sequence());
    CHECK(spool->unacknowledged_batches() == 0);
    CHECK(spool_files(dir.path()) == 1);
    (void)old_boot;
  }
  CHECK(spool_files(dir.path()) == 0);  // nothing was left in the last one
}

TEST_CASE("a file of a process that was killed in the middle of an addition counts what was complete") {
  TempDir dir;
  Objects o;
  std::string path;
  {
    auto spool = open(dir.path());
    spool->meter(0).record(o.record());
    for (const auto& e : std::filesystem::directory_iterator(dir.path())) path = e.path();
  }
  // As if the next cell's key had been half written: `cells` was not raised.
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(UsageFile::kHeaderBytes + offsetof(UsageTable, slots) + sizeof(UsageSlot));
    uint64_t half[2] = {77, 88};
    file.write(reinterpret_cast<char*>(half), sizeof half);
  }
  auto spool = open(dir.path());
  auto batches = spool->sealed({}, 10);
  REQUIRE(batches.size() == 1);
  CHECK(batches[0].cells_size() == 1);
}

TEST_CASE("a damaged file is set aside and named") {
  TempDir dir;
  std::string path = dir.path() + "/usage-0000000000000001.spool";
  SECTION("something else") { std::ofstream(path) << std::string(10'000, 'x'); }
  SECTION("cut short") {
    Objects o;
    {
      auto spool = open(dir.path());
      spool->meter(0).record(o.record());
      for (const auto& e : std::filesystem::directory_iterator(dir.path())) path = e.path();
    }
    std::filesystem::resize_file(path, 5000);
  }
  auto spool = open(dir.path());
  REQUIRE(spool->problems().size() == 1);
  CHECK(spool->problems()[0].find(path) != std::string::npos);
  CHECK(std::filesystem::exists(path + ".damaged"));
  CHECK(spool->sealed({}, 10).empty());
}

TEST_CASE("a file that had not been begun is of no interest") {
  TempDir dir;
  std::string path = dir.path() + "/usage-0000000000000001.spool";
  std::ofstream(path) << std::string(static_cast<size_t>(GENERATE(0, 4096)), '\0');
  auto spool = open(dir.path());
  CHECK(spool->problems().empty());
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("two processes cannot share a state directory") {
  TempDir dir;
  auto first = open(dir.path());
  auto second = UsageSpool::open({.dir = dir.path()});
  REQUIRE_FALSE(second.ok());
  CHECK(second.status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK(message_of(second.status()).find("state directory of its own") != std::string::npos);
}

TEST_CASE("a process that takes over leaves the files of the one that drains, and has what it left when it ended") {
  TempDir dir;
  Objects o;
  auto first = open(dir.path());
  for (int i = 0; i < 5; ++i) first->meter(0).record(o.record(200));
  auto second = UsageSpool::open({.dir = dir.path(), .beside_another = true});
  REQUIRE(second.ok());
  (*second)->meter(0).record(o.record(200));
  (*second)->meter(0).seal();
  first->meter(0).record(o.record(200));
  REQUIRE((*second)->maintain().ok());
  CHECK(requests((*second)->sealed({}, 10)) == 1);
  SECTION("undelivered") {
    first.reset();
    REQUIRE((*second)->maintain().ok());
    CHECK(requests((*second)->sealed({}, 10)) == 7);
  }
  SECTION("delivered") {
    first->meter(0).seal();
    auto batches = first->sealed({}, 10);
    REQUIRE(batches.size() == 1);
    first->acknowledged(batches[0].boot(), batches[0].sequence());
    first.reset();
    REQUIRE((*second)->maintain().ok());
    CHECK(requests((*second)->sealed({}, 10)) == 1);
    CHECK(spool_files(dir.path()) == 1);
  }
  CHECK((*second)->problems().empty());
}
