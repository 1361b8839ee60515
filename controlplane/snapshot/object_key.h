// Objects by kind, owner and name. Values; any thread.
#pragma once

#include <compare>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/diagnostic.h"
#include "gw/v1/admin.pb.h"
#include "gw/v1/resources.pb.h"

namespace gw {

using Kind = v1::Object::SpecCase;
// Immutable once it is shared.
using ObjectPtr = std::shared_ptr<const v1::Object>;

// The team whose shared objects a bare name falls back to.
inline constexpr std::string_view kPlatformTeam = "platform";

std::string_view kind_name(Kind kind);
// SPEC_NOT_SET when there is no such kind.
Kind kind_from_name(std::string_view name);
// Consumer, App, Subscription, Secret, Certificate: beside versions, never undone.
bool is_record(Kind kind);

struct ObjectKey {
  Kind kind = v1::Object::SPEC_NOT_SET;
  std::string owner;  // empty for a Team
  std::string name;
  friend auto operator<=>(const ObjectKey&, const ObjectKey&) = default;

  std::string full_name() const { return owner.empty() ? name : owner + "/" + name; }
  ObjectLabel label() const { return {std::string(kind_name(kind)), full_name()}; }
  // "Route attendees/attendees"
  std::string text() const { return std::string(kind_name(kind)) + " " + full_name(); }
};

ObjectKey key_of(const v1::Object& object);
ObjectKey key_of(const v1::ObjectId& id);
// What a reference names when it is written `owner/name`, or by `owner` itself when it is bare.
ObjectKey named_key(Kind kind, std::string_view owner, std::string_view text);

}  // namespace gw
