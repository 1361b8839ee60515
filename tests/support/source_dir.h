#pragma once

#include <string>

namespace gw::test {

// Where golden files, corpora and examples are found.
std::string source_dir();

}  // namespace gw::test
