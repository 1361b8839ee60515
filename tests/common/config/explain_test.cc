#include "common/config/explain.h"

#include <functional>

#include "common/base/status.h"
#include "common/config/docs.h"
#include "common/config/kinds.h"
#include "tests/common/config/support.h"

namespace gw {
namespace {

std::string text_of(const std::string& query) {
  auto text = explain(query);
  return text.ok() ? *text : "not found: " + message_of(text.status()) + "\n";
}

TEST_CASE("explain tells of kinds, fields, codes and reasons") {
  const std::pair<const char*, const char*> cases[] = {{"route", "Route"},
                                                       {"path", "Route.spec.match.path"},
                                                       {"per", "Plan.rate.per"},
                                                       {"policy-type", "Policy.type"},
                                                       {"rate-limit", "Policy.config.rateLimit"},
                                                       {"sticky", "Route.to.stickyBy"},
                                                       {"labels", "Gateway.metadata.labels"},
                                                       {"code", "gw1104"},
                                                       {"reason", "no-route"}};
  for (const auto& [file, query] : cases)
    check_golden(golden_folder() / "explain" / (std::string(file) + ".txt"), text_of(query));
}

TEST_CASE("explain finds a path however it is said") {
  std::string text = text_of("Route.spec.match.path");
  for (const char* query : {"Route.match.path", "route.match.path", "routes.spec.match.path"})
    CHECK(text_of(query) == text);
  CHECK(text_of("Upstream.targets[0].url") == text_of("Upstream.targets.url"));
  CHECK(text_of("Policy.cors.maxAge") == text_of("Policy.config.cors.maxAge"));
}

TEST_CASE("explain says what was meant perhaps") {
  CHECK(text_of("Rout") ==
        "not found: \"Rout\" is neither a kind nor a code nor a reason; did you mean \"Route\"?\n");
  CHECK(text_of("NO_ROUT").find("did you mean \"NO_ROUTE\"?") != std::string::npos);
  CHECK(text_of("GW9999").find("not found") == 0);
  CHECK(text_of("Route.mach") ==
        "not found: Route.spec has no field \"mach\"; did you mean \"match\"?\n");
  CHECK(text_of("Route.match.zzzzzz").find("fields are host, path, methods, headers and query") !=
        std::string::npos);
  CHECK(text_of("Policy.config.rateLimt").find("did you mean \"rateLimit\"?") != std::string::npos);
  CHECK(text_of("Route.api.x").find("Route.spec.api has no fields") != std::string::npos);
  CHECK(text_of("Route..x").find("not found") == 0);
  CHECK(text_of(std::string(100'000, '.')).find("not found") == 0);
}

TEST_CASE("the list of kinds has a sentence for each") {
  std::string text = text_of("");
  for (const std::string& kind : kinds()) {
    v1::Object object;
    set_kind(object, kind);
    INFO(kind);
    CHECK(text.find("\n  " + kind + " ") != std::string::npos);
    CHECK_FALSE(comment_of(spec_of(object)->GetDescriptor()->full_name()).empty());
  }
}

TEST_CASE("every format says what fits it") {
  for (int i = 1; i < v1::Format_ARRAYSIZE; ++i) {
    INFO(v1::Format_Name(static_cast<v1::Format>(i)));
    CHECK_FALSE(format_text(static_cast<v1::Format>(i)).empty());
  }
}

TEST_CASE("explain has an answer for every field of every kind") {
  size_t fields = 0;
  std::function<void(const MessageSchema&, const std::string&)> visit =
      [&](const MessageSchema& schema, const std::string& path) {
        for (const std::string& key : schema.keys()) {
          INFO(path << "." << key);
          CHECK(text_of(path + "." + key).rfind("not found", 0) == std::string::npos);
          ++fields;
          const FieldSchema* field = schema.find(key);
          if (field) CHECK_FALSE(comment_of(*field).empty());
          if (field && field->is_message() && field != schema.typed_field)
            visit(schema_of(field->field->message_type()), path + "." + key);
        }
        if (!schema.typed_oneof) return;
        for (const std::string& name : variant_names(*schema.typed_oneof)) {
          visit(schema_of(find_variant(*schema.typed_oneof, name)->message_type()),
                path + ".config." + name);
        }
      };
  for (const std::string& kind : kinds()) {
    v1::Object object;
    set_kind(object, kind);
    visit(schema_of(spec_of(object)->GetDescriptor()), kind + ".spec");
  }
  CHECK(fields > 100);
}

}  // namespace
}  // namespace gw
