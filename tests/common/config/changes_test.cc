#include "common/config/writer.h"
#include "tests/common/config/support.h"

namespace gw {
namespace {

std::string changes(const v1::Object& before, const v1::Object& after) {
  std::string out;
  for (const v1::FieldChange& c : field_changes(before, after))
    out += c.path() + ": " + c.before() + " -> " + c.after() + "\n";
  return out;
}

v1::Object plan(const std::string& spec) {
  return load_one(
      "apiVersion: gw/v1\nkind: Plan\nmetadata: {name: free, owner: platform}\nspec: {onFailure: "
      "closed, " +
      spec + "}\n");
}

TEST_CASE("a changed value is named by its path, as YAML writes it") {
  CHECK(changes(plan("quota: {requests: 10000, per: month}"),
                plan("quota: {requests: 5000, per: day}")) ==
        "spec.quota.requests: 10000 -> 5000\nspec.quota.per: month -> day\n");
  CHECK(changes(plan("rate: {requests: 1, per: 60s}"), plan("rate: {requests: 1, per: 90s}")) ==
        "spec.rate.per: 1m -> 90s\n");
  CHECK(changes(plan("title: a"), plan("title: \"1.0\"")) == "spec.title: a -> \"1.0\"\n");
}

TEST_CASE("what is there on one side only is shown against nothing") {
  CHECK(changes(plan("title: a"), plan("quota: {requests: 5, per: day}")) ==
        "spec.title: a -> \nspec.quota:  -> {requests: 5, per: day}\n");
}

TEST_CASE("lists of names change as a whole, lists of mappings by element") {
  CHECK(changes(plan("policies: [a, b]"), plan("policies: [a, c]")) ==
        "spec.policies: [a, b] -> [a, c]\n");
  auto upstream = [](const std::string& targets) {
    return load_one("apiVersion: gw/v1\nkind: Upstream\nmetadata: {name: u}\nspec: {targets: " +
                    targets + "}\n");
  };
  CHECK(changes(upstream("[{url: \"http://a:1\"}, {url: \"http://b:1\"}]"),
                upstream("[{url: \"http://a:1\", weight: 3}, {url: \"http://b:1\"}, {url: "
                         "\"http://c:1\"}]")) ==
        "spec.targets[0].weight:  -> 3\nspec.targets[2]:  -> {url: \"http://c:1\"}\n");
}

TEST_CASE("a new or removed object is listed by its fields") {
  v1::Object none;
  v1::Object some = plan("title: a, rate: {requests: 1, per: 1s}");
  CHECK(changes(none, some) ==
        "metadata.name:  -> free\nmetadata.owner:  -> platform\nspec.title:  -> a\nspec.rate:  -> "
        "{requests: 1, per: 1s}\nspec.onFailure:  -> closed\n");
  CHECK(changes(some, none) ==
        "metadata.name: free -> \nmetadata.owner: platform -> \nspec.title: a -> \nspec.rate: "
        "{requests: 1, per: 1s} -> \nspec.onFailure: closed -> \n");
}

TEST_CASE("what the server sets and the order of mappings mean no change") {
  v1::Object a =
      load_one("apiVersion: gw/v1\nkind: Team\nmetadata: {name: t, labels: {a: x, b: y}}\n");
  v1::Object b =
      load_one("apiVersion: gw/v1\nkind: Team\nmetadata: {name: t, labels: {b: y, a: x}}\n");
  b.set_uid(7);
  b.set_generation(3);
  b.set_set("repo");
  CHECK(changes(a, b).empty());
  CHECK(same_meaning(a, b));
  CHECK(canonical(b).uid() == 0);
  v1::Object c =
      load_one("apiVersion: gw/v1\nkind: Team\nmetadata: {name: t, labels: {b: y, a: z}}\n");
  CHECK_FALSE(same_meaning(a, c));
  CHECK(changes(a, c) == "metadata.labels.a: x -> z\n");
}

TEST_CASE("the order of a list means something") {
  CHECK_FALSE(same_meaning(plan("policies: [a, b]"), plan("policies: [b, a]")));
}

TEST_CASE("a policy that changes its type shows it") {
  auto policy = [](const std::string& spec) {
    return load_one("apiVersion: gw/v1\nkind: Policy\nmetadata: {name: p}\nspec: " + spec + "\n");
  };
  CHECK(changes(
            policy("{type: rateLimit, config: {by: address, requests: 1, per: 1s}}"),
            policy("{type: rateLimit, config: {by: {header: x-tenant}, requests: 1, per: 1s}}")) ==
        "spec.config.by: address -> {header: x-tenant}\n");
  CHECK(changes(policy("{type: ipList, config: {allow: [10.0.0.1]}}"),
                policy("{type: cors, config: {origins: [\"*\"]}}")) ==
        "spec.type: ipList -> cors\nspec.config.allow: [\"10.0.0.1\"] -> \nspec.config.origins:  "
        "-> [\"*\"]\n");
}

TEST_CASE("status is written when asked for, and ignored when read") {
  v1::Object object = plan("title: a");
  std::string plain = to_yaml(object);
  object.set_uid(0x1234);
  object.set_generation(5);
  object.set_set("repo");
  v1::ObjectView view;
  v1::Condition& condition = *view.add_conditions();
  condition.set_type("Active");
  condition.set_status("2/2");
  CHECK(to_yaml(object) == plain);
  WriteOptions options;
  options.with_status = true;
  options.conditions = &view.conditions();
  std::string text = to_yaml(object, options);
  CHECK(text == plain +
                    "status:\n  uid: \"0000000000001234\"\n  generation: 5\n  set: repo\n  "
                    "conditions:\n    - type: Active\n      status: 2/2\n");
  CHECK(to_yaml(load_one(text)) == plain);
}

}  // namespace
}  // namespace gw
