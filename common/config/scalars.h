// One YAML scalar into one field. Internal to common/config. Thread-safe.
#pragma once

#include <optional>
#include <string>

#include "common/config/schema.h"
#include "common/config/yaml_tree.h"

namespace gw {

struct ScalarFault {
  std::string code;
  std::string message;
  std::string cure;
};

// Sets the field, or adds to it when it is repeated. `node` is a scalar. Range, size and format are
// validate()'s.
std::optional<ScalarFault> set_scalar(const FieldSchema& field, const YamlNode& node,
                                      google::protobuf::Message& out);

// "a whole number", "text", "a duration", …: what the field takes.
std::string scalar_type_name(const FieldSchema& field);

}  // namespace gw
