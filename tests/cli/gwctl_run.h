// gwctl in a world of its own: streams in memory, a directory for its files, a fake admin API, a clock that sleeping moves.
#pragma once

#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "cli/gwctl.h"
#include "common/base/clock.h"
#include "tests/cli/fake_admin.h"

namespace gw::cli {

class GwctlRun {
 public:
  // Server and token are set by variables, as `deploy/local.sh env` does.
  GwctlRun();
  ~GwctlRun();
  GwctlRun(const GwctlRun&) = delete;
  GwctlRun& operator=(const GwctlRun&) = delete;

  int run(const std::vector<std::string>& args);
  // A file in the directory; its path.
  std::string file(const std::string& name, const std::string& text);
  std::string read(const std::string& name) const;

  FakeAdminState admin;
  ManualClock clock;
  Environment env;
  std::map<std::string, std::string> variables;
  std::string directory;
  std::string input;     // of the next run
  std::string out, err;  // of the last run
};

// `text` is what stands in tests/golden/cli/NAME. With GW_UPDATE_GOLDEN=1 it is written there instead.
bool is_golden(const std::string& name, const std::string& text);

v1::NodeRollout node_rollout(const std::string& node, const std::string& zone, v1::NodeState state, bool connected = true);
v1::RolloutStatus rollout(uint64_t version, const std::string& phase, std::vector<v1::NodeRollout> nodes, bool final, double seconds = 0.42);
// Version 142: Plan platform/free has changed, one object has not.
v1::ApplyResponse plan_change();
v1::ObjectView view(const std::string& yaml);

extern const char kDemoObjects[];  // YAML of a small configuration

}  // namespace gw::cli
