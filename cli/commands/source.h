// The files that a command was given, as objects. Findings are printed with their places; the Session then places the
// server's diagnostics in the same files.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/session.h"
#include "common/config/loader.h"

namespace gw::cli {

struct Source {
  // Shared with the Session's locator.
  std::shared_ptr<std::vector<LoadedFile>> files;
  DiagnosticList diagnostics;  // already printed

  std::vector<const LoadedObject*> loaded() const;
};

// Reads files, directories and `-`. Fails with 2 when one cannot be opened; findings of the loader are in the result.
absl::StatusOr<Source> read_source(Session& session, const std::vector<std::string>& paths, const std::string& owner);
// The same, and errors in the files are a failure with exit code 8.
absl::StatusOr<Source> read_valid_source(Session& session, const std::vector<std::string>& paths, const std::string& owner);

// An absl::Status for findings that have been printed: says how many, with `code` as the exit code.
absl::Status found_errors(const DiagnosticList& diagnostics, int exit_code);

}  // namespace gw::cli
