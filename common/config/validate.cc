#include "common/config/validate.h"

#include <google/protobuf/unknown_field_set.h>

#include <unordered_set>

#include "common/config/formats.h"
#include "common/config/kinds.h"
#include "common/config/schema.h"

namespace gw {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

int64_t number_of(const Message& message, const FieldDescriptor* field) {
  const Reflection* reflection = message.GetReflection();
  return field->cpp_type() == FieldDescriptor::CPPTYPE_INT32 ? reflection->GetInt32(message, field)
                                                             : reflection->GetInt64(message, field);
}

// Walks an object by its descriptors. Lives for one call.
class Validator {
 public:
  Validator(const ObjectLabel& label, DiagnosticList& out, const std::set<std::string>* known)
      : label_(label), out_(out), known_(known) {}

  bool good() const { return good_; }

  void check_message(const Message& message, const std::string& path) {
    const MessageSchema& schema = schema_of(message.GetDescriptor());
    check_unknown_fields(message, path);
    for (const FieldSchema& field : schema.fields) {
      std::string here = &field == schema.scalar_form ? path : child_path(path, field.name);
      if (&field == schema.typed_field) {
        check_typed(schema, message, path, here);
      } else {
        check_field(field, message, here, path);
      }
    }
    check_exclusive(schema, message, path);
  }

  void check_unknown_fields(const Message& message, const std::string& path) {
    const auto& unknown = message.GetReflection()->GetUnknownFields(message);
    if (unknown.empty()) return;
    error("GW1115", path,
          "has field number " + std::to_string(unknown.field(0).number()) +
              ", which this build does not know",
          "use a gwctl of the control plane's version");
  }

  void error(std::string_view code, const std::string& path, std::string_view message,
             std::string_view cure) {
    good_ = false;
    if (is_known(path)) return;
    out_.error(code, label_, path, message).set_cure(std::string(cure));
  }

 private:
  bool is_known(const std::string& path) const { return known_ && known_->count(path) > 0; }

  // `parent` is the path of `message`. Where something else stands in its place already, nothing in
  // it is missing.
  void check_field(const FieldSchema& field, const Message& message, const std::string& path,
                   const std::string& parent) {
    if (!is_set(message, field.field) && is_known(parent)) return;
    if (field.repeated()) return check_list(field, message, path);
    if (!is_set(message, field.field)) {
      // A number without presence may be 0; the loader knows whether it was written.
      bool silent = !field.field->has_presence() &&
                    field.field->cpp_type() != FieldDescriptor::CPPTYPE_STRING &&
                    field.field->cpp_type() != FieldDescriptor::CPPTYPE_ENUM;
      if (field.rule->required() && !silent) {
        error("GW1101", path,
              field.field->cpp_type() == FieldDescriptor::CPPTYPE_STRING
                  ? "must not be empty"
                  : "required field is missing",
              "");
      }
      if (!field.rule->required() || !silent) return;
    }
    if (field.is_message())
      return check_message(message.GetReflection()->GetMessage(message, field.field), path);
    check_scalar(field, message, path);
  }

  void check_scalar(const FieldSchema& field, const Message& message, const std::string& path) {
    const Reflection* reflection = message.GetReflection();
    switch (field.field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING:
        return check_string(field, reflection->GetString(message, field.field), path);
      case FieldDescriptor::CPPTYPE_INT32:
      case FieldDescriptor::CPPTYPE_INT64:
        return check_range(field, number_of(message, field.field), path);
      case FieldDescriptor::CPPTYPE_ENUM:
        if (!field.field->enum_type()->FindValueByNumber(
                reflection->GetEnumValue(message, field.field))) {
          error("GW1115", path, "has a value that this build does not know",
                "use a gwctl of the control plane's version");
        }
        return;
      default:
        return;
    }
  }

  void check_range(const FieldSchema& field, int64_t value, const std::string& path) {
    const v1::FieldRule& rule = *field.rule;
    if (rule.has_min() && value < rule.min()) {
      error("GW1102", path, number_in_unit(field, value) + " is too small",
            "it must be at least " + number_in_unit(field, rule.min()));
    } else if (rule.has_max() && value > rule.max()) {
      error("GW1102", path, number_in_unit(field, value) + " is too large",
            "it must be at most " + number_in_unit(field, rule.max()));
    }
  }

  void check_string(const FieldSchema& field, const std::string& text, const std::string& path) {
    const v1::FieldRule& rule = *field.rule;
    uint32_t most = field.repeated() ? 4'096 : field.max_size();
    if (text.size() > most) {
      return error("GW1109", path, "has " + std::to_string(text.size()) + " bytes",
                   "at most " + std::to_string(most) + " are taken");
    }
    std::optional<FormatFault> fault;
    if (!rule.ref().empty()) {
      fault = check_reference(rule.ref(), rule.keyword(), text);
    } else if (rule.format() != v1::FORMAT_UNSPECIFIED && text != rule.keyword()) {
      fault = check_format(rule.format(), text);
    }
    if (!fault) fault = check_text(text);
    if (fault) error("GW1108", path, (rule.sensitive() ? "the value" : in_quotes(text)) + " " + fault->what, fault->cure);
  }

