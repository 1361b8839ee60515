// Parts of the loader that load_yaml and load_paths share. Internal to common/config.
#pragma once

#include "common/config/loader.h"

namespace gw {

// load_yaml without the check for doubles.
LoadedFile load_documents(std::string_view text, std::string file_name, const LoadOptions& options,
                          DiagnosticList& diagnostics);
// GW1014 for each object whose kind and name stood before.
void check_doubles(std::vector<LoadedFile*> files, DiagnosticList& diagnostics);

}  // namespace gw
