// One line about an object, for the tables of `get`.
#pragma once

#include <string>

#include "gw/v1/resources.pb.h"

namespace gw::cli {

std::string summary(const v1::Object& object);

}  // namespace gw::cli