  void check_list(const FieldSchema& field, const Message& message, const std::string& path) {
    const Reflection* reflection = message.GetReflection();
    int size = reflection->FieldSize(message, field.field);
    if (size == 0) {
      if (field.rule->required()) error("GW1101", path, "must have at least one element", "");
      return;
    }
    if (static_cast<uint32_t>(size) > field.max_size()) {
      return error("GW1109", path, "has " + std::to_string(size) + " elements",
                   "at most " + std::to_string(field.max_size()) + " are taken");
    }
    if (field.rule->as_map()) return check_as_map(field, message, path);
    for (int i = 0; i < size; ++i) {
      std::string here = item_path(path, static_cast<size_t>(i));
      if (field.is_message()) {
        check_message(reflection->GetRepeatedMessage(message, field.field, i), here);
      } else {
        check_string(field, reflection->GetRepeatedString(message, field.field, i), here);
      }
    }
  }

  void check_as_map(const FieldSchema& field, const Message& message, const std::string& path) {
    const Reflection* reflection = message.GetReflection();
    const FieldSchema& name = schema_of(field.field->message_type()).fields[0];
    std::unordered_set<std::string> seen;
    for (int i = 0; i < reflection->FieldSize(message, field.field); ++i) {
      const Message& entry = reflection->GetRepeatedMessage(message, field.field, i);
      std::string key = entry.GetReflection()->GetString(entry, name.field);
      std::string here = child_path(path, key);
      if (key.empty()) error("GW1101", path, "has an empty name", "");
      if (!seen.insert(key).second) error("GW1116", here, "is there twice", "remove one of them");
      check_string(name, key, here);
      check_entry(entry, here);
    }
  }

  // A mapping's value: all but its name.
  void check_entry(const Message& entry, const std::string& path) {
    const MessageSchema& schema = schema_of(entry.GetDescriptor());
    check_unknown_fields(entry, path);
    for (size_t i = 1; i < schema.fields.size(); ++i) {
      const FieldSchema& field = schema.fields[i];
      check_field(field, entry, schema.fields.size() == 2 ? path : child_path(path, field.name),
                  path);
    }
    check_exclusive(schema, entry, path);
  }

  void check_typed(const MessageSchema& schema, const Message& message, const std::string& path,
                   const std::string& config_path) {
    std::string type_path = child_path(path, schema.typed_oneof->name());
    const Reflection* reflection = message.GetReflection();
    if (!reflection->HasField(message, schema.typed_field->field)) {
      if (is_known(type_path)) return;
      return error("GW1101", config_path, "required field is missing", "");
    }
    const Message& holder = reflection->GetMessage(message, schema.typed_field->field);
    check_unknown_fields(holder, config_path);
    const FieldDescriptor* variant =
        holder.GetReflection()->GetOneofFieldDescriptor(holder, schema.typed_oneof);
    if (!variant) return error("GW1101", type_path, "required field is missing", "");
    check_message(holder.GetReflection()->GetMessage(holder, variant), config_path);
  }

  void check_exclusive(const MessageSchema& schema, const Message& message,
                       const std::string& path) {
    const v1::MessageRule& rule = *schema.rule;
    if (rule.exactly_one_size() == 0 && rule.at_least_one_size() == 0) return;
    bool one = rule.exactly_one_size() > 0;
    if (is_known(path)) return;
    std::vector<std::string> names, given;
    for (const std::string& name : one ? rule.exactly_one() : rule.at_least_one()) {
      const FieldSchema* field = schema.find(name);
      bool is_word = field == schema.scalar_form;
      if (is_known(is_word ? path : child_path(path, name))) return;
      names.push_back(is_word ? join_words(enum_words(*field->field->enum_type()), "or") : name);
      if (is_set(message, field->field)) given.push_back(name);
    }
    if (given.empty()) {
      error(one ? "GW1110" : "GW1111", path, one ? "says nothing" : "is empty",
            std::string(one ? "one is needed of " : "at least one is needed of ") +
                join_words(names, "and"));
    } else if (one && given.size() > 1) {
      error("GW1110", path, "has " + join_words(given, "and") + " together",
            "only one can be given");
    }
  }

  const ObjectLabel& label_;
  DiagnosticList& out_;
  const std::set<std::string>* known_;
  bool good_ = true;
};

}  // namespace

bool validate(const v1::Object& object, DiagnosticList& diagnostics,
              const std::set<std::string>* known) {
  ObjectLabel label = label_of(object);
  Validator validator(label, diagnostics, known);
  validator.check_unknown_fields(object, "");
  if (!object.has_metadata())
    validator.error("GW1101", "metadata", "required field is missing", "");
  if (object.has_metadata()) validator.check_message(object.metadata(), "metadata");
  const Message* spec = spec_of(object);
  if (!spec) {
    validator.error("GW1008", "kind", "the object has no kind that this build knows",
                    "kinds are " + join_words(kinds(), "and"));
  } else {
    validator.check_message(*spec, "spec");
  }
  return validator.good();
}

}  // namespace gw
