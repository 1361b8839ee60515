#include "controlplane/snapshot/compiler.h"

#include <catch2/catch.hpp>
#include <map>
#include <vector>

#include "common/base/random.h"
#include "controlplane/snapshot/emit.h"
#include "controlplane/snapshot/references.h"
#include "dataplane/snapshot/snapshot_builder.h"
#include "tests/controlplane/snapshot/yaml_objects.h"

namespace gw {
namespace {

ObjectChange change(const v1::Object& object, uint64_t uid) {
  auto copy = std::make_shared<v1::Object>(object);
  copy->set_uid(uid);
  return {key_of(object), nullptr, copy};
}

struct World {
  Compiler compiler;
  uint64_t uid = 0;

  explicit World(const std::string& yaml) {
    std::vector<ObjectChange> changes;
    for (const v1::Object& object : objects_of_yaml(yaml)) changes.push_back(change(object, ++uid));
    Compilation done = compiler.apply(changes, CompileOptions());
    for (const Diagnostic& d : done.diagnostics.items()) INFO(to_text(d));
    REQUIRE(!done.diagnostics.has_errors());
    compiler.keep();
  }

  Compilation apply(const std::string& yaml) {
    std::vector<ObjectChange> changes;
    for (const v1::Object& object : objects_of_yaml("apiVersion: gw/v1\n" + yaml)) {
      const v1::Object* before = compiler.catalog().find(key_of(object));
      changes.push_back(change(object, before ? before->uid() : ++uid));
    }
    return compiler.apply(changes, CompileOptions());
  }

