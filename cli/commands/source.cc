#include "cli/commands/source.h"

#include <iterator>

#include "cli/errors.h"
#include "cli/settings.h"
#include "common/base/status.h"

namespace gw::cli {
namespace {

constexpr size_t kMaxValueBytes = size_t{1} << 20;

// One byte more than the loader takes, so that it is the loader that says what is too large.
StdinText read_stdin(std::istream& in, size_t max_bytes) {
  StdinText out;
  out.text.resize(max_bytes + 1);
  in.read(out.text.data(), static_cast<std::streamsize>(out.text.size()));
  out.text.resize(static_cast<size_t>(in.gcount()));
  return out;
}

// What `{file: …}` and `{env: …}` stand for.
absl::StatusOr<std::string> read_value(const Environment& env, std::string_view source, const std::string& name, const std::string& yaml_file) {
  if (source == "env") {
    std::string value = env.variable(name);
    if (value.empty()) return invalid_argument("the variable " + name + " is not set");
    return value;
  }
  size_t slash = yaml_file.rfind('/');
  bool relative = name[0] != '/' && slash != std::string::npos;
  std::string path = relative ? yaml_file.substr(0, slash + 1) + name : name;
  auto text = read_small_file(path, kMaxValueBytes);
  return text.ok() ? text : absl::StatusOr<std::string>(invalid_argument(message_of(text.status())));
}

}  // namespace

std::vector<const LoadedObject*> Source::loaded() const {
  std::vector<const LoadedObject*> out;
  for (const LoadedFile& file : *files) {
    for (const LoadedObject& object : file.objects) out.push_back(&object);
  }
  return out;
}

absl::StatusOr<Source> read_source(Session& session, const std::vector<std::string>& paths, const std::string& owner) {
  if (paths.empty()) return usage_error("which files? give -f FILE, -f DIRECTORY or -f -");
  LoadOptions options;
  options.values = [&env = session.env()](std::string_view source, const std::string& name, const std::string& yaml_file) {
    return read_value(env, source, name, yaml_file);
  };
  StdinText text;
  bool wants_stdin = false;
  for (const std::string& path : paths) wants_stdin = wants_stdin || path == "-";
  if (wants_stdin) text = read_stdin(*session.env().in, options.max_bytes);
  Source out;
  auto files = load_paths(paths, options, out.diagnostics, wants_stdin ? &text : nullptr);
  if (!files.ok()) return usage_error(message_of(files.status()));
  out.files = std::make_shared<std::vector<LoadedFile>>(*std::move(files));
  session.set_locator([files = out.files, owner](Diagnostic& d) { place(d, *files, owner); });
  for (const Diagnostic& d : out.diagnostics.items()) session.diagnostic(d);
  return out;
}

absl::StatusOr<Source> read_valid_source(Session& session, const std::vector<std::string>& paths, const std::string& owner) {
  GW_ASSIGN_OR_RETURN(Source out, read_source(session, paths, owner));
  if (out.diagnostics.has_errors()) return found_errors(out.diagnostics, static_cast<int>(ExitCode::kRefused));
  if (out.loaded().empty()) return usage_error("the files hold no objects");
  return out;
}

absl::Status found_errors(const DiagnosticList& diagnostics, int exit_code) {
  size_t n = diagnostics.errors();
  return failure(static_cast<ExitCode>(exit_code), std::to_string(n) + (n == 1 ? " error" : " errors") + "; nothing was sent");
}

}  // namespace gw::cli
