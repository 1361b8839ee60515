// How the messages of proto/gw/v1 are written in YAML: names, rules and words read from the
// descriptors once. Internal to common/config. Thread-safe.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <string>
#include <string_view>
#include <vector>

#include "gw/v1/options.pb.h"

namespace gw {

struct FieldSchema {
  const google::protobuf::FieldDescriptor* field = nullptr;
  std::string name;  // YAML key
  const v1::FieldRule* rule = nullptr;

  bool repeated() const { return field->is_repeated(); }
  bool is_message() const { return field->message_type() != nullptr; }
  // Most elements of a list, or most bytes of a text.
  uint32_t max_size() const;
};

// A number as a person writes it in the field's unit: `10s`, `32KiB`, `5%`.
std::string number_in_unit(const FieldSchema& field, int64_t value);

struct MessageSchema {
  const google::protobuf::Descriptor* descriptor = nullptr;
  const v1::MessageRule* rule = nullptr;
  // Without those that only the server sets; in the order of the .proto.
  std::vector<FieldSchema> fields;
  // Fills from a bare scalar (MessageRule.scalar_field), or null.
  const FieldSchema* scalar_form = nullptr;
  // MessageRule.typed_oneof: the field whose message holds the oneof, and that oneof; else null.
  const FieldSchema* typed_field = nullptr;
  const google::protobuf::OneofDescriptor* typed_oneof = nullptr;

  const FieldSchema* find(std::string_view name) const;
  // Keys that a mapping may have, in order.
  std::vector<std::string> keys() const;
};

// Of any message that is reachable from gw.v1.Object.
const MessageSchema& schema_of(const google::protobuf::Descriptor* descriptor);

// Value as it is written: IN_HEADER of enum In is `header`. Empty for the zero value.
std::string enum_word(const google::protobuf::EnumValueDescriptor& value);
const google::protobuf::EnumValueDescriptor* enum_value(
    const google::protobuf::EnumDescriptor& type, std::string_view word);
std::vector<std::string> enum_words(const google::protobuf::EnumDescriptor& type);

// Variants of a typed oneof by YAML name.
std::vector<std::string> variant_names(const google::protobuf::OneofDescriptor& oneof);
const google::protobuf::FieldDescriptor* find_variant(
    const google::protobuf::OneofDescriptor& oneof, std::string_view name);

// Whether a field says something: present, not empty, or not zero where presence is not kept.
bool is_set(const google::protobuf::Message& message,
            const google::protobuf::FieldDescriptor* field);

// "spec.match" and "path" make "spec.match.path"; a key that is not plain is written ["so"].
std::string child_path(std::string_view parent, std::string_view key);
std::string item_path(std::string_view parent, size_t index);

// `text` in quotes for an error message: shortened, control bytes escaped.
std::string in_quotes(std::string_view text);
// "a, b and c" with `last` before the last one.
std::string join_words(const std::vector<std::string>& words, std::string_view last);

}  // namespace gw
