// Which objects an object names, read from the `ref` options of resources.proto. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "controlplane/snapshot/object_key.h"

namespace gw {

struct Reference {
  Kind kind = v1::Object::SPEC_NOT_SET;
  std::string text;  // `name` or `owner/name`
  std::string path;  // spec.to.split[0].upstream
};

// In the order of the fields. Words that stand beside references (`anonymous`, `all`) are left out.
std::vector<Reference> references_of(const v1::Object& object);

}  // namespace gw
