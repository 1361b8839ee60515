#include "common/config/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "common/base/status.h"
#include "common/base/units.h"

namespace gw {
namespace {

namespace fs = std::filesystem;

struct Descriptor {
  int fd = -1;
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
};

// The file's text; at most `most` + 1 bytes, which is enough to see that it is too large.
absl::StatusOr<std::string> read_file(const std::string& path, size_t most) {
  Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) return errno_status("open " + path, errno);
  struct stat info;
  if (fstat(file.fd, &info) != 0) return errno_status("stat " + path, errno);
  if (S_ISDIR(info.st_mode)) return invalid_argument(path + " is a directory");
  if (!S_ISREG(info.st_mode) && !S_ISFIFO(info.st_mode))
    return invalid_argument(path + " is not a file");
  if (S_ISFIFO(info.st_mode)) {  // wait for the writer: `-f <(helm template …)`
    int flags = fcntl(file.fd, F_GETFL);
    if (flags < 0 || fcntl(file.fd, F_SETFL, flags & ~O_NONBLOCK) < 0)
      return errno_status("open " + path, errno);
  }
  std::string text;
  size_t used = 0;
  while (used <= most) {
    size_t chunk = std::min<size_t>(most + 1 - used, 256 << 10);
    text.resize(used + chunk);
    ssize_t n = read(file.fd, text.data() + used, chunk);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_status("read " + path, errno);
    used += static_cast<size_t>(n);
    if (n == 0) break;
  }
  text.resize(used);
  return text;
}

bool is_yaml(const fs::path& path) {
  return path.extension() == ".yaml" || path.extension() == ".yml";
}

// YAML files below a directory, by name; hidden files and folders are left out, links to folders
// are not followed.
absl::Status list_directory(const std::string& root, const LoadOptions& options,
                            std::vector<std::string>& out) {
  std::error_code error;
  fs::recursive_directory_iterator it(root, error), end;
  std::vector<std::string> found;
  while (!error && it != end) {
    const fs::path& path = it->path();
    std::error_code kind;
    bool hidden = path.filename().native()[0] == '.';
    if (hidden && it->is_directory(kind)) {
      it.disable_recursion_pending();
    } else if (!hidden && is_yaml(path) && it->is_regular_file(kind)) {
      found.push_back(path.native());
    }
    if (found.size() > options.max_files) {
      return resource_exhausted(root + " holds more than " + std::to_string(options.max_files) +
                                " YAML files");
    }
    it.increment(error);
  }
  if (error) return errno_status("read directory " + root, error.value());
  if (found.empty()) return not_found(root + " holds no .yaml or .yml file");
  std::sort(found.begin(), found.end());
  out.insert(out.end(), found.begin(), found.end());
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> list_files(const std::vector<std::string>& paths,
                                                    const LoadOptions& options) {
  std::vector<std::string> out;
  for (const std::string& path : paths) {
    std::error_code error;
    if (path != "-" && fs::is_directory(path, error)) {
      GW_RETURN_IF_ERROR(list_directory(path, options, out));
    } else {
      out.push_back(path);
    }
    if (out.size() > options.max_files) {
      return resource_exhausted("more than " + std::to_string(options.max_files) +
                                " files are given");
    }
  }
  return out;
}

}  // namespace

absl::StatusOr<std::vector<LoadedFile>> load_paths(const std::vector<std::string>& paths,
                                                   const LoadOptions& options,
                                                   DiagnosticList& diagnostics,
                                                   const StdinText* stdin_text) {
  GW_ASSIGN_OR_RETURN(std::vector<std::string> names, list_files(paths, options));
  std::vector<LoadedFile> out;
  size_t total = 0;
  for (const std::string& name : names) {
    bool from_stdin = name == "-" && stdin_text != nullptr;
    std::string text;
    if (!from_stdin) {
      GW_ASSIGN_OR_RETURN(text, read_file(name, options.max_bytes));
    }
    std::string_view view =
        from_stdin ? std::string_view(stdin_text->text) : std::string_view(text);
    total += view.size();
    if (total > options.max_total_bytes) {
      return resource_exhausted("the files have more than " +
                                format_bytes(static_cast<int64_t>(options.max_total_bytes)) +
                                " together");
    }
    out.push_back(load_documents(view, from_stdin ? stdin_text->name : name, options, diagnostics));
  }
  std::vector<LoadedFile*> all;
  for (LoadedFile& file : out) all.push_back(&file);
  check_doubles(std::move(all), diagnostics);
  return out;
}

}  // namespace gw
