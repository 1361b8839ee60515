#include "common/config/writer.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/config/kinds.h"
#include "common/config/schema.h"
#include "common/base/units.h"
#include "common/config/yaml_text.h"

namespace gw {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using nlohmann::ordered_json;

ordered_json write_message(const Message& message);

ordered_json write_number(const FieldSchema& field, int64_t value) {
  if (field.rule->unit() == v1::UNIT_UNSPECIFIED) return value;
  std::string text = number_in_unit(field, value);
  bool has_unit = text.back() < '0' || text.back() > '9';
  return has_unit ? ordered_json(text) : ordered_json(value);
}

// Element `i` of a list, or the field itself when i < 0.
ordered_json write_value(const FieldSchema& field, const Message& message, int i) {
  const Reflection* r = message.GetReflection();
  const FieldDescriptor* f = field.field;
  switch (f->cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return write_message(i < 0 ? r->GetMessage(message, f)
                                 : r->GetRepeatedMessage(message, f, i));
    case FieldDescriptor::CPPTYPE_STRING:
      return i < 0 ? r->GetString(message, f) : r->GetRepeatedString(message, f, i);
    case FieldDescriptor::CPPTYPE_BOOL:
      return i < 0 ? r->GetBool(message, f) : r->GetRepeatedBool(message, f, i);
    case FieldDescriptor::CPPTYPE_INT32:
      return write_number(field,
                          i < 0 ? r->GetInt32(message, f) : r->GetRepeatedInt32(message, f, i));
    case FieldDescriptor::CPPTYPE_INT64:
      return write_number(field,
                          i < 0 ? r->GetInt64(message, f) : r->GetRepeatedInt64(message, f, i));
    case FieldDescriptor::CPPTYPE_ENUM: {
      int number = i < 0 ? r->GetEnumValue(message, f) : r->GetRepeatedEnumValue(message, f, i);
      const auto* value = f->enum_type()->FindValueByNumber(number);
      return value ? ordered_json(enum_word(*value)) : ordered_json(number);
    }
    default:
      return nullptr;  // no such field in a resource
  }
}

ordered_json write_as_map(const FieldSchema& field, const Message& message) {
  const MessageSchema& schema = schema_of(field.field->message_type());
  ordered_json out = ordered_json::object();
  for (int i = 0; i < message.GetReflection()->FieldSize(message, field.field); ++i) {
    const Message& entry = message.GetReflection()->GetRepeatedMessage(message, field.field, i);
    std::string key = entry.GetReflection()->GetString(entry, schema.fields[0].field);
    if (schema.fields.size() == 2) {
      out[key] = write_value(schema.fields[1], entry, -1);
    } else {
      out[key] = write_message(entry);
      out[key].erase(schema.fields[0].name);
    }
  }
  return out;
}

ordered_json write_field(const FieldSchema& field, const Message& message) {
  if (field.rule->as_map()) return write_as_map(field, message);
  if (!field.repeated()) return write_value(field, message, -1);
  ordered_json out = ordered_json::array();
  for (int i = 0; i < message.GetReflection()->FieldSize(message, field.field); ++i) {
    out.push_back(write_value(field, message, i));
  }
  return out;
}

// A required number stands there even when it is 0.
bool is_written(const FieldSchema& field, const Message& message) {
  if (field.rule->sensitive()) return false;
  if (is_set(message, field.field)) return true;
  auto type = field.field->cpp_type();
  return field.rule->required() && !field.repeated() &&
         (type == FieldDescriptor::CPPTYPE_INT32 || type == FieldDescriptor::CPPTYPE_INT64 ||
          type == FieldDescriptor::CPPTYPE_BOOL);
}

ordered_json write_typed(const MessageSchema& schema, const Message& message,
                         const FieldDescriptor*& variant) {
  const Message& holder = message.GetReflection()->GetMessage(message, schema.typed_field->field);
  variant = holder.GetReflection()->GetOneofFieldDescriptor(holder, schema.typed_oneof);
  return variant ? write_message(holder.GetReflection()->GetMessage(holder, variant))
                 : ordered_json::object();
}

ordered_json write_message(const Message& message) {
  const MessageSchema& schema = schema_of(message.GetDescriptor());
  if (schema.scalar_form && is_set(message, schema.scalar_form->field))
    return write_value(*schema.scalar_form, message, -1);
  ordered_json out = ordered_json::object();
  for (const FieldSchema& field : schema.fields) {
    if (&field == schema.typed_field) {
      const FieldDescriptor* variant = nullptr;
      ordered_json config = write_typed(schema, message, variant);
      if (variant) out[schema.typed_oneof->name()] = variant->json_name();
      if (variant) out[field.name] = std::move(config);
    } else if (is_written(field, message)) {
      out[field.name] = write_field(field, message);
    }
  }
  return out;
}

std::string hex(uint64_t value) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (int shift = 60; shift >= 0; shift -= 4) out += kDigits[(value >> shift) & 15];
  return out;
}

