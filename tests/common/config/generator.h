// Random objects that keep every rule of the format, made from the descriptors.
#pragma once

#include <set>
#include <string>

#include "common/base/random.h"
#include "common/config/kinds.h"
#include "common/config/schema.h"

namespace gw {

class ObjectGenerator {
 public:
  explicit ObjectGenerator(uint64_t seed) : random_(seed) {}

  v1::Object object() {
    v1::Object out;
    set_kind(out, pick(kinds()));
    fill(*out.mutable_metadata());
    auto* oneof = v1::Object::descriptor()->FindOneofByName("spec");
    fill(*out.GetReflection()->MutableMessage(
        &out, out.GetReflection()->GetOneofFieldDescriptor(out, oneof)));
    return out;
  }

 private:
  using Message = google::protobuf::Message;
  using FieldDescriptor = google::protobuf::FieldDescriptor;

  template <class T>
  const T& pick(const std::vector<T>& from) {
    return from[random_.below(from.size())];
  }

  void fill(Message& out, const FieldSchema* without = nullptr) {
    const MessageSchema& schema = schema_of(out.GetDescriptor());
    std::set<std::string> exclusive(schema.rule->exactly_one().begin(),
                                    schema.rule->exactly_one().end());
    std::string chosen;
    for (const auto* names : {&schema.rule->exactly_one(), &schema.rule->at_least_one()}) {
      if (!names->empty())
        chosen = names->Get(static_cast<int>(random_.below(static_cast<uint64_t>(names->size()))));
    }
    for (const FieldSchema& field : schema.fields) {
      if (&field == without || field.rule->sensitive()) continue;  // what is never written back does not come back
      bool wanted = field.rule->required() || field.name == chosen || random_.below(2) == 0;
      if (exclusive.count(field.name) && field.name != chosen) wanted = false;
      if (!wanted) continue;
      if (&field == schema.typed_field) {
        Message& holder = *out.GetReflection()->MutableMessage(&out, field.field);
        const auto* variant = schema.typed_oneof->field(static_cast<int>(
            random_.below(static_cast<uint64_t>(schema.typed_oneof->field_count()))));
        fill(*holder.GetReflection()->MutableMessage(&holder, variant));
      } else {
        fill_field(out, field, field.name == chosen || field.rule->required());
      }
    }
  }

  void fill_field(Message& out, const FieldSchema& field, bool needed) {
    const auto* r = out.GetReflection();
    if (!field.repeated()) {
      if (field.is_message()) return fill(*r->MutableMessage(&out, field.field));
      return set_scalar(out, field, needed);
    }
    size_t count = (needed ? 1 : 0) + random_.below(4);
    for (size_t i = 0; i < count; ++i) {
      if (!field.is_message()) {
        r->AddString(&out, field.field, text(field));
        continue;
      }
      Message& item = *r->AddMessage(&out, field.field);
      if (!field.rule->as_map()) {
        fill(item);
        continue;
      }
      const FieldSchema& name = schema_of(item.GetDescriptor()).fields[0];
      fill(item, &name);
      std::string key = name.rule->format() != v1::FORMAT_UNSPECIFIED ? text(name) : any_text(60);
      item.GetReflection()->SetString(&item, name.field,
                                      key + (name.rule->format() ? "-" : " ") + std::to_string(i));
    }
  }

  void set_scalar(Message& out, const FieldSchema& field, bool needed) {
    const auto* r = out.GetReflection();
    switch (field.field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING: {
        std::string value = text(field);
        if (value.empty() && needed) value = "x";
        return r->SetString(&out, field.field, value);
      }
      case FieldDescriptor::CPPTYPE_BOOL:
        return r->SetBool(&out, field.field, random_.below(2) == 0);
      case FieldDescriptor::CPPTYPE_INT32:
        return r->SetInt32(&out, field.field, static_cast<int32_t>(number(field)));
      case FieldDescriptor::CPPTYPE_INT64:
        return r->SetInt64(&out, field.field, number(field));
      default: {
        const auto* type = field.field->enum_type();
        return r->SetEnum(&out, field.field,
                          type->value(1 + static_cast<int>(random_.below(
                                              static_cast<uint64_t>(type->value_count() - 1)))));
      }
    }
  }

