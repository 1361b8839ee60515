#include <nlohmann/json.hpp>

#include "common/config/docs.h"
#include "common/config/explain.h"
#include "common/config/kinds.h"
#include "common/base/units.h"

namespace gw {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using nlohmann::ordered_json;

constexpr char kDuration[] = "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$";
constexpr char kSize[] = "^[0-9]+(KiB|MiB|GiB|TiB)?$";
constexpr char kPercent[] = "^[0-9]+(\\.[0-9]{1,4})?%$";
constexpr char kName[] = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$";

void describe(ordered_json& out, const std::string& comment) {
  if (!comment.empty()) out["description"] = comment;
}

ordered_json reference(const Descriptor* message) {
  return {{"$ref", "#/$defs/" + message->name()}};
}

ordered_json text_schema(const FieldSchema& field) {
  const v1::FieldRule& rule = *field.rule;
  ordered_json out = {{"type", "string"}};
  if (rule.required()) out["minLength"] = 1;
  if (rule.format() == v1::NAME) out["pattern"] = kName;
  if (!rule.ref().empty()) {
    out["pattern"] =
        rule.ref() == "Team" ? "^[a-z0-9-]{1,63}$" : "^([a-z0-9-]{1,63}/)?[a-z0-9-]{1,63}$";
  } else if (!field.repeated()) {
    out["maxLength"] = field.max_size();
  }
  return out;
}

ordered_json number_schema(const FieldSchema& field) {
  const v1::FieldRule& rule = *field.rule;
  if (rule.unit() == v1::MILLISECONDS)
    return {{"type", "string"}, {"pattern", kDuration}, {"minLength", 2}};
  if (rule.unit() == v1::PERCENT) return {{"type", "string"}, {"pattern", kPercent}};
  ordered_json out = {{"type", "integer"}};
  if (rule.has_min()) out["minimum"] = rule.min();
  if (rule.has_max()) out["maximum"] = rule.max();
  if (rule.unit() != v1::BYTES) return out;
  return {{"oneOf", {out, {{"type", "string"}, {"pattern", kSize}}}}};
}

ordered_json scalar_schema(const FieldSchema& field) {
  switch (field.field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return text_schema(field);
    case FieldDescriptor::CPPTYPE_BOOL:
      return {{"type", "boolean"}};
    case FieldDescriptor::CPPTYPE_ENUM:
      return {{"enum", enum_words(*field.field->enum_type())}};
    default:
      return number_schema(field);
  }
}

ordered_json message_schema(const MessageSchema& schema, const FieldSchema* without);

ordered_json as_map_schema(const FieldSchema& field) {
  const MessageSchema& entry = schema_of(field.field->message_type());
  ordered_json value = scalar_schema(entry.fields[1]);
  if (entry.fields.size() > 2)
    value = {{"oneOf", {value, message_schema(entry, &entry.fields[0])}}};
  return {{"type", "object"}, {"maxProperties", field.max_size()}, {"additionalProperties", value}};
}

ordered_json field_schema(const FieldSchema& field) {
  ordered_json out;
  if (field.rule->as_map()) {
    out = as_map_schema(field);
  } else {
    out = field.is_message() ? reference(field.field->message_type()) : scalar_schema(field);
    if (field.repeated()) {
      out = {{"type", "array"}, {"items", std::move(out)}, {"maxItems", field.max_size()}};
      if (field.rule->required()) out["minItems"] = 1;
    }
  }
  describe(out, comment_of(field));
  if (!field.rule->default_text().empty()) out["x-default"] = field.rule->default_text();
  return out;
}

// `type` and `config` that fit each other.
void add_typed(const MessageSchema& schema, ordered_json& out) {
  const std::string& type = schema.typed_oneof->name();
  out["properties"][type] = {{"enum", variant_names(*schema.typed_oneof)}};
  out["properties"][schema.typed_field->name] = {{"type", "object"}};
  out["required"].push_back(type);
  ordered_json cases = ordered_json::array();
  for (int i = 0; i < schema.typed_oneof->field_count(); ++i) {
    const FieldDescriptor* variant = schema.typed_oneof->field(i);
    ordered_json when = {{"properties", {{type, {{"const", variant->json_name()}}}}},
                         {"required", {type}}};
    ordered_json then = {
        {"properties", {{schema.typed_field->name, reference(variant->message_type())}}}};
    cases.push_back({{"if", std::move(when)}, {"then", std::move(then)}});
  }
  out["allOf"] = std::move(cases);
}

void add_exclusive(const MessageSchema& schema, ordered_json& out) {
  bool one = schema.rule->exactly_one_size() > 0;
  ordered_json choices = ordered_json::array();
  for (const std::string& name : one ? schema.rule->exactly_one() : schema.rule->at_least_one()) {
    if (schema.find(name) != schema.scalar_form) choices.push_back({{"required", {name}}});
  }
  if (!choices.empty()) out[one ? "oneOf" : "anyOf"] = std::move(choices);
}

ordered_json message_schema(const MessageSchema& schema, const FieldSchema* without) {
  ordered_json out = {{"type", "object"}};
  out["properties"] = ordered_json::object();
  out["required"] = ordered_json::array();
  for (const FieldSchema& field : schema.fields) {
    if (&field == without || &field == schema.scalar_form) continue;
    if (field.rule->required()) out["required"].push_back(field.name);
    if (&field != schema.typed_field) out["properties"][field.name] = field_schema(field);
  }
  if (schema.typed_oneof) add_typed(schema, out);
  add_exclusive(schema, out);
  if (out["required"].empty()) out.erase("required");
  out["additionalProperties"] = false;
  if (!schema.scalar_form) return out;
  return {{"oneOf", {scalar_schema(*schema.scalar_form), std::move(out)}}};
}

void add_definitions(const Descriptor* message, ordered_json& definitions) {
  if (definitions.contains(message->name())) return;
  const MessageSchema& schema = schema_of(message);
  definitions[message->name()] = nullptr;  // keeps its place; no message holds itself
  ordered_json out = message_schema(schema, nullptr);
  describe(out, comment_of(message->full_name()));
  definitions[message->name()] = std::move(out);
  for (const FieldSchema& field : schema.fields) {
    if (!field.is_message() || field.rule->as_map()) continue;
    if (&field != schema.typed_field) {
      add_definitions(field.field->message_type(), definitions);
      continue;
    }
    for (int i = 0; i < schema.typed_oneof->field_count(); ++i) {
      add_definitions(schema.typed_oneof->field(i)->message_type(), definitions);
    }
  }
}

}  // namespace

std::string json_schema() {
  ordered_json out = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                      {"title", "Northgate configuration, gw/v1"},
                      {"type", "object"},
                      {"required", {"apiVersion", "kind", "metadata"}}};
  ordered_json cases = ordered_json::array(), definitions = ordered_json::object();
  add_definitions(v1::Metadata::descriptor(), definitions);
  for (const std::string& kind : kinds()) {
    v1::Object object;
    set_kind(object, kind);
    const Descriptor* spec = spec_of(object)->GetDescriptor();
    add_definitions(spec, definitions);
    ordered_json when = {{"properties", {{"kind", {{"const", kind}}}}}};
    cases.push_back(
        {{"if", std::move(when)}, {"then", {{"properties", {{"spec", reference(spec)}}}}}});
  }
  out["properties"] = {{"apiVersion", {{"const", "gw/v1"}}},
                       {"kind", {{"enum", kinds()}}},
                       {"metadata", reference(v1::Metadata::descriptor())},
                       {"spec", {{"type", "object"}}},
                       {"status", {{"description", "Written by the server and ignored."}}}};
  out["additionalProperties"] = false;
  out["allOf"] = std::move(cases);
  out["$defs"] = std::move(definitions);
  return out.dump(2) + "\n";
}

}  // namespace gw
