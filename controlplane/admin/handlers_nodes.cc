#include <spdlog/spdlog.h>

#include <map>
#include <set>

#include "common/base/status.h"
#include "controlplane/admin/admin_handlers.h"
#include "controlplane/store/authority.h"
#include "controlplane/store/tokens.h"

namespace gw {

absl::StatusOr<v1::ListNodesResponse> AdminHandlers::list_nodes() {
  std::map<std::string, NodeCertificateRow> certificates;
  std::set<std::string> revoked;
  GW_RETURN_IF_ERROR(parts_.engine->db().read([&](Connection& db) -> absl::Status {
    GW_ASSIGN_OR_RETURN(std::vector<NodeCertificateRow> rows, newest_node_certificates(db));
    for (NodeCertificateRow& row : rows) certificates[row.node] = std::move(row);
    GW_ASSIGN_OR_RETURN(std::vector<std::string> names, revoked_node_names(db));
    revoked.insert(names.begin(), names.end());
    return absl::OkStatus();
  }));
  v1::ListNodesResponse out;
  for (v1::NodeInfo& node : parts_.nodes->nodes()) {
    parts_.metrics->complete(node);
    if (auto at = certificates.find(node.node()); at != certificates.end()) {
      node.set_certificate_serial(at->second.serial);
      node.set_certificate_expires_at(at->second.not_after);
    }
    node.set_revoked(revoked.contains(node.node()));
    *out.add_nodes() = std::move(node);
  }
  return out;
}

absl::StatusOr<v1::RevokeNodeResponse> AdminHandlers::revoke_node(
    const Caller& caller, const v1::RevokeNodeRequest& request) {
  GW_RETURN_IF_ERROR(must_be_admin(caller, "revoking nodes"));
  const std::string& node = request.node();
  v1::RevokeNodeResponse out;
  GW_RETURN_IF_ERROR(parts_.engine->db().write([&](Connection& db) -> absl::Status {
    GW_ASSIGN_OR_RETURN(bool there, revoke_node_tokens(db, node, parts_.engine->now_s()));
    if (!there)
      return not_found("no node of the name " + node +
                       " has joined; `gwctl node list` shows those that have");
    GW_ASSIGN_OR_RETURN(int64_t certificates,
                        revoke_node_certificates(db, node, parts_.engine->now_s()));
    out.set_certificates(static_cast<uint32_t>(certificates));
    GW_RETURN_IF_ERROR(refuse_joins(db, node));
    return put_audit(db, parts_.engine->now_ms(), caller.actor(), "revoke node", node, "");
  }));
  spdlog::info("node {} was revoked by {}", node, caller.actor());
  parts_.end_node(
      node,
      unauthenticated("node " + node +
                      " was revoked; it joins again with a join token that is made from now on"));
  return out;
}

}  // namespace gw
