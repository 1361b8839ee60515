#pragma once
// A directory under /tmp for one test, gone with its object.

#include <filesystem>
#include <string>

#include <stdlib.h>

namespace gw::test {

class TempDir {
 public:
  TempDir() {
    char name[] = "/tmp/gw-test-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace gw::test
