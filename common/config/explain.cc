#include "common/config/explain.h"

#include <algorithm>

#include "common/base/diagnostic.h"
#include "common/base/status.h"
#include "common/config/docs.h"
#include "common/config/kinds.h"
#include "common/config/schema.h"
#include "common/http/reason.h"

namespace gw {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

constexpr size_t kWidth = 100;

// `text` in lines of at most kWidth, each after `indent` spaces.
std::string wrap(std::string_view text, size_t indent) {
  std::string out, line;
  auto flush = [&] {
    if (!line.empty()) out.append(indent, ' ').append(line).append("\n");
    line.clear();
  };
  while (!text.empty()) {
    size_t end = text.find_first_of(" \n");
    if (end == std::string_view::npos) end = text.size();
    std::string_view word = text.substr(0, end);
    if (!line.empty() && indent + line.size() + 1 + word.size() > kWidth) flush();
    if (!line.empty() && !word.empty()) line += ' ';
    line += word;
    if (end < text.size() && text[end] == '\n') flush();
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  flush();
  return out;
}

std::string with_article(const std::string& kind) {
  return (std::string_view("AEIOU").find(kind[0]) == std::string_view::npos ? "a " : "an ") + kind;
}

std::string scalar_type(const FieldSchema& field) {
  const v1::FieldRule& rule = *field.rule;
  if (rule.unit() == v1::MILLISECONDS) return "duration";
  if (rule.unit() == v1::BYTES) return "size";
  if (rule.unit() == v1::PERCENT) return "share";
  switch (field.field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return "true or false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return join_words(enum_words(*field.field->enum_type()), "or");
    case FieldDescriptor::CPPTYPE_STRING:
      break;
    default:
      return "whole number";
  }
  std::string or_keyword = rule.keyword().empty() ? "" : ", or " + rule.keyword();
  if (!rule.ref().empty())
    return (field.repeated() ? "names of " + rule.ref() : "name of " + with_article(rule.ref())) +
           or_keyword;
  if (rule.format() == v1::FORMAT_UNSPECIFIED) return "text" + or_keyword;
  std::string format = v1::Format_Name(rule.format());
  for (char& c : format)
    c = c == '_'                                            ? ' '
        : c >= 'A' && c <= 'Z' && rule.format() != v1::CIDR ? static_cast<char>(c - 'A' + 'a')
                                                            : c;
  return format + or_keyword;
}

std::string type_text(const FieldSchema& field) {
  bool names = field.repeated() && !field.rule->ref().empty();
  if (!field.is_message())
    return (field.repeated() && !names ? "list of " : names ? "list: " : "") + scalar_type(field);
  const MessageSchema& schema = schema_of(field.field->message_type());
  if (field.rule->as_map()) {
    bool pair = schema.fields.size() == 2;
    return "mapping of name: " + (pair ? scalar_type(schema.fields[1]) : std::string("{…}"));
  }
  std::string one =
      schema.scalar_form ? scalar_type(*schema.scalar_form) + ", or a mapping" : "mapping";
  return field.repeated() ? "list of mappings" : one;
}

// What can be said of a field in a few words: required, default, range, form, size.
std::string facts(const FieldSchema& field) {
  const v1::FieldRule& rule = *field.rule;
  std::string out;
  auto add = [&](const std::string& name, const std::string& value) {
    out.append("  ")
        .append(name)
        .append(12 - std::min<size_t>(name.size(), 11), ' ')
        .append(value)
        .append("\n");
  };
  add("type", type_text(field));
  if (rule.required()) add("required", "yes");
  if (!rule.default_text().empty()) add("default", rule.default_text());
  if (rule.has_min() || rule.has_max()) {
    std::string low = rule.has_min() ? number_in_unit(field, rule.min()) : "",
                high = rule.has_max() ? number_in_unit(field, rule.max()) : "";
    add("range", !rule.has_max()   ? "at least " + low
                 : !rule.has_min() ? "at most " + high
                                   : low + " to " + high);
  }
  if (rule.format() != v1::FORMAT_UNSPECIFIED) add("form", format_text(rule.format()));
  if (!rule.ref().empty() && rule.ref() != "Team")
    add("refers to",
        with_article(rule.ref()) + ": name of one's own or a shared one, or owner/name");
  if (rule.ref() == "Team") add("refers to", "a Team by its name");
  if (field.repeated())
    add("at most", std::to_string(field.max_size()) + (rule.as_map() ? " names" : " elements"));
  bool text = field.field->cpp_type() == FieldDescriptor::CPPTYPE_STRING && rule.ref().empty() &&
              rule.format() == v1::FORMAT_UNSPECIFIED;
  if (!field.repeated() && text) add("at most", std::to_string(field.max_size()) + " bytes");
  return out;
}

struct Row {
  std::string name, type, doc;
};

std::string table(const std::string& title, const std::vector<Row>& rows) {
  if (rows.empty()) return {};
  size_t name_width = 0, type_width = 0;
  for (const Row& row : rows) {
    name_width = std::max(name_width, row.name.size());
    type_width = std::max(type_width, row.type.size());
  }
  type_width = std::min<size_t>(type_width, 40);
  std::string out = "\n" + title + "\n";
  for (const Row& row : rows) {
    std::string line =
        "  " + row.name + std::string(name_width - row.name.size() + 2, ' ') + row.type;
    if (!row.doc.empty()) {
      if (row.type.size() < type_width) line.append(type_width - row.type.size(), ' ');
      line += (type_width > 0 ? "  " : "") + row.doc;
    }
    while (line.back() == ' ') line.pop_back();
    out += line + "\n";
  }
  return out;
}

std::string fields_table(const MessageSchema& schema) {
  std::vector<Row> rows;
  if (schema.typed_oneof) {
    rows.push_back({schema.typed_oneof->name(),
                    join_words(variant_names(*schema.typed_oneof), "or") + ", required", ""});
  }
  for (const FieldSchema& field : schema.fields) {
    if (&field == schema.scalar_form) continue;
    std::string doc =
        &field == schema.typed_field ? "The fields of the type." : summary(comment_of(field));
    rows.push_back(
        {field.name, type_text(field) + (field.rule->required() ? ", required" : ""), doc});
  }
  return table("fields", rows);
}

std::string rules_text(const MessageSchema& schema) {
  std::string out;
  auto names = [&](const auto& list) {
    std::vector<std::string> words;
    for (const std::string& name : list) {
      const FieldSchema* field = schema.find(name);
      words.push_back(field == schema.scalar_form ? "a word" : name);
    }
    return join_words(words, "and");
  };
  if (schema.rule->exactly_one_size() > 0)
    out += "\nExactly one of " + names(schema.rule->exactly_one()) + ".\n";
  if (schema.rule->at_least_one_size() > 0)
    out += "\nAt least one of " + names(schema.rule->at_least_one()) + ".\n";
  for (const v1::ForbiddenKey& key : schema.rule->forbidden())
    out += "\n" + wrap("No `" + key.key() + "`: " + key.why() + ".", 0);
  return out;
}

std::string variants_table(const MessageSchema& schema) {
  if (!schema.typed_oneof) return {};
  std::vector<Row> rows;
  for (int i = 0; i < schema.typed_oneof->field_count(); ++i) {
    const FieldDescriptor* variant = schema.typed_oneof->field(i);
    rows.push_back({variant->json_name(), "", summary(comment_of(variant->full_name()))});
  }
  return table("types", rows);
}

std::string words_table(const FieldSchema& field) {
  const auto* type = field.field->enum_type();
  std::vector<Row> rows;
  for (int i = 0; type && i < type->value_count(); ++i) {
    const std::string& doc = comment_of(type->value(i)->full_name());
    if (type->value(i)->number() != 0 && !doc.empty())
      rows.push_back({enum_word(*type->value(i)), "", doc});
  }
  return table("words", rows);
}

std::string message_text(const MessageSchema& schema) {
  return rules_text(schema) + fields_table(schema) + variants_table(schema);
}

std::string paragraph(const std::string& comment) {
  return comment.empty() ? "" : "\n" + wrap(comment, 0);
}

std::string field_text(const std::string& path, const FieldSchema& field) {
  std::string out = path + "\n" + facts(field) + paragraph(comment_of(field));
  if (field.is_message()) {
    const MessageSchema& schema = schema_of(field.field->message_type());
    if (schema.scalar_form) out += words_table(*schema.scalar_form);
    bool pair = field.rule->as_map() && schema.fields.size() == 2;
    return pair ? out : out + message_text(schema);
  }
  return out + words_table(field);
}

const Descriptor* spec_message(const std::string& kind) {
  v1::Object object;
  set_kind(object, kind);
  return spec_of(object)->GetDescriptor();
}

std::string kind_text(const std::string& kind) {
  const MessageSchema& schema = schema_of(spec_message(kind));
  std::string out = kind + "\n  apiVersion: gw/v1, kind: " + kind + ", metadata, spec\n";
  out += is_record(kind) ? "  a record: kept beside versions, undo does not touch it\n"
                         : "  part of a version: changed and undone together with others\n";
  return out + paragraph(comment_of(schema.descriptor->full_name())) + message_text(schema) +
         "\n`gwctl explain " + kind + "." + schema.keys().front() +
         "` tells more; `gwctl explain " + kind + ".metadata` what every object has.\n";
}

std::string kinds_text() {
  std::vector<Row> rows;
  for (const std::string& kind : kinds())
    rows.push_back({kind, "", summary(comment_of(spec_message(kind)->full_name()))});
  return "Northgate's kinds. `gwctl explain KIND.path`, `gwctl explain GW1004` and `gwctl explain "
         "NO_ROUTE` tell more.\n" +
         table("kinds", rows);
}

std::vector<std::string> split(std::string_view query) {
  std::vector<std::string> out;
  while (true) {
    size_t dot = query.find('.');
    std::string part(query.substr(0, dot));
    if (size_t bracket = part.find('['); bracket != std::string::npos)
      part.resize(bracket);  // targets[0]
    out.push_back(part);
    if (dot == std::string_view::npos) return out;
    query.remove_prefix(dot + 1);
  }
}

// Follows a path through fields, typed configurations and mappings' names.
class Finder {
 public:
  explicit Finder(const std::string& kind)
      : path_(kind), message_(&schema_of(spec_message(kind))) {}

  absl::StatusOr<std::string> find(const std::vector<std::string>& parts) {
    size_t at = 1;
    if (parts[1] == "metadata") {
      message_ = &schema_of(v1::Metadata::descriptor());
      path_ += ".metadata";
      if (parts.size() == 2) return path_ + "\n" + message_text(*message_);
      at = 2;
    } else {
      path_ += ".spec";
      if (parts[1] == "spec") at = 2;
      if (parts.size() == at)
        return path_ + "\n" + paragraph(comment_of(message_->descriptor->full_name())) +
               message_text(*message_);
    }
    for (; at < parts.size(); ++at) {
      bool last = at + 1 == parts.size();
      if (!step(parts[at])) return wrong(parts[at]);
      if (last) return text_;
      if (!message_) return not_found(path_ + " has no fields");
    }
    return text_;
  }

 private:
  bool step(const std::string& name) {
    if (message_->typed_oneof) {
      if (name == message_->typed_oneof->name()) return typed(nullptr, "." + name);
      if (name == message_->typed_field->name) return configs();
      if (auto* variant = find_variant(*message_->typed_oneof, name))
        return typed(variant, "." + message_->typed_field->name);
    }
    if (variants_) {
      auto* variant = find_variant(*variants_, name);
      return variant && typed(variant, "");
    }
    const FieldSchema* field = message_->find(name);
    if (!field || field == message_->scalar_form) return false;
    path_ = child_path(path_, name);
    text_ = field_text(path_, *field);
    message_ = field->is_message() ? &schema_of(field->field->message_type()) : nullptr;
    return true;
  }

  // `Policy.type`, or the configuration of one type.
  bool typed(const FieldDescriptor* variant, const std::string& suffix) {
    path_ += suffix;
    if (!variant) {
      text_ = path_ + "\n  type        " + join_words(variant_names(*message_->typed_oneof), "or") +
              "\n  required    yes\n" + variants_table(*message_);
      message_ = nullptr;
      return true;
    }
    variants_ = nullptr;
    message_ = &schema_of(variant->message_type());
    text_ = path_ + " (type: " + variant->json_name() + ")\n" +
            paragraph(comment_of(variant->full_name())) +
            paragraph(comment_of(message_->descriptor->full_name())) + message_text(*message_);
    path_ += " (type: " + variant->json_name() + ")";
    return true;
  }

  bool configs() {
    path_ += "." + message_->typed_field->name;
    text_ = path_ + "\n  type        mapping, its fields by `" + message_->typed_oneof->name() +
            "`\n  required    yes\n" + variants_table(*message_);
    variants_ = message_->typed_oneof;
    message_ = &schema_of(variants_->containing_type());
    return true;
  }

  absl::Status wrong(const std::string& name) const {
    std::vector<std::string> names = variants_ ? variant_names(*variants_) : message_->keys();
    std::string meant = did_you_mean(name, names);
    return not_found(path_ + " has no field " + in_quotes(name) + "; " +
                     (meant.empty() ? "fields are " + join_words(names, "and")
                                    : "did you mean " + in_quotes(meant) + "?"));
  }

  std::string path_, text_;
  const MessageSchema* message_;
  const google::protobuf::OneofDescriptor* variants_ = nullptr;
};

absl::Status unknown_word(std::string_view query) {
  std::vector<std::string> words = kinds();
  for (unsigned i = 1; i < static_cast<unsigned>(Reason::kCount); ++i)
    words.emplace_back(info(static_cast<Reason>(i)).name);
  for (const CodeInfo& code : all_codes()) words.emplace_back(code.code);
  std::string meant = did_you_mean(query, words);
  std::string cure = meant.empty() ? "give a kind (" + join_words(kinds(), "or") +
                                         "), a path in one, a code or a reason"
                                   : "did you mean " + in_quotes(meant) + "?";
  return not_found(in_quotes(query) + " is neither a kind nor a code nor a reason; " + cure);
}

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c == '-' ? '_' : c;
  return out;
}

}  // namespace

absl::StatusOr<std::string> explain(std::string_view query) {
  if (query.empty()) return kinds_text();
  if (query.size() > 500) return not_found("that is no kind, code or reason");
  if (const CodeInfo* code = find_code(upper(query))) {
    return std::string(code->code) + "  " + std::string(code->title) + "\n\n" +
           wrap(code->explanation, 0);
  }
  if (Reason reason = parse_reason(upper(query)); reason != Reason::kNone) {
    const ReasonInfo& about = info(reason);
    return std::string(about.name) + "  " + std::to_string(about.status) + " " +
           std::string(about.title) + "\n\n" + wrap(about.explanation, 0) + "\nTo gRPC calls: status " +
           std::string(grpc_status_label(about.grpc)) + ", " + std::string(grpc_status_name(about.grpc)) + ".\n";
  }
  std::vector<std::string> parts = split(query);
  std::string kind = find_kind(parts[0]);
  if (kind.empty()) return unknown_word(parts[0]);
  return parts.size() == 1 ? kind_text(kind) : Finder(kind).find(parts);
}

}  // namespace gw
