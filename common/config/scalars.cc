#include "common/config/scalars.h"

#include <charconv>

#include "common/base/status.h"
#include "common/base/text.h"
#include "common/config/future.h"
#include "common/base/units.h"

namespace gw {
namespace {

using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using Fault = std::optional<ScalarFault>;

// "message; cure" of a Status.
ScalarFault from_status(std::string_view code, const std::string& text,
                        const absl::Status& status) {
  std::string message = message_of(status), cure;
  if (size_t at = message.find("; "); at != std::string::npos) {
    cure = message.substr(at + 2);
    message.resize(at);
  }
  return {std::string(code), in_quotes(text) + " " + message, cure};
}

bool is_plain_decimal(std::string_view text) {
  if (!text.empty() && text[0] == '-') text.remove_prefix(1);
  if (text.empty() || (text.size() > 1 && text[0] == '0')) return false;
  for (char c : text) {
    if (c < '0' || c > '9') return false;
  }
  return true;
}

template <class T>
Fault parse_number(const YamlNode& node, T& out) {
  if (!node.plain && is_plain_decimal(node.text)) {
    return ScalarFault{"GW1103", "is a number in quotes, which is text",
                       "write " + node.text + " without quotes"};
  }
  std::string_view text = node.text;
  if (!is_plain_decimal(text)) {
    return ScalarFault{
        "GW1103", in_quotes(text) + " is not a whole number",
        "write decimal digits: no fraction, no sign but -, no 0x, no _, no leading zero"};
  }
  auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (failure != std::errc() || end != text.data() + text.size()) {
    return ScalarFault{"GW1102", in_quotes(text) + " is out of range", ""};
  }
  return std::nullopt;
}

Fault parse_number_with_unit(const FieldSchema& field, const YamlNode& node, int64_t& out) {
  v1::Unit unit = field.rule->unit();
  absl::StatusOr<int64_t> value = unit == v1::MILLISECONDS ? parse_duration_ms(node.text)
                                  : unit == v1::BYTES      ? parse_bytes(node.text)
                                                           : parse_percent(node.text);
  const char* code = unit == v1::MILLISECONDS ? "GW1104" : unit == v1::BYTES ? "GW1105" : "GW1117";
  if (!value.ok()) return from_status(code, node.text, value.status());
  out = *value;
  return std::nullopt;
}

Fault parse_bool(const YamlNode& node, bool& out) {
  const std::string& text = node.text;
  if (node.plain && (text == "true" || text == "false")) {
    out = text == "true";
    return std::nullopt;
  }
  if (!node.plain && (text == "true" || text == "false")) {
    return ScalarFault{"GW1106", "is text in quotes", "write " + text + " without quotes"};
  }
  std::string lower = ascii_lower(text);
  if (lower == "yes" || lower == "on" || lower == "y" || lower == "true" || lower == "1") {
    return ScalarFault{"GW1106", in_quotes(text) + " is neither true nor false", "write true"};
  }
  if (lower == "no" || lower == "off" || lower == "n" || lower == "false" || lower == "0") {
    return ScalarFault{"GW1106", in_quotes(text) + " is neither true nor false", "write false"};
  }
  return ScalarFault{"GW1106", in_quotes(text) + " is neither true nor false",
                     "write true or false"};
}

Fault parse_enum(const FieldSchema& field, const YamlNode& node, const EnumValueDescriptor*& out) {
  const auto& type = *field.field->enum_type();
  out = enum_value(type, node.text);
  if (out) return std::nullopt;
  if (is_future(type.name(), node.text)) {
    return ScalarFault{"GW1010", in_quotes(node.text) + " is not supported by this version", ""};
  }
  std::vector<std::string> words = enum_words(type);
  std::string meant = did_you_mean(node.text, words);
  std::string cure =
      meant.empty() ? "write " + join_words(words, "or") : "did you mean " + in_quotes(meant) + "?";
  return ScalarFault{"GW1107",
                     in_quotes(node.text) + " is not one of the words that can stand here", cure};
}

// Reflection's Set and Add of one type.
template <class T>
void store(Message& out, const FieldDescriptor* field, T value,
           void (google::protobuf::Reflection::*set)(Message*, const FieldDescriptor*, T) const,
           void (google::protobuf::Reflection::*add)(Message*, const FieldDescriptor*, T) const) {
  (out.GetReflection()->*(field->is_repeated() ? add : set))(&out, field, std::move(value));
}

template <class T, class Set, class Add>
Fault store_number(const FieldSchema& field, const YamlNode& node, Message& out, Set set, Add add) {
  T value{};
  if (Fault fault = parse_number(node, value)) return fault;
  store<T>(out, field.field, value, set, add);
  return std::nullopt;
}

}  // namespace

Fault set_scalar(const FieldSchema& field, const YamlNode& node, Message& out) {
  using google::protobuf::Reflection;
  const FieldDescriptor* f = field.field;
  if (field.rule->unit() != v1::UNIT_UNSPECIFIED) {
    int64_t value = 0;
    if (Fault fault = parse_number_with_unit(field, node, value)) return fault;
    store<int64_t>(out, f, value, &Reflection::SetInt64, &Reflection::AddInt64);
    return std::nullopt;
  }
  switch (f->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      store<std::string>(out, f, node.text, &Reflection::SetString, &Reflection::AddString);
      return std::nullopt;
    case FieldDescriptor::CPPTYPE_INT32:
      return store_number<int32_t>(field, node, out, &Reflection::SetInt32, &Reflection::AddInt32);
    case FieldDescriptor::CPPTYPE_INT64:
      return store_number<int64_t>(field, node, out, &Reflection::SetInt64, &Reflection::AddInt64);
    case FieldDescriptor::CPPTYPE_BOOL: {
      bool value = false;
      if (Fault fault = parse_bool(node, value)) return fault;
      store<bool>(out, f, value, &Reflection::SetBool, &Reflection::AddBool);
      return std::nullopt;
    }
    case FieldDescriptor::CPPTYPE_ENUM: {
      const EnumValueDescriptor* value = nullptr;
      if (Fault fault = parse_enum(field, node, value)) return fault;
      store<const EnumValueDescriptor*>(out, f, value, &Reflection::SetEnum, &Reflection::AddEnum);
      return std::nullopt;
    }
    default:
      return ScalarFault{"GW1011", "has a type that cannot be written",
                         ""};  // a test walks all fields
  }
}

std::string scalar_type_name(const FieldSchema& field) {
  if (field.rule->unit() == v1::MILLISECONDS) return "a duration (10s)";
  if (field.rule->unit() == v1::BYTES) return "a size (32KiB)";
  if (field.rule->unit() == v1::PERCENT) return "a share (5%)";
  switch (field.field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return "true or false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return "a word (" + join_words(enum_words(*field.field->enum_type()), "or") + ")";
    case FieldDescriptor::CPPTYPE_STRING:
      return "text";
    default:
      return "a whole number";
  }
}

}  // namespace gw
