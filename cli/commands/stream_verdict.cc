#include "cli/commands/stream_verdict.h"

#include "cli/errors.h"
#include "cli/views.h"

namespace gw::cli {
namespace {

std::string stream_node_line(const v1::NodeRollout& n, const Paint& paint) {
  std::string out = "  node " + n.node() + (n.zone().empty() ? "" : " (" + n.zone() + ")") + "  ";
  if (n.state() == v1::ACTIVE) return out + painted("in force", Style::kGood, paint) + "\n";
  if (n.state() != v1::REFUSED) return out + painted(n.connected() ? "not yet" : "lost: it holds no lease", Style::kBad, paint) + "\n";
  out += painted("refused", Style::kBad, paint) + "\n";
  for (v1::Diagnostic d : n.diagnostics()) {
    d.clear_node();
    out += "    " + to_text(d) + "\n";
  }
  return out;
}

}  // namespace

std::string stream_verdict_text(const Verdict& verdict, const Paint& paint) {
  std::string out;
  int in_force = 0;
  for (const v1::NodeRollout& n : verdict.status.nodes()) {
    out += stream_node_line(n, paint);
    in_force += n.state() == v1::ACTIVE;
  }
  if (verdict.lost_server) return out + "the control plane went away while waiting; it is stored\n";
  if (verdict.status.nodes().empty()) return out + painted("stored; no node is connected", Style::kBad, paint) + "\n";
  return out + "in force on " + std::to_string(in_force) + "/" + std::to_string(verdict.status.nodes_size()) + " nodes in " +
         seconds_text(verdict.status.seconds()) + "\n";
}

}  // namespace gw::cli
