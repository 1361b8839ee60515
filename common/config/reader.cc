#include "common/config/reader.h"

#include <unordered_set>

#include "common/config/future.h"
#include "common/config/kinds.h"
#include "common/base/status.h"
#include "common/config/scalars.h"
#include "common/config/utf8.h"

namespace gw {
namespace {

constexpr std::string_view kAnonymous = "anonymous";  // FieldRule.keyword of `auth` lists

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

std::string type_name(const YamlNode& node) {
  switch (node.type) {
    case YamlNode::Type::kNull:
      return "nothing";
    case YamlNode::Type::kScalar:
      return in_quotes(node.text);
    case YamlNode::Type::kMap:
      return "a mapping";
    case YamlNode::Type::kList:
      return "a list";
  }
  return {};
}

// `{file: …}` and the like in place of a value.
const YamlNode* find_value_source(const YamlNode& node) {
  if (!node.is_map() || node.items.size() != 2 || !node.items[0]->is_scalar()) return nullptr;
  const std::string& key = node.items[0]->text;
  return key == "file" || key == "env" || key == "secret" ? node.items[0] : nullptr;
}

// Of an object whose kind is set.
Message& mutable_spec(v1::Object& object) {
  auto* field = object.GetReflection()->GetOneofFieldDescriptor(
      object, v1::Object::descriptor()->FindOneofByName("spec"));
  return *object.GetReflection()->MutableMessage(&object, field);
}

std::string text_of(const YamlNode* node) {
  static constexpr size_t kShown = 128;
  return node && node->is_scalar() ? node->text.substr(0, kShown) : std::string();
}

// Keys at the top of a document that only the server writes.
bool is_ignored_at_top(std::string_view key) {
  if (key == "status") return true;
  const auto* descriptor = v1::Object::descriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const FieldDescriptor* field = descriptor->field(i);
    if (field->json_name() == key) return field->options().GetExtension(v1::field).server_only();
  }
  return false;
}

}  // namespace

Diagnostic& ObjectReader::error(std::string_view code, const YamlNode& node,
                                const std::string& path, std::string_view message) {
  had_errors_ = true;
  known_.insert(path);
  Diagnostic& d = diagnostics_.error(code, label_, path, message);
  d.set_file(file_);
  d.set_line(node.position.line);
  d.set_column(node.position.column);
  return d;
}

void ObjectReader::wrong_type(const YamlNode& node, const std::string& path,
                              std::string_view wanted, std::string_view cure) {
  error("GW1011", node, path, "must be " + std::string(wanted) + ", not " + type_name(node))
      .set_cure(std::string(cure));
}

void ObjectReader::not_supported(std::string_view name, const YamlNode& node,
                                 const std::string& path) {
  error("GW1010", node, path, in_quotes(name) + " is not supported by this version");
}

bool ObjectReader::read(const YamlNode& root, v1::Object& out) {
  if (!root.is_map()) {
    wrong_type(root, "", "an object", "a document begins with apiVersion, kind, metadata and spec");
    return false;
  }
  if (!read_head(root, out)) return false;
  for_each_entry(root, "", [&](const YamlNode& key, const YamlNode& value) {
    if (key.text == "metadata") {
      read_message(value, *out.mutable_metadata(), "metadata");
    } else if (key.text == "spec") {
      read_message(value, mutable_spec(out), "spec");
    } else if (key.text != "apiVersion" && key.text != "kind" && !is_ignored_at_top(key.text)) {
      Diagnostic& d = error("GW1004", key, child_path("", key.text), "unknown field");
      std::vector<std::string> names = {"apiVersion", "kind", "metadata", "spec"};
      std::string meant = did_you_mean(key.text, names);
      d.set_cure(meant.empty() ? "an object has " + join_words(names, "and")
                               : "did you mean " + in_quotes(meant) + "?");
    }
  });
  // Absent ones are read as empty, so that what they must hold is asked for.
  YamlNode empty;
  empty.type = YamlNode::Type::kMap;
  for (const char* part : {"metadata", "spec"}) {
    const YamlNode* node = root.find(part);
    if (node && !node->is_null()) continue;
    empty.position = node ? root.find_key(part)->position : root.position;
    read_mapping(empty, part[0] == 'm' ? *out.mutable_metadata() : mutable_spec(out), part);
  }
  return true;
}

