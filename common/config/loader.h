// The strict YAML loader: text in, objects out, and a finding with place and cure for everything
// that is wrong. It knows no kind by name: which fields exist, how they are written and checked
// stands in the descriptors' options (proto/gw/v1/options.proto). Thread-safe functions; no I/O but
// for load_paths and what LoadOptions::values does.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/diagnostic.h"
#include "common/config/positions.h"
#include "gw/v1/resources.pb.h"

namespace gw {

// Reads what `{file: PATH}` or `{env: NAME}` stands for, in place of a text. `source`: file or env;
// `yaml_file`: where it is written, since paths are relative to it.
using ValueSource = std::function<absl::StatusOr<std::string>(
    std::string_view source, const std::string& name, const std::string& yaml_file)>;

struct LoadOptions {
  // Most bytes of one file; a larger one is refused before it is parsed.
  size_t max_bytes = 16 << 20;
  // Most YAML nodes of one file. An alias counts as all that it stands for, so that bombs end here.
  size_t max_nodes = 1'000'000;
  // Most mappings and lists within each other. The hard limit of the parser is 500.
  int max_depth = 64;
  // load_paths: most files and bytes together.
  size_t max_files = 10'000;
  size_t max_total_bytes = 64 << 20;
  // Empty: such values are refused.
  ValueSource values;
};

struct LoadedObject {
  v1::Object object;
  PositionMap positions;
  std::string kind;  // Route
  int line = 0;      // where its document begins
};

struct LoadedFile {
  std::string name;
  // In the order of the file. Objects that had errors are left out.
  std::vector<LoadedObject> objects;
};

// Reads every document of `text`. `file_name` is only said in findings. Two documents for one
// object are an error. Fields that only the server sets, and `status`, are ignored, so that what
// `get -o yaml` printed can be applied.
LoadedFile load_yaml(std::string_view text, std::string file_name, const LoadOptions& options,
                     DiagnosticList& diagnostics);

// Text that the caller read under a name, for "-" among the paths.
struct StdinText {
  std::string name = "<stdin>";
  std::string text;
};

// Reads files, and all *.yaml and *.yml below directories in order of their names. "-" stands for
// `stdin_text`. Objects are checked for doubles over all files. The status is not ok when a path
// cannot be opened (NotFound, PermissionDenied), a directory holds no such file (NotFound), or
// there are too many files (ResourceExhausted); what is wrong inside the files is in `diagnostics`.
absl::StatusOr<std::vector<LoadedFile>> load_paths(const std::vector<std::string>& paths,
                                                   const LoadOptions& options,
                                                   DiagnosticList& diagnostics,
                                                   const StdinText* stdin_text = nullptr);

// Gives `d` its place: the object of `files` that it names by kind and owner/name, then the field
// path. An object that was written without owner is taken to be `default_owner`'s. False when the
// object is not in the files.
bool place(Diagnostic& d, const std::vector<LoadedFile>& files,
           std::string_view default_owner = {});

}  // namespace gw
