#include "common/config/kinds.h"

#include <algorithm>

#include "common/base/text.h"
#include "common/config/schema.h"

namespace gw {
namespace {

const google::protobuf::OneofDescriptor* spec_oneof() {
  return v1::Object::descriptor()->FindOneofByName("spec");
}

const google::protobuf::FieldDescriptor* field_of_kind(std::string_view kind) {
  for (size_t i = 0; i < kinds().size(); ++i) {
    if (kinds()[i] == kind) return spec_oneof()->field(static_cast<int>(i));
  }
  return nullptr;
}

}  // namespace

const std::vector<std::string>& kinds() {
  static const std::vector<std::string> all = [] {
    std::vector<std::string> out;
    for (int i = 0; i < spec_oneof()->field_count(); ++i) {
      std::string kind = spec_oneof()->field(i)->camelcase_name();
      kind[0] = static_cast<char>(kind[0] - 'a' + 'A');
      out.push_back(kind);
    }
    return out;
  }();
  return all;
}

std::string_view kind_of(const v1::Object& object) {
  auto* field = object.GetReflection()->GetOneofFieldDescriptor(object, spec_oneof());
  if (!field) return {};
  return kinds()[static_cast<size_t>(field->index_in_oneof())];
}

std::string find_kind(std::string_view word) {
  std::string wanted = ascii_lower(word);
  for (const std::string& kind : kinds()) {
    std::string name = ascii_lower(kind);
    std::string plural = name.back() == 'y' ? name.substr(0, name.size() - 1) + "ies" : name + "s";
    if (wanted == name || wanted == plural) return kind;
  }
  return {};
}

bool is_record(std::string_view kind) {
  return kind == "Consumer" || kind == "App" || kind == "Subscription" || kind == "Secret" || kind == "Certificate";
}

std::string full_name(const v1::Object& object) {
  const v1::Metadata& metadata = object.metadata();
  bool bare = metadata.owner().empty() || metadata.name().empty();
  return bare ? metadata.name() : metadata.owner() + "/" + metadata.name();
}

ObjectLabel label_of(const v1::Object& object) {
  return {std::string(kind_of(object)), full_name(object)};
}

bool set_kind(v1::Object& object, std::string_view kind) {
  auto* field = field_of_kind(kind);
  if (!field) return false;
  object.GetReflection()->MutableMessage(&object, field);
  return true;
}

const google::protobuf::Message* spec_of(const v1::Object& object) {
  auto* field = object.GetReflection()->GetOneofFieldDescriptor(object, spec_oneof());
  return field ? &object.GetReflection()->GetMessage(object, field) : nullptr;
}

}  // namespace gw