bool ObjectReader::read_head(const YamlNode& root, v1::Object& out) {
  label_.kind = text_of(root.find("kind"));
  if (const YamlNode* metadata = root.find("metadata")) {
    std::string owner = text_of(metadata->find("owner")), name = text_of(metadata->find("name"));
    label_.object = owner.empty() || name.empty() ? name : owner + "/" + name;
  }
  const YamlNode* version = root.find("apiVersion");
  if (!version || version->is_null()) {
    error("GW1009", root, "apiVersion", "required field is missing")
        .set_cure("begin with apiVersion: gw/v1");
    return false;
  }
  if (!version->is_scalar() || version->text != "gw/v1") {
    error("GW1009", *version, "apiVersion",
          type_name(*version) + " is not a version of this format")
        .set_cure("write apiVersion: gw/v1");
    return false;
  }
  return read_kind(root, out);
}

bool ObjectReader::read_kind(const YamlNode& root, v1::Object& out) {
  const YamlNode* kind = root.find("kind");
  if (!kind || kind->is_null()) {
    error("GW1008", root, "kind", "required field is missing")
        .set_cure("kinds are " + join_words(kinds(), "and"));
    return false;
  }
  if (!kind->is_scalar()) {
    wrong_type(*kind, "kind", "a word", "");
    return false;
  }
  if (set_kind(out, kind->text)) return true;
  if (is_future("Object", kind->text)) {
    not_supported(kind->text, *kind, "kind");
    return false;
  }
  std::string meant = find_kind(kind->text);
  if (meant.empty()) meant = did_you_mean(kind->text, kinds());
  error("GW1008", *kind, "kind", in_quotes(kind->text) + " is not a kind")
      .set_cure(meant.empty() ? "kinds are " + join_words(kinds(), "and")
                              : "did you mean " + in_quotes(meant) + "?");
  return false;
}

void ObjectReader::for_each_entry(const YamlNode& map, const std::string& path, const Entry& fn) {
  std::unordered_set<std::string_view> seen;
  for (size_t i = 0; i + 1 < map.items.size(); i += 2) {
    const YamlNode& key = *map.items[i];
    if (!key.is_scalar()) {
      error("GW1006", key, path, "has a key that is " + type_name(key))
          .set_cure("keys are text; put it in quotes");
    } else if (key.plain && key.text == "<<") {
      error("GW1006", key, path, "YAML merge keys (\"<<\") are not taken")
          .set_cure("write the fields out");
    } else if (!seen.insert(key.text).second) {
      error("GW1005", key, child_path(path, key.text), "the key is there twice")
          .set_cure("remove one of them");
    } else {
      fn(key, *map.items[i + 1]);
    }
  }
}

void ObjectReader::read_message(const YamlNode& node, Message& out, const std::string& path) {
  const MessageSchema& schema = schema_of(out.GetDescriptor());
  if (node.is_null()) return;
  if (schema.scalar_form && node.is_scalar())
    return read_scalar(*schema.scalar_form, node, out, path);
  if (node.is_map()) return read_mapping(node, out, path);
  std::string wanted =
      schema.scalar_form ? scalar_type_name(*schema.scalar_form) + " or a mapping" : "a mapping";
  std::string names = join_words(schema.keys(), "and");
  wrong_type(node, path, wanted, names.empty() ? "write {}" : "its fields are " + names);
}

void ObjectReader::read_mapping(const YamlNode& node, Message& out, const std::string& path,
                                const FieldDescriptor* skip) {
  const MessageSchema& schema = schema_of(out.GetDescriptor());
  for_each_entry(node, path, [&](const YamlNode& key, const YamlNode& value) {
    std::string here = child_path(path, key.text);
    const FieldSchema* field = schema.find(key.text);
    bool typed = schema.typed_oneof &&
                 (key.text == schema.typed_oneof->name() || field == schema.typed_field);
    if (typed) return;  // read_typed takes both together
    if (field && field != schema.scalar_form && field->field != skip) {
      read_field(*field, value, out, here);
    } else {
      unknown_key(schema, key, path);
    }
  });
  if (schema.typed_oneof) read_typed(schema, node, out, path);
  missing_fields(schema, node, path, skip);
}

