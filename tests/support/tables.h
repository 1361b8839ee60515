// Tables as a node holds them, made from YAML in one step, without control plane or push.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "dataplane/snapshot/snapshot_builder.h"
#include "dataplane/snapshot/tables.h"

namespace gw::test {

class TableMaker {
 public:
  explicit TableMaker(BuilderOptions options = {});
  // Loads, compiles and builds; throws std::runtime_error with the findings when that is refused. Versions count from 1.
  Tables make(const std::string& yaml);

 private:
  SnapshotBuilder builder_;
  uint64_t version_ = 0;
};

}  // namespace gw::test
