#include "common/config/schema.h"

#include <functional>
#include <nlohmann/json.hpp>
#include <set>

#include "common/config/explain.h"
#include "common/config/future.h"
#include "common/config/kinds.h"
#include "tests/common/config/support.h"

namespace gw {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

// Every message that can be written.
void walk(const Descriptor* message, std::set<const Descriptor*>& seen) {
  if (!seen.insert(message).second) return;
  for (int i = 0; i < message->field_count(); ++i) {
    if (message->field(i)->message_type()) walk(message->field(i)->message_type(), seen);
  }
}

std::set<const Descriptor*> all_messages() {
  std::set<const Descriptor*> out;
  walk(v1::Object::descriptor(), out);
  return out;
}

TEST_CASE("every field has a type that can be written, and options that name what exists") {
  for (const Descriptor* message : all_messages()) {
    const MessageSchema& schema = schema_of(message);
    for (const FieldSchema& field : schema.fields) {
      INFO(field.field->full_name());
      auto type = field.field->cpp_type();
      bool number =
          type == FieldDescriptor::CPPTYPE_INT32 || type == FieldDescriptor::CPPTYPE_INT64;
      bool text = type == FieldDescriptor::CPPTYPE_STRING &&
                  field.field->type() != FieldDescriptor::TYPE_BYTES;
      CHECK((number || text || field.is_message() || type == FieldDescriptor::CPPTYPE_BOOL ||
             type == FieldDescriptor::CPPTYPE_ENUM));
      CHECK_FALSE(field.field->is_map());
      CHECK((!field.repeated() || text || field.is_message()));
      if (field.rule->unit() != v1::UNIT_UNSPECIFIED) CHECK(type == FieldDescriptor::CPPTYPE_INT64);
      if (field.rule->has_min() || field.rule->has_max()) CHECK(number);
      if (field.rule->format() != v1::FORMAT_UNSPECIFIED || !field.rule->ref().empty()) CHECK(text);
      if (!field.rule->ref().empty()) CHECK(find_kind(field.rule->ref()) == field.rule->ref());
      if (field.rule->as_map()) {
        REQUIRE((field.repeated() && field.is_message()));
        const auto& entry = schema_of(field.field->message_type());
        REQUIRE(entry.fields.size() >= 2);
        CHECK(entry.fields[0].field->cpp_type() == FieldDescriptor::CPPTYPE_STRING);
        CHECK_FALSE(entry.fields[1].is_message());
      }
      if (type == FieldDescriptor::CPPTYPE_ENUM) {
        for (const std::string& word : enum_words(*field.field->enum_type())) {
          CHECK(enum_value(*field.field->enum_type(), word) != nullptr);
          CHECK(word.find('_') == std::string::npos);
        }
      }
    }
    for (const auto* names : {&schema.rule->exactly_one(), &schema.rule->at_least_one()}) {
      for (const std::string& name : *names) {
        INFO(message->full_name() << " " << name);
        CHECK(schema.find(name) != nullptr);
      }
    }
    CHECK((schema.rule->scalar_field().empty() || schema.scalar_form));
    CHECK((schema.rule->typed_oneof().empty() || schema.typed_oneof));
    for (const v1::ForbiddenKey& key : schema.rule->forbidden())
      CHECK(schema.find(key.key()) == nullptr);
  }
}

TEST_CASE("no key or word reads as a boolean or nothing in YAML 1.1") {
  const std::set<std::string> words = {"y",   "n",    "yes",   "no",   "on",
                                       "off", "true", "false", "null", "~"};
  for (const Descriptor* message : all_messages()) {
    for (const FieldSchema& field : schema_of(message).fields) {
      INFO(field.field->full_name());
      CHECK(words.count(field.name) == 0);
      if (!field.field->enum_type()) continue;
      for (const std::string& word : enum_words(*field.field->enum_type()))
        CHECK(words.count(word) == 0);
    }
  }
}

TEST_CASE("a name that has entered the format is not still promised for later") {
  std::set<std::string> places = {"Object"};
  for (const Descriptor* message : all_messages()) {
    const MessageSchema& schema = schema_of(message);
    places.insert(message->name());
    for (const std::string& key : schema.keys()) {
      INFO(message->name() << "." << key);
      CHECK_FALSE(is_future(message->name(), key));
    }
    if (schema.typed_oneof) {
      for (const std::string& name : variant_names(*schema.typed_oneof))
        CHECK_FALSE(is_future(schema.typed_oneof->containing_type()->name(), name));
    }
    for (const FieldSchema& field : schema.fields) {
      if (!field.field->enum_type()) continue;
      places.insert(field.field->enum_type()->name());
      for (const std::string& word : enum_words(*field.field->enum_type()))
        CHECK_FALSE(is_future(field.field->enum_type()->name(), word));
    }
  }
  for (const std::string& kind : kinds()) CHECK_FALSE(is_future("Object", kind));
  for (const FutureName& future : future_names()) {
    INFO(future.where);
    CHECK(places.count(std::string(future.where)) == 1);
  }
}

TEST_CASE("paths and quotes") {
  CHECK(child_path("", "spec") == "spec");
  CHECK(child_path("spec", "basePath") == "spec.basePath");
  CHECK(child_path("metadata.labels", "a.b/c") == "metadata.labels[\"a.b/c\"]");
  CHECK(item_path("spec.targets", 3) == "spec.targets[3]");
  CHECK(in_quotes("a\"b\n") == "\"a\\\"b\\x0a\"");
  CHECK(in_quotes(std::string(79, 'x') + "üü") == "\"" + std::string(79, 'x') + "…\"");
}

TEST_CASE("the JSON Schema knows every kind, and all its references lead somewhere") {
  auto schema = nlohmann::json::parse(json_schema());
  CHECK(schema["$schema"] == "https://json-schema.org/draft/2020-12/schema");
  CHECK(schema["properties"]["kind"]["enum"].size() == kinds().size());
  CHECK(schema["allOf"].size() == kinds().size());
  size_t references = 0;
  std::function<void(const nlohmann::json&)> visit = [&](const nlohmann::json& value) {
    if (value.is_object() && value.contains("$ref")) {
      std::string target = value["$ref"];
      REQUIRE(target.rfind("#/$defs/", 0) == 0);
      INFO(target);
      CHECK(schema["$defs"].contains(target.substr(8)));
      ++references;
    }
    for (const auto& item : value) {
      if (item.is_structured()) visit(item);
    }
  };
  visit(schema);
  CHECK(references > 30);
  const auto& match = schema["$defs"]["Match"];
  CHECK(match["additionalProperties"] == false);
  CHECK(match["required"] == nlohmann::json({"path"}));
  CHECK(schema["$defs"]["PathMatch"]["oneOf"].size() == 5);
  CHECK(schema["$defs"]["Rate"]["properties"]["per"]["pattern"].is_string());
}

}  // namespace
}  // namespace gw
