#include "common/config/schema.h"

#include "common/config/future.h"

#include <algorithm>
#include <unordered_map>

#include "common/base/units.h"
#include "gw/v1/resources.pb.h"

namespace gw {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::OneofDescriptor;
using google::protobuf::Reflection;

constexpr uint32_t kDefaultListSize = 1'000;
constexpr uint32_t kDefaultTextSize = 4'096;

using SchemaMap = std::unordered_map<const Descriptor*, MessageSchema>;

MessageSchema make_schema(const Descriptor* descriptor) {
  MessageSchema out;
  out.descriptor = descriptor;
  out.rule = &descriptor->options().GetExtension(v1::message);
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const FieldDescriptor* field = descriptor->field(i);
    const v1::FieldRule& rule = field->options().GetExtension(v1::field);
    if (!rule.server_only() && !is_future(descriptor->name(), field->json_name())) out.fields.push_back({field, field->json_name(), &rule});
  }
  return out;
}

// After the vector of fields does not move any more.
void link_forms(MessageSchema& schema) {
  if (!schema.rule->scalar_field().empty())
    schema.scalar_form = schema.find(schema.rule->scalar_field());
  if (schema.rule->typed_oneof().empty()) return;
  for (const FieldSchema& field : schema.fields) {
    if (!field.is_message()) continue;
    if (auto* oneof = field.field->message_type()->FindOneofByName(schema.rule->typed_oneof())) {
      schema.typed_field = &field;
      schema.typed_oneof = oneof;
    }
  }
}

void collect(const Descriptor* descriptor, SchemaMap& out) {
  auto [it, fresh] = out.try_emplace(descriptor);
  if (!fresh) return;
  it->second = make_schema(descriptor);
  for (int i = 0; i < descriptor->field_count(); ++i) {
    if (descriptor->field(i)->message_type()) collect(descriptor->field(i)->message_type(), out);
  }
}

SchemaMap make_all() {
  SchemaMap out;
  collect(v1::Object::descriptor(), out);
  for (auto& [descriptor, schema] : out) link_forms(schema);
  return out;
}

// NODE_STATE for NodeState.
std::string upper_snake(std::string_view camel) {
  std::string out;
  for (size_t i = 0; i < camel.size(); ++i) {
    char c = camel[i];
    if (c >= 'A' && c <= 'Z' && i > 0) out += '_';
    out += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return out;
}

}  // namespace

uint32_t FieldSchema::max_size() const {
  if (rule->max_size() != 0) return rule->max_size();
  return repeated() ? kDefaultListSize : kDefaultTextSize;
}

std::string number_in_unit(const FieldSchema& field, int64_t value) {
  switch (field.rule->unit()) {
    case v1::MILLISECONDS: return format_duration_ms(value);
    case v1::BYTES: return format_bytes(value);
    case v1::PERCENT: return format_percent(value);
    default: return std::to_string(value);
  }
}

const FieldSchema* MessageSchema::find(std::string_view name) const {
  for (const FieldSchema& field : fields) {
    if (field.name == name) return &field;
  }
  return nullptr;
}

std::vector<std::string> MessageSchema::keys() const {
  std::vector<std::string> out;
  if (typed_oneof) out.push_back(typed_oneof->name());
  for (const FieldSchema& field : fields) {
    if (&field != scalar_form) out.push_back(field.name);
  }
  return out;
}

const MessageSchema& schema_of(const Descriptor* descriptor) {
  static const SchemaMap all = make_all();
  return all.at(descriptor);
}

std::string enum_word(const EnumValueDescriptor& value) {
  if (value.number() == 0) return {};
  std::string_view name = value.name();
  std::string prefix = upper_snake(value.type()->name()) + "_";
  if (name.substr(0, prefix.size()) == prefix) name.remove_prefix(prefix.size());
  std::string out;
  bool upper = false;
  for (char c : name) {
    if (c == '_') {
      upper = true;
      continue;
    }
    out += c >= 'A' && c <= 'Z' && !upper ? static_cast<char>(c - 'A' + 'a') : c;
    upper = false;
  }
  return out;
}

const EnumValueDescriptor* enum_value(const EnumDescriptor& type, std::string_view word) {
  for (int i = 0; i < type.value_count(); ++i) {
    const EnumValueDescriptor* value = type.value(i);
    if (value->number() != 0 && enum_word(*value) == word) return value;
  }
  return nullptr;
}

std::vector<std::string> enum_words(const EnumDescriptor& type) {
  std::vector<std::string> out;
  for (int i = 0; i < type.value_count(); ++i) {
    if (type.value(i)->number() != 0) out.push_back(enum_word(*type.value(i)));
  }
  return out;
}

std::vector<std::string> variant_names(const OneofDescriptor& oneof) {
  std::vector<std::string> out;
  for (int i = 0; i < oneof.field_count(); ++i) out.push_back(oneof.field(i)->json_name());
  return out;
}

const FieldDescriptor* find_variant(const OneofDescriptor& oneof, std::string_view name) {
  for (int i = 0; i < oneof.field_count(); ++i) {
    if (oneof.field(i)->json_name() == name) return oneof.field(i);
  }
  return nullptr;
}

bool is_set(const Message& message, const FieldDescriptor* field) {
  const Reflection* reflection = message.GetReflection();
  if (field->is_repeated()) return reflection->FieldSize(message, field) > 0;
  return reflection->HasField(message, field);  // without presence: not the zero value
}

std::string child_path(std::string_view parent, std::string_view key) {
  bool plain = !key.empty();
  for (char c : key) {
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!letter && !(c >= '0' && c <= '9') && c != '-' && c != '_') plain = false;
  }
  std::string out(parent);
  if (!plain) return out.append("[").append(in_quotes(key)).append("]");
  if (!out.empty()) out += '.';
  return out.append(key);
}

std::string item_path(std::string_view parent, size_t index) {
  return std::string(parent).append("[").append(std::to_string(index)).append("]");
}

std::string in_quotes(std::string_view text) {
  static constexpr size_t kShown = 80;
  static constexpr char kHex[] = "0123456789abcdef";
  bool cut = text.size() > kShown;
  if (cut) {
    size_t end = kShown;
    while (end > 0 && (text[end] & 0xc0) == 0x80) --end;  // not within a character
    text = text.substr(0, end);
  }
  std::string out = "\"";
  for (char c : text) {
    unsigned char byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      out.append("\\x").append(1, kHex[byte >> 4]).append(1, kHex[byte & 15]);
    } else {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
  }
  return out.append(cut ? "…\"" : "\"");
}

std::string join_words(const std::vector<std::string>& words, std::string_view last) {
  std::string out;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i > 0) out += i + 1 == words.size() ? " " + std::string(last) + " " : ", ";
    out += words[i];
  }
  return out;
}

}  // namespace gw