ordered_json write_status(const v1::Object& object, const WriteOptions& options) {
  ordered_json out = ordered_json::object();
  if (object.uid() != 0) out["uid"] = hex(object.uid());
  if (object.generation() != 0) out["generation"] = object.generation();
  if (!object.set().empty()) out["set"] = object.set();
  if (!options.conditions) return out;
  ordered_json list = ordered_json::array();
  for (const v1::Condition& condition : *options.conditions) {
    ordered_json one = {{"type", condition.type()}, {"status", condition.status()}};
    if (!condition.reason().empty()) one["reason"] = condition.reason();
    list.push_back(std::move(one));
  }
  out["conditions"] = std::move(list);
  return out;
}

// Sorts every mapping of the message by its keys.
void sort_mappings(Message& message) {
  const Reflection* r = message.GetReflection();
  const MessageSchema& schema = schema_of(message.GetDescriptor());
  for (const FieldSchema& field : schema.fields) {
    if (!field.is_message()) continue;
    if (!field.repeated()) {
      if (r->HasField(message, field.field))
        sort_mappings(*r->MutableMessage(&message, field.field));
      continue;
    }
    int size = r->FieldSize(message, field.field);
    for (int i = 0; i < size; ++i)
      sort_mappings(*r->MutableRepeatedMessage(&message, field.field, i));
    if (!field.rule->as_map()) continue;
    const FieldDescriptor* key = schema_of(field.field->message_type()).fields[0].field;
    auto key_of = [&](int i) {
      const Message& entry = r->GetRepeatedMessage(message, field.field, i);
      return entry.GetReflection()->GetString(entry, key);
    };
    for (int i = 1; i < size; ++i) {  // few, and mostly sorted
      for (int j = i; j > 0 && key_of(j) < key_of(j - 1); --j)
        r->SwapElements(&message, field.field, j, j - 1);
    }
  }
}

}  // namespace

ordered_json to_json(const v1::Object& object, const WriteOptions& options) {
  ordered_json out = ordered_json::object();
  out["apiVersion"] = "gw/v1";
  out["kind"] = std::string(kind_of(object));
  out["metadata"] = write_message(object.metadata());
  if (const Message* spec = spec_of(object)) out["spec"] = write_message(*spec);
  if (options.with_status) out["status"] = write_status(object, options);
  return out;
}

std::string to_yaml(const v1::Object& object, const WriteOptions& options) {
  return yaml_block(to_json(object, options));
}

std::string to_yaml(const std::vector<v1::Object>& objects, const WriteOptions& options) {
  std::string out;
  for (const v1::Object& object : objects) {
    if (!out.empty()) out += "---\n";
    out += to_yaml(object, options);
  }
  return out;
}

v1::Object canonical(const v1::Object& object) {
  v1::Object out = object;
  const auto* descriptor = v1::Object::descriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const FieldDescriptor* field = descriptor->field(i);
    if (field->options().GetExtension(v1::field).server_only())
      out.GetReflection()->ClearField(&out, field);
  }
  sort_mappings(out);
  return out;
}

bool same_meaning(const v1::Object& a, const v1::Object& b) {
  return canonical(a).SerializeAsString() == canonical(b).SerializeAsString();
}

}  // namespace gw
