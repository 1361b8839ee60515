#include "controlplane/snapshot/object_key.h"

#include <map>

namespace gw {
namespace {

struct KindNames {
  std::map<int, std::string> by_case;
  std::map<std::string, Kind, std::less<>> by_name;

  // "RouteSpec" is the message of kind Route.
  KindNames() {
    const auto* oneof = v1::Object::descriptor()->FindOneofByName("spec");
    for (int i = 0; i < oneof->field_count(); ++i) {
      std::string name = oneof->field(i)->message_type()->name();
      name.resize(name.size() - 4);
      by_case[oneof->field(i)->number()] = name;
      by_name[name] = static_cast<Kind>(oneof->field(i)->number());
    }
  }
};

const KindNames& names() {
  static const KindNames all;
  return all;
}

}  // namespace

std::string_view kind_name(Kind kind) {
  auto found = names().by_case.find(kind);
  return found == names().by_case.end() ? std::string_view("object") : std::string_view(found->second);
}

Kind kind_from_name(std::string_view name) {
  auto found = names().by_name.find(name);
  return found == names().by_name.end() ? v1::Object::SPEC_NOT_SET : found->second;
}

bool is_record(Kind kind) {
  return kind == v1::Object::kConsumer || kind == v1::Object::kApp || kind == v1::Object::kSubscription || kind == v1::Object::kSecret ||
         kind == v1::Object::kCertificate;
}

ObjectKey key_of(const v1::Object& object) {
  return {object.spec_case(), object.metadata().owner(), object.metadata().name()};
}

ObjectKey key_of(const v1::ObjectId& id) { return {kind_from_name(id.kind()), id.owner(), id.name()}; }

ObjectKey named_key(Kind kind, std::string_view owner, std::string_view text) {
  if (kind == v1::Object::kTeam) return {kind, "", std::string(text)};
  size_t slash = text.find('/');
  if (slash == std::string_view::npos) return {kind, std::string(owner), std::string(text)};
  return {kind, std::string(text.substr(0, slash)), std::string(text.substr(slash + 1))};
}

}  // namespace gw
