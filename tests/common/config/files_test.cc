#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/status.h"
#include "common/config/loader.h"
#include "tests/common/config/support.h"

namespace gw {
namespace {

namespace fs = std::filesystem;

// A folder of its own, removed at the end.
class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "gw-config-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  std::string write(const std::string& name, const std::string& text) const {
    fs::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << text;
    return (path_ / name).string();
  }
  std::string path() const { return path_.string(); }

 private:
  fs::path path_;
};

std::string team(const std::string& name) {
  return "apiVersion: gw/v1\nkind: Team\nmetadata: {name: " + name + "}\n";
}

TEST_CASE("a directory is read in order of names, YAML files only") {
  Folder folder;
  folder.write("b.yaml", team("b"));
  folder.write("a/z.yml", team("z"));
  folder.write("a/y.yaml", team("y"));
  folder.write("notes.txt", "not: yaml: at all");
  folder.write(".hidden/x.yaml", team("x"));
  folder.write(".x.yaml", team("x"));
  DiagnosticList diagnostics;
  auto files = load_paths({folder.path()}, {}, diagnostics);
  REQUIRE(files.ok());
  CHECK(diagnostics.empty());
  std::string names;
  for (const LoadedFile& file : *files) names += file.objects.at(0).object.metadata().name();
  CHECK(names == "yzb");
}

TEST_CASE("the same object in two files is refused, with both places") {
  Folder folder;
  std::string a = folder.write("a.yaml", team("t")),
              b = folder.write("b.yaml", "# x\n" + team("t"));
  DiagnosticList diagnostics;
  REQUIRE(load_paths({a, b}, {}, diagnostics).ok());
  CHECK(texts(diagnostics) == b +
                                  ":4:18: error GW1014: Team t: metadata.name: the object is there "
                                  "twice; remove one; the first is at " +
                                  a + ":3\n");
}

TEST_CASE("standard input comes from the caller") {
  StdinText in;
  in.text = team("x");
  DiagnosticList diagnostics;
  auto files = load_paths({"-"}, {}, diagnostics, &in);
  REQUIRE(files.ok());
  CHECK(files->at(0).name == "<stdin>");
  CHECK(files->at(0).objects.size() == 1);
}

TEST_CASE("paths that cannot be read are an error of the call, not of the configuration") {
  Folder folder;
  DiagnosticList diagnostics;
  auto code = [&](const std::string& path) {
    return load_paths({path}, {}, diagnostics).status().code();
  };
  CHECK(code(folder.path() + "/none.yaml") == absl::StatusCode::kNotFound);
  CHECK(code(folder.path()) == absl::StatusCode::kNotFound);  // no YAML in it
  CHECK(code("/dev/null") == absl::StatusCode::kInvalidArgument);
  CHECK(diagnostics.empty());
}

TEST_CASE("limits hold over all files together") {
  Folder folder;
  for (int i = 0; i < 5; ++i)
    folder.write("f" + std::to_string(i) + ".yaml", team("t" + std::to_string(i)));
  DiagnosticList diagnostics;
  LoadOptions options;
  options.max_files = 4;
  CHECK(load_paths({folder.path()}, options, diagnostics).status().code() ==
        absl::StatusCode::kResourceExhausted);
  options.max_files = 5;
  CHECK(load_paths({folder.path()}, options, diagnostics).ok());
  options.max_total_bytes = 4 * team("t0").size();
  CHECK(load_paths({folder.path()}, options, diagnostics).status().code() ==
        absl::StatusCode::kResourceExhausted);
}

TEST_CASE("a hundred megabytes are refused without being read whole") {
  Folder folder;
  std::string big = folder.write("big.yaml", "");
  REQUIRE(truncate(big.c_str(), 100 << 20) == 0);
  DiagnosticList diagnostics;
  auto files = load_paths({big}, {}, diagnostics);
  REQUIRE(files.ok());
  REQUIRE(diagnostics.items().size() == 1);
  CHECK(diagnostics.items()[0].code() == "GW1002");
  CHECK(diagnostics.items()[0].message() == "the file is larger than 16MiB");
}

}  // namespace
}  // namespace gw
