// Checks of an object by itself: required fields, formats, ranges, sizes, exclusive fields, as the
// descriptors' options say. The loader ends with it; the control plane runs it on everything that
// arrives, whoever made it. Thread-safe.
#pragma once

#include <set>
#include <string>

#include "common/base/diagnostic.h"
#include "gw/v1/resources.pb.h"

namespace gw {

// True when no error was found. Also refuses fields that this build does not know (GW1115).
// Paths under which errors are known already may be given as `known`: they are not said again.
bool validate(const v1::Object& object, DiagnosticList& diagnostics,
              const std::set<std::string>* known = nullptr);

}  // namespace gw
