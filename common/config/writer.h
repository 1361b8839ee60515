// Objects as people write them: the loader's counterpart. load(to_yaml(x)) gives x again. Output is
// deterministic. Thread-safe.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "gw/v1/admin.pb.h"
#include "gw/v1/resources.pb.h"

namespace gw {

struct WriteOptions {
  // Adds `status: {uid, generation, set, conditions}`, which the loader ignores.
  bool with_status = false;
  // Shown in `status.conditions`; may be null.
  const google::protobuf::RepeatedPtrField<v1::Condition>* conditions = nullptr;
};

// One YAML document without `---`, ending in a newline. Text is quoted wherever YAML 1.1 or 1.2
// would read it as something else.
std::string to_yaml(const v1::Object& object, const WriteOptions& options = {});
// Documents with `---` between them.
std::string to_yaml(const std::vector<v1::Object>& objects, const WriteOptions& options = {});

// The same shape as JSON; keys in the order of the .proto. Durations and enums are strings, as in
// YAML; the uid in `status` is hexadecimal text.
nlohmann::ordered_json to_json(const v1::Object& object, const WriteOptions& options = {});

// What differs between two objects of one kind, by field path ("spec.quota.requests"), with values
// as YAML writes them on one line; empty text where the field is not set. What only the server sets
// does not count. Either side may be an object without spec: all fields of the other side are then
// listed.
std::vector<v1::FieldChange> field_changes(const v1::Object& before, const v1::Object& after);

// The object without what only the server sets and with mappings in order of their keys: two
// objects mean the same when their canonical forms serialize to the same bytes.
v1::Object canonical(const v1::Object& object);
bool same_meaning(const v1::Object& a, const v1::Object& b);

}  // namespace gw
