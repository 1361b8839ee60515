// Kinds by name: the fields of gw.v1.Object's oneof `spec`. Thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/diagnostic.h"
#include "gw/v1/resources.pb.h"

namespace gw {

// "Team", "Gateway", … in the order of the .proto.
const std::vector<std::string>& kinds();
// The object's kind; empty when no spec is set.
std::string_view kind_of(const v1::Object& object);
// `kind` as written, or as people say it: "route", "routes", "Route". Empty when there is none.
std::string find_kind(std::string_view word);
// Consumer, App and Subscription: kept beside versions and never undone.
bool is_record(std::string_view kind);
// "owner/name", or "name" where no owner stands.
std::string full_name(const v1::Object& object);
ObjectLabel label_of(const v1::Object& object);
// An object of `kind` with an empty spec; false when there is no such kind.
bool set_kind(v1::Object& object, std::string_view kind);
// The spec message of the object, or null.
const google::protobuf::Message* spec_of(const v1::Object& object);

}  // namespace gw
