#include <algorithm>
#include <map>

#include "common/base/status.h"
#include "common/crypto/hex.h"
#include "controlplane/admin/admin_handlers.h"
#include "controlplane/admin/apply.h"
#include "controlplane/admin/certificate_views.h"
#include "controlplane/admin/facts.h"
#include "dataplane/snapshot/explain.h"

namespace gw {
namespace {

// Version that the current row of each configuration object comes from.
absl::StatusOr<std::map<uint64_t, uint64_t>> origins(Database& db) {
  std::map<uint64_t, uint64_t> out;
  GW_RETURN_IF_ERROR(db.read([&](Connection& c) {
    return c.query("SELECT uid, from_version FROM objects WHERE to_version IS NULL", {}, [&](const Row& row) {
      out[row.id(0)] = row.id(1);
      return absl::OkStatus();
    });
  }));
  return out;
}

bool wanted(const v1::ListObjectsRequest& request, Kind kind, const v1::Object& object) {
  const v1::Metadata& m = object.metadata();
  if (!request.kind().empty() && object.spec_case() != kind) return false;
  if (!request.owner().empty() && m.owner() != request.owner() && !object.has_team()) return false;
  if (!request.name().empty() && m.name() != request.name()) return false;
  if (!request.set().empty() && object.set() != request.set()) return false;
  return std::all_of(request.labels().begin(), request.labels().end(), [&](const v1::Pair& label) {
    return std::any_of(m.labels().begin(), m.labels().end(), [&](const v1::Pair& p) {
      return p.name() == label.name() && p.value() == label.value();
    });
  });
}

void add_condition(v1::ObjectView& view, const char* type, std::string status, std::string reason = "") {
  v1::Condition& c = *view.add_conditions();
  c.set_type(type);
  c.set_status(std::move(status));
  c.set_reason(std::move(reason));
}

void add_active(v1::ObjectView& view, uint64_t origin, const std::vector<v1::NodeInfo>& nodes, uint64_t directory_version,
                uint64_t certificates_version) {
  int connected = 0, active = 0;
  bool record = is_record(view.object().spec_case());
  bool tls = view.object().has_secret() || view.object().has_certificate();
  for (const v1::NodeInfo& node : nodes) {
    if (!node.connected()) continue;
    ++connected;
    active += tls ? node.certificates_version() >= certificates_version
              : record ? node.directory_version() >= directory_version : node.config_version() >= origin;
  }
  add_condition(view, "Active", std::to_string(active) + "/" + std::to_string(connected));
}

// As the nodes reported them last.
void add_targets(const std::map<std::string, v1::MetricsReport>& reports, v1::ObjectView& view) {
  for (const auto& [node, report] : reports) {
    for (const v1::UpstreamTotals& upstream : report.upstreams()) {
      if (upstream.upstream() != view.object().uid() || (upstream.targets().empty() && upstream.names().empty())) continue;
      v1::NodeTargets& row = *view.add_targets();
      row.set_node(node);
      *row.mutable_targets() = upstream.targets();
      *row.mutable_names() = upstream.names();
    }
  }
}

}  // namespace

absl::StatusOr<Caller> AdminHandlers::authenticate(std::string_view token) const {
  return gw::authenticate(parts_.engine->db(), token, *parts_.clock);
}

absl::StatusOr<v1::WhoAmIResponse> AdminHandlers::who_am_i(const Caller& caller) {
  v1::WhoAmIResponse out;
  out.set_name(caller.name);
  out.set_role(caller.role);
  out.set_team(caller.team);
  out.set_server_build(parts_.build);
  Lineage lineage = parts_.engine->db().lineage();
  out.set_lineage(to_hex(std::string(lineage.begin(), lineage.end())));
  return out;
}

absl::StatusOr<v1::ApplyResponse> AdminHandlers::commit(const Builder& build) {
  v1::ApplyResponse out;
  GW_ASSIGN_OR_RETURN(Committed done, parts_.engine->commit([&](const Catalog& now, ChangeSet& change) {
    return build(now, change, out);
  }));
  out.set_version(done.version);
  out.set_directory_version(done.directory_version);
  out.set_certificates_version(done.certificates_version);
  for (const Diagnostic& d : done.diagnostics.items()) *out.add_diagnostics() = d;
  out.set_nodes_connected(parts_.nodes->connected());
  return out;
}

absl::StatusOr<v1::ApplyResponse> AdminHandlers::apply(const Caller& caller, const v1::ApplyRequest& request) {
  GW_RETURN_IF_ERROR(request.dry_run() ? absl::OkStatus() : must_write_something(caller, "applying"));
  return commit([&](const Catalog& now, ChangeSet& change, v1::ApplyResponse& out) {
    return build_apply(request, caller, *parts_.engine, now, change, out);
  });
}

absl::StatusOr<v1::ApplyResponse> AdminHandlers::remove(const Caller& caller, const v1::DeleteRequest& request) {
  GW_RETURN_IF_ERROR(must_write_something(caller, "deleting"));
  return commit([&](const Catalog& now, ChangeSet& change, v1::ApplyResponse& out) {
    return build_delete(request, caller, now, change, out);
  });
}

absl::StatusOr<v1::ApplyResponse> AdminHandlers::undo(const Caller& caller, const v1::UndoRequest& request) {
  GW_RETURN_IF_ERROR(must_write_something(caller, "undoing"));
  return commit([&](const Catalog& now, ChangeSet& change, v1::ApplyResponse& out) {
    return build_undo(request, caller, *parts_.engine, now, change, out);
  });
}

absl::StatusOr<v1::ListObjectsResponse> AdminHandlers::list_objects(const v1::ListObjectsRequest& request) {
  Kind kind = kind_from_name(request.kind());
  if (!request.kind().empty() && kind == v1::Object::SPEC_NOT_SET) return invalid_argument("there is no kind " + request.kind());
  v1::ListObjectsResponse out;
  if (request.version() != 0) {
    out.set_version(request.version());
    GW_RETURN_IF_ERROR(parts_.engine->db().read([&](Connection& db) -> absl::Status {
      GW_ASSIGN_OR_RETURN(std::optional<VersionRow> row, find_version(db, request.version()));
      if (!row) return not_found("there is no version " + std::to_string(request.version()));
      GW_ASSIGN_OR_RETURN(std::vector<ObjectPtr> objects, objects_at(db, request.version()));
      std::sort(objects.begin(), objects.end(), [](const ObjectPtr& a, const ObjectPtr& b) { return key_of(*a) < key_of(*b); });
      for (const ObjectPtr& o : objects) {
        if (wanted(request, kind, *o)) *out.add_objects()->mutable_object() = *o;
      }
      return absl::OkStatus();
    }));
    return out;
  }
  GW_ASSIGN_OR_RETURN(auto from, origins(parts_.engine->db()));
  std::vector<v1::NodeInfo> nodes = parts_.nodes->nodes();
  out.set_version(parts_.engine->version());
  uint64_t directory = parts_.engine->directory_version();
  uint64_t certificates = parts_.engine->certificates_version();
  std::vector<SwitchRow> switches = request.name().empty() ? std::vector<SwitchRow>() : switches_in_force();
  std::map<std::string, v1::MetricsReport> reports;
  if (!request.name().empty()) reports = parts_.metrics->last_metrics();
  parts_.engine->read([&](const Catalog& now) {
    now.for_each([&](const ObjectPtr& o) {
      if (!wanted(request, kind, *o)) return;
      v1::ObjectView& view = *out.add_objects();
      *view.mutable_object() = *o;
      add_condition(view, "Accepted", "True");
      add_condition(view, "ResolvedRefs", "True");
      add_active(view, from[o->uid()], nodes, directory, certificates);
      add_certificate_facts(now, *o, view);
      if (!request.name().empty()) add_facts(now, *o, nodes, view);
      add_switch_facts(switches, view);
      if (!request.name().empty() && o->has_upstream()) add_targets(reports, view);
    });
  });
  if (!request.name().empty()) {
    for (v1::ObjectView& view : *out.mutable_objects()) add_serving_facts(view);
  }
  return out;
}

absl::StatusOr<v1::ExplainResponse> AdminHandlers::explain(const v1::ExplainRequest& request) {
  uint64_t version = request.version() != 0 ? request.version() : parts_.engine->version();
  if (version == 0) return failed_precondition("there is no configuration yet; apply one first");
  GW_ASSIGN_OR_RETURN(Tables tables, parts_.engine->tables(version));
  ExplainInput input;
  if (!request.method().empty()) input.method = request.method();
  input.url = request.url();
  for (const v1::Pair& h : request.headers()) input.headers.emplace_back(h.name(), h.value());
  input.client_address = request.client_address();
  input.gateway = request.gateway();
  input.wall_ns = parts_.clock->wall_ns();
  if (!request.as_app().empty()) {
    size_t slash = request.as_app().find('/');
    if (slash == std::string::npos) return invalid_argument("write the App as owner/name");
    ObjectKey key{v1::Object::kApp, request.as_app().substr(0, slash), request.as_app().substr(slash + 1)};
    parts_.engine->read([&](const Catalog& now) {
      if (const v1::Object* app = now.find(key)) input.as_app = app->uid();
    });
    if (input.as_app == 0) return not_found("there is no App " + request.as_app());
  }
  tables.quota = parts_.quotas->view();
  tables.switches = parts_.switches->view();
  v1::ExplainResponse out = gw::explain(tables, input);
  out.set_version(version);
  return out;
}

}  // namespace gw