  Compilation erase(const ObjectKey& key) { return compiler.apply({{key, nullptr, nullptr}}, CompileOptions()); }
};

std::string base() { return text_of_file("tests/golden/controlplane/base.yaml"); }

Digest config_digest(const Compiler& compiler) { return digest_of(compiler.entries()); }

TEST_CASE("a change of one route compiles and sends one route") {
  World world(base());
  Compilation done = world.apply(
      "kind: Route\nmetadata: {name: goods, owner: shop}\n"
      "spec: {api: goods, match: {path: {prefix: /goods}}, priority: 3, to: {upstream: up}}");
  REQUIRE(!done.diagnostics.has_errors());
  CHECK(done.objects_compiled == 1);
  REQUIRE(done.config.upserts.size() == 1);
  CHECK(done.config.upserts[0]->object == "Route shop/goods");
  CHECK(done.config.removals.empty());
  CHECK(done.directory.empty());
}

TEST_CASE("a change that others do not see touches nothing else") {
  World world(base());
  Compilation done = world.apply(
      "kind: Policy\nmetadata: {name: security, owner: platform, shareWith: [all]}\n"
      "spec: {type: headers, config: {response: {remove: [server, via]}}}");
  REQUIRE(!done.diagnostics.has_errors());
  CHECK(done.objects_compiled == 1);
}

TEST_CASE("a change that others see is checked in all of them") {
  World world(base());
  // What was a headers policy now authenticates: the Gateway's list is wrong.
  Compilation done = world.apply(
      "kind: Policy\nmetadata: {name: security, owner: platform, shareWith: [all]}\n"
      "spec: {type: apiKey, config: {in: header, name: x}}");
  REQUIRE(done.diagnostics.has_errors());
  CHECK(to_text(done.diagnostics.items()[0]).find("Gateway platform/edge: spec.policies[1]") != std::string::npos);
}

TEST_CASE("what is still used cannot be deleted") {
  World world(base());
  Digest before = config_digest(world.compiler);
  Compilation done = world.erase({v1::Object::kUpstream, "shop", "up"});
  REQUIRE(done.diagnostics.errors() == 1);
  CHECK(to_text(done.diagnostics.items()[0]) ==
        "error GW1201: Route shop/goods: spec.to.upstream: Upstream up would be gone, and is still used here; "
        "change or delete Route shop/goods in the same apply");
  CHECK(config_digest(world.compiler) == before);
  CHECK(world.compiler.catalog().find({v1::Object::kUpstream, "shop", "up"}) != nullptr);
}

TEST_CASE("a rolled back change leaves objects, entries and indexes as they were") {
  World world(base());
  Digest before = config_digest(world.compiler);
  Compilation done = world.apply(
      "kind: Api\nmetadata: {name: goods, owner: shop, shareWith: [platform]}\n"
      "spec: {title: Goods, version: \"2\", hosts: [other.example.com], basePath: /, auth: [key]}");
  REQUIRE(!done.diagnostics.has_errors());
  CHECK(config_digest(world.compiler) != before);
  world.compiler.rollback();
  CHECK(config_digest(world.compiler) == before);
  // The claim stands again.
  done = world.apply(
      "kind: Api\nmetadata: {name: rival, owner: web}\n"
      "spec: {title: R, version: \"1\", hosts: [api.example.com], basePath: /goods, auth: [key]}");
  CHECK(done.diagnostics.has_errors());
}

TEST_CASE("a grant that others stand on cannot be taken back") {
  World world(base());
  Compilation done = world.apply(
      "kind: Api\nmetadata: {name: badges, owner: web}\n"
      "spec: {title: B, version: \"1\", hosts: [api.example.com], basePath: /goods/badges, auth: [key]}");
  REQUIRE(!done.diagnostics.has_errors());
  world.compiler.keep();
  done = world.apply(
      "kind: Api\nmetadata: {name: goods, owner: shop, shareWith: [platform]}\n"
      "spec: {title: Goods, version: \"1\", hosts: [api.example.com], basePath: /goods, auth: [key]}");
  REQUIRE(done.diagnostics.errors() == 1);
  CHECK(to_text(done.diagnostics.items()[0]).find("Api shop/goods: spec.basePath: it lies over Api web/badges") !=
        std::string::npos);
}

TEST_CASE("a bare name means the own team's object first, then the platform's shared one") {
  World world(base());
  const Catalog& now = world.compiler.catalog();
  const v1::Object* route = now.find({v1::Object::kRoute, "shop", "goods"});
  CHECK(now.referenced(*route, v1::Object::kPolicy, "key")->metadata().owner() == "platform");
  Compilation done =
      world.apply("kind: Policy\nmetadata: {name: key, owner: shop}\nspec: {type: apiKey, config: {in: header, name: y}}");
  REQUIRE(!done.diagnostics.has_errors());
  CHECK(now.referenced(*route, v1::Object::kPolicy, "key")->metadata().owner() == "shop");
  // The Api that said `key` is compiled anew, though nobody wrote it.
  bool api = false;
  for (const EntryPtr& entry : done.config.upserts) api = api || entry->object == "Api shop/goods";
  CHECK(api);
}

TEST_CASE("a new shared Gateway serves the Apis that name none") {
  World world(base());
  Compilation done = world.apply(
      "kind: Gateway\nmetadata: {name: second, owner: platform, shareWith: [shop]}\n"
      "spec: {nodes: {labels: {tier: inner}}, listeners: [{name: http, address: 127.0.0.1, port: 8080, protocol: http}]}");
  REQUIRE(!done.diagnostics.has_errors());
  uint64_t second = world.compiler.catalog().find({v1::Object::kGateway, "platform", "second"})->uid();
  size_t serving = 0;
  for (const EntryPtr& entry : done.config.upserts) {
    auto at = std::find(entry->references.begin(), entry->references.end(), EntryKey{v1::ENTRY_GATEWAY, second});
    serving += at != entry->references.end();
  }
  CHECK(serving == 2);
}

TEST_CASE("a product that gains an Api changes the Api's entry") {
  World world(base());
  Compilation done = world.apply("kind: Product\nmetadata: {name: all, owner: platform}\nspec: {apis: [shop/goods], plans: [gold, free]}");
  REQUIRE(!done.diagnostics.has_errors());
  CHECK(done.config.empty());
  world.compiler.rollback();
  done = world.erase({v1::Object::kSubscription, "platform", "acme"});
  REQUIRE(!done.diagnostics.has_errors());
  CHECK(done.directory.removals.size() == 1);
  world.compiler.keep();
  done = world.erase({v1::Object::kProduct, "platform", "all"});
  REQUIRE(!done.diagnostics.has_errors());
  REQUIRE(done.config.upserts.size() == 1);
  CHECK(done.config.upserts[0]->object == "Api shop/goods");
  v1::ApiEntry entry;
  REQUIRE(entry.ParseFromString(done.config.upserts[0]->bytes));
  CHECK(entry.products().empty());
}

TEST_CASE("a limit is said with its number") {
  World world("apiVersion: gw/v1\nkind: Team\nmetadata: {name: t}\nspec: {title: T}");
  std::vector<ObjectChange> changes;
  for (int i = 0; i < 201; ++i) {
    v1::Object gateway;
    gateway.mutable_metadata()->set_owner("t");
    gateway.mutable_metadata()->set_name("g" + std::to_string(i));
    v1::Listener& listener = *gateway.mutable_gateway()->add_listeners();
    listener.set_name("http");
    listener.set_address("127.0.0.1");
    changes.push_back(change(gateway, 1000 + static_cast<uint64_t>(i)));
  }
  Compilation done = world.compiler.apply(changes, CompileOptions());
  REQUIRE(done.diagnostics.errors() == 1);
  CHECK(to_text(done.diagnostics.items()[0]) ==
        "error GW1601: Gateway: 201 objects of this kind; at most 200 are possible; delete what is not used");
}

TEST_CASE("Apis that no Gateway serves together may claim the same host and path") {
  World world(base());
  auto gateway = [](const std::string& name, int port) {
    return "kind: Gateway\nmetadata: {name: " + name + ", owner: shop}\nspec: {nodes: {labels: {}}, listeners: [{name: http, address: 127.0.0.1, port: " +
           std::to_string(port) + ", protocol: http}]}\n";
  };
  auto api = [](const std::string& name, const std::string& gateways) {
    return "kind: Api\nmetadata: {name: " + name + ", owner: shop}\nspec: {title: T, version: \"1\", hosts: [\"*\"], basePath: /, auth: [anonymous], gateways: [" +
           gateways + "]}\n";
  };
  std::string both = gateway("one", 7001) + "---\napiVersion: gw/v1\n" + gateway("two", 7002) + "---\napiVersion: gw/v1\n" + api("first", "one");
  Compilation apart = world.apply(both + "---\napiVersion: gw/v1\n" + api("second", "two"));
  INFO((apart.diagnostics.empty() ? "" : to_text(apart.diagnostics.items()[0])));
  CHECK_FALSE(apart.diagnostics.has_errors());
  world.compiler.keep();
  Compilation together = world.apply(api("second", "two, one"));
  REQUIRE(together.diagnostics.has_errors());
  CHECK(together.diagnostics.items()[0].code() == "GW1301");
}

TEST_CASE("step by step and all at once give the same entries, and nodes load them") {
  std::vector<v1::Object> objects = objects_of_yaml(base());
  Compiled whole = compile(objects, CompileOptions());
  REQUIRE(!whole.diagnostics.has_errors());
  // Backwards through the file; what names something that is not there yet is refused whole and comes again later.
  Compiler steps;
  uint64_t uid = 0;
  std::map<const v1::Object*, uint64_t> uids;
  for (const v1::Object& object : objects) uids[&object] = ++uid;
  std::vector<const v1::Object*> waiting;
  for (const v1::Object& object : objects) waiting.insert(waiting.begin(), &object);
  while (!waiting.empty()) {
    size_t before = waiting.size();
    std::erase_if(waiting, [&](const v1::Object* object) {
      Compilation done = steps.apply({change(*object, uids[object])}, CompileOptions());
      if (done.diagnostics.has_errors()) return false;
      steps.keep();
      return true;
    });
    REQUIRE(waiting.size() < before);
  }
  EntryTable config;
  for (const auto& [key, entry] : steps.entries()) {
    if (stream_of(key.kind) == v1::STREAM_CONFIG) config.emplace(key, entry);
  }
  CHECK(digest_of(config) == digest_of(whole.config));
  SnapshotBuilder builder;
  auto built = builder.prepare(whole_offer(v1::STREAM_CONFIG, whole.config, 1));
  for (const Diagnostic& d : built.diagnostics.items()) INFO(to_text(d));
  CHECK(built.outcome == PrepareOutcome::kReady);
}

TEST_CASE("random changes keep what an incremental compiler knows equal to a fresh one") {
  std::vector<v1::Object> objects = objects_of_yaml(base());
  std::map<ObjectKey, ObjectPtr> kept;
  Compiler compiler;
  FastRandom random(7);
  uint64_t uid = 0;
  for (int round = 0; round < 400; ++round) {
    v1::Object object = objects[random.below(objects.size())];
    ObjectKey key = key_of(object);
    auto at = kept.find(key);
    ObjectChange step{key, nullptr, nullptr};
    if (at == kept.end() || random.below(3) > 0) {
      auto copy = std::make_shared<v1::Object>(object);
      copy->set_uid(at == kept.end() ? ++uid : at->second->uid());
      if (copy->has_route()) copy->mutable_route()->set_priority(static_cast<int>(random.below(50)));
      if (random.below(4) == 0) copy->mutable_metadata()->clear_share_with();
      step.after = copy;
    }
    Compilation done = compiler.apply({step}, CompileOptions());
    if (done.diagnostics.has_errors()) continue;
    if (random.below(5) == 0) {
      compiler.rollback();
      continue;
    }
    compiler.keep();
    if (step.after) {
      kept[key] = step.after;
    } else {
      kept.erase(key);
    }
  }
  CHECK(kept.size() > 5);
  Compiler fresh;
  std::vector<ObjectChange> all;
  for (const auto& [key, object] : kept) all.push_back({key, nullptr, object});
  Compilation done = fresh.apply(all, CompileOptions());
  for (const Diagnostic& d : done.diagnostics.items()) INFO(to_text(d));
  REQUIRE(!done.diagnostics.has_errors());
  CHECK(digest_of(fresh.entries()) == digest_of(compiler.entries()));
}

TEST_CASE("references are read from the schema, words beside them are not") {
  std::vector<v1::Object> objects = objects_of_yaml(
      "apiVersion: gw/v1\nkind: Route\nmetadata: {name: r, owner: t, shareWith: [all, web]}\n"
      "spec: {api: a, auth: [anonymous, key], match: {path: {exact: /}}, to: {split: [{upstream: x/y, weight: 1}]}}");
  std::string text;
  for (const Reference& r : references_of(objects.at(0))) {
    text += std::string(kind_name(r.kind)) + " " + r.text + " at " + r.path + "\n";
  }
  CHECK(text ==
        "Team web at metadata.shareWith[1]\nApi a at spec.api\nPolicy key at spec.auth[1]\n"
        "Upstream x/y at spec.to.split[0].upstream\n");
}

}  // namespace
}  // namespace gw