void ObjectReader::unknown_key(const MessageSchema& schema, const YamlNode& key,
                               const std::string& path) {
  std::string here = child_path(path, key.text);
  for (const v1::ForbiddenKey& forbidden : schema.rule->forbidden()) {
    if (forbidden.key() != key.text) continue;
    error("GW1015", key, here, "cannot be: " + forbidden.why());
    return;
  }
  if (schema.scalar_form && key.text == schema.scalar_form->name) {
    error("GW1004", key, here, "unknown field").set_cure("write the word alone, without a mapping");
    known_.insert(path);
    return;
  }
  if (is_future(schema.descriptor->name(), key.text)) {
    not_supported(key.text, key, here);
    known_.insert(path);  // what it would have replaced is not missing
    return;
  }
  std::vector<std::string> names = schema.keys();
  std::string meant = did_you_mean(key.text, names);
  Diagnostic& d = error("GW1004", key, here, "unknown field");
  if (!meant.empty()) {
    d.set_cure("did you mean " + in_quotes(meant) + "?");
    known_.insert(child_path(path, meant));  // nor is it missing
  } else {
    d.set_cure("fields here are " + join_words(names, "and"));
  }
}

void ObjectReader::missing_fields(const MessageSchema& schema, const YamlNode& node,
                                  const std::string& path, const FieldDescriptor* skip) {
  if (known_.count(path)) return;
  for (const FieldSchema& field : schema.fields) {
    std::string here = child_path(path, field.name);
    const YamlNode* value = node.find(field.name);
    if (!field.rule->required() || field.field == skip || known_.count(here)) continue;
    if (value && !value->is_null()) continue;
    if (schema.typed_oneof && &field == schema.typed_field &&
        known_.count(child_path(path, schema.typed_oneof->name()))) {
      continue;
    }
    const YamlNode* key = node.find_key(field.name);
    error("GW1101", key ? *key : node, here, "required field is missing");
  }
}

// `type: NAME` and `config: {…}`.
void ObjectReader::read_typed(const MessageSchema& schema, const YamlNode& node, Message& out,
                              const std::string& path) {
  std::string type_key = schema.typed_oneof->name();
  std::string type_path = child_path(path, type_key),
              config_path = child_path(path, schema.typed_field->name);
  std::vector<std::string> names = variant_names(*schema.typed_oneof);
  const YamlNode* type = node.find(type_key);
  if (!type || type->is_null()) {
    if (known_.count(type_path)) return;  // misspelled
    error("GW1101", node, type_path, "required field is missing")
        .set_cure("types are " + join_words(names, "and"));
    return;
  }
  if (!type->is_scalar())
    return wrong_type(*type, type_path, "a word", "types are " + join_words(names, "and"));
  const FieldDescriptor* variant = find_variant(*schema.typed_oneof, type->text);
  if (!variant) {
    if (is_future(schema.typed_oneof->containing_type()->name(), type->text)) {
      return not_supported(type->text, *type, type_path);
    }
    std::string meant = did_you_mean(type->text, names);
    error("GW1114", *type, type_path, in_quotes(type->text) + " is not a type")
        .set_cure(meant.empty() ? "types are " + join_words(names, "and")
                                : "did you mean " + in_quotes(meant) + "?");
    return;
  }
  const YamlNode* config = node.find(schema.typed_field->name);
  if (!config || config->is_null()) return;  // missing_fields says so
  Message& holder = *out.GetReflection()->MutableMessage(&out, schema.typed_field->field);
  read_message(*config, *holder.GetReflection()->MutableMessage(&holder, variant), config_path);
}

void ObjectReader::read_field(const FieldSchema& field, const YamlNode& node, Message& out,
                              const std::string& path) {
  if (node.is_null()) return;  // nothing is meant
  if (field.rule->as_map()) return read_as_map(field, node, out, path);
  if (field.repeated()) return read_list(field, node, out, path);
  if (field.is_message()) {
    return read_message(node, *out.GetReflection()->MutableMessage(&out, field.field), path);
  }
  read_scalar(field, node, out, path);
}