  int64_t number(const FieldSchema& field) {
    int64_t low = field.rule->has_min() ? field.rule->min() : 0,
            high = field.rule->has_max() ? field.rule->max() : 1'000'000;
    int64_t value =
        low + static_cast<int64_t>(random_.below(static_cast<uint64_t>(high - low) + 1));
    if (random_.below(3) == 0) value = low;
    if (random_.below(3) == 0 && value / 1'000 * 1'000 >= low) value = value / 1'000 * 1'000;
    return value;
  }

  std::string text(const FieldSchema& field) {
    if (!field.rule->ref().empty()) {
      if (!field.rule->keyword().empty() && random_.below(4) == 0) return field.rule->keyword();
      return (field.rule->ref() != "Team" && random_.below(3) == 0 ? name() + "/" : "") + name();
    }
    switch (field.rule->format()) {
      case v1::NAME:
        return name();
      case v1::HOST_PATTERN:
        return pick<std::string>({"*", "*.example.com", name() + ".example.com", "127.0.0.1"});
      case v1::URL_PATH:
        return pick<std::string>(
            {"/", "/" + name(), "/" + name() + "/%20", "/" + name() + "/a.b;c"});
      case v1::PATH_TEMPLATE:
        return "/" + name() + "/{id}";
      case v1::REGEX:
        return pick<std::string>({"^/[a-z]+$", "a|b", "[#:] {1,2}", "'\"\\\\"});
      case v1::TARGET_URL:
        return "http://" + name() + ":" + std::to_string(1 + random_.below(65535));
      case v1::CIDR:
        return pick<std::string>({"10.0.0.0/8", "::1", "2001:db8::/32", "192.168.1.1"});
      case v1::IP_ADDRESS:
        return pick<std::string>({"127.0.0.1", "::", "2001:db8::1"});
      case v1::HEADER_NAME:
        return "x-" + name();
      case v1::HEADER_VALUE:
        return pick<std::string>({"", "a: b", "# no", "\ttab", "größe", "yes", "1.0"});
      case v1::METHOD:
        return pick<std::string>({"GET", "PUT", "N", "NO"});
      case v1::DATE:
        return "2027-01-15";
      case v1::ORIGIN:
        return pick<std::string>({"*", "https://" + name() + ".example:8443"});
      case v1::HOST_NAME:
        return pick<std::string>({name(), "[::1]:80", name() + ":80"});
      case v1::DNS_NAME:
        return pick<std::string>({name(), "_http._tcp." + name() + ".example"});
      case v1::SERVER_ADDRESS:
        return pick<std::string>({"10.0.0.2", "10.0.0.2:5353", "[::1]:53", "::1"});
      default:
        return any_text(std::min<size_t>(field.max_size(), 60));
    }
  }

  std::string name() {
    std::string out(1, static_cast<char>('a' + random_.below(26)));
    for (size_t n = random_.below(8); n > 0; --n) out += "abcxyz0189"[random_.below(10)];
    return out;
  }

  // Anything that a text may be, and most of all what YAML trips over.
  std::string any_text(size_t most) {
    static const std::vector<std::string> kPieces = {"a",        "word",
                                                     " ",        "  ",
                                                     "\n",       "\t",
                                                     "\"",       "'",
                                                     "\\",       ":",
                                                     ": ",       "#",
                                                     " #",       "-",
                                                     "- ",       "?",
                                                     "{",        "}",
                                                     "[",        "]",
                                                     ",",        "&",
                                                     "*",        "!",
                                                     "|",        ">",
                                                     "%",        "@",
                                                     "`",        "~",
                                                     "null",     "true",
                                                     "no",       "0",
                                                     "1.5",      "0x1",
                                                     "12:30",    "2027-01-15",
                                                     "ü",        "\xe2\x80\xa8",
                                                     "\xc2\x85", "\xef\xbb\xbf",
                                                     "😀",        "<<",
                                                     "=",        "---",
                                                     "...",      "\n---\n",
                                                     ".inf",     "1_0"};
    std::string out;
    for (size_t n = random_.below(5); n > 0; --n) out += pick(kPieces);
    return out.size() <= most ? out : std::string("long").substr(0, most);
  }

  FastRandom random_;
};

}  // namespace gw