void ObjectReader::read_list(const FieldSchema& field, const YamlNode& node, Message& out,
                             const std::string& path) {
  if (!node.is_list()) {
    std::string text = node.plain ? node.text.substr(0, 64) : in_quotes(node.text);
    std::string cure = node.is_scalar() ? "write [" + text + "]" : "begin each element with \"-\"";
    return wrong_type(node, path, "a list", cure);
  }
  if (node.items.empty() && field.rule->keyword() == kAnonymous && !field.rule->required()) {
    error("GW1118", node, path, "is empty, which reads as if it were not there: the `auth` of the Api would be in force")
        .set_cure("write [anonymous] where no credential is needed, or leave the field out");
    return;
  }
  for (size_t i = 0; i < node.items.size(); ++i) {
    const YamlNode& item = *node.items[i];
    std::string here = item_path(path, i);
    if (item.is_null()) {
      error("GW1112", item, here, "the element is empty").set_cure("remove it");
    } else if (field.is_message()) {
      read_message(item, *out.GetReflection()->AddMessage(&out, field.field), here);
    } else {
      read_scalar(field, item, out, here);
    }
  }
}

void ObjectReader::read_as_map(const FieldSchema& field, const YamlNode& node, Message& out,
                               const std::string& path) {
  const MessageSchema& schema = schema_of(field.field->message_type());
  const FieldSchema& name = schema.fields[0];
  const FieldSchema& value_field = schema.fields[1];
  bool pair = schema.fields.size() == 2;
  if (!node.is_map()) return wrong_type(node, path, "a mapping", "write name: value");
  for_each_entry(node, path, [&](const YamlNode& key, const YamlNode& value) {
    std::string here = child_path(path, key.text);
    if (value.is_null()) {
      error("GW1112", key, here, "has no value").set_cure("write \"\" for an empty text");
      return;
    }
    Message& entry = *out.GetReflection()->AddMessage(&out, field.field);
    entry.GetReflection()->SetString(&entry, name.field, key.text);
    if (value.is_map() && !pair) {
      read_mapping(value, entry, here, name.field);
    } else if (value.is_map() || value.is_list()) {
      wrong_type(value, here, pair ? scalar_type_name(value_field) : "a mapping", "");
    } else {
      read_scalar(value_field, value, entry, here);
    }
  });
}

void ObjectReader::read_value(const FieldSchema& field, const YamlNode& node, Message& out,
                              const std::string& path) {
  const std::string& source = node.items[0]->text;
  const YamlNode& name = *node.items[1];
  bool is_text = field.field->cpp_type() == FieldDescriptor::CPPTYPE_STRING;
  if (source == "secret" || !is_text) return not_supported("{" + source + ": …}", node, path);
  if (!name.is_scalar() || name.text.empty()) return wrong_type(name, path, "{" + source + ": NAME}", "");
  if (!values_) {
    error("GW1016", node, path, "{" + source + ": …} is read by gwctl, from files that it is given")
        .set_cure("write the value itself here");
    return;
  }
  absl::StatusOr<std::string> text = values_(source, name.text, file_);
  if (!text.ok()) {
    error("GW1016", node, path, message_of(text.status()));
  } else if (!is_utf8(*text)) {
    error("GW1016", node, path, source + " " + name.text + " is not text (UTF-8)")
        .set_cure("encode it as base64");
  } else if (field.repeated()) {
    out.GetReflection()->AddString(&out, field.field, *std::move(text));
  } else {
    out.GetReflection()->SetString(&out, field.field, *std::move(text));
  }
}

void ObjectReader::read_scalar(const FieldSchema& field, const YamlNode& node, Message& out,
                               const std::string& path) {
  if (node.is_map() || node.is_list()) {
    if (find_value_source(node)) return read_value(field, node, out, path);
    return wrong_type(node, path, scalar_type_name(field), "");
  }
  if (std::optional<ScalarFault> fault = set_scalar(field, node, out)) {
    error(fault->code, node, path, fault->message).set_cure(fault->cure);
  }
}

}  // namespace gw
