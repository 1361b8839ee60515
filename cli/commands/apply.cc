// plan, diff, apply, delete.
#include "cli/commands.h"
#include "cli/commands/changes.h"
#include "cli/commands/plan_file.h"
#include "cli/commands/source.h"
#include "cli/errors.h"
#include "cli/kinds.h"
#include "cli/views.h"
#include "common/base/status.h"
#include "common/config/kinds.h"

namespace gw::cli {
namespace {

absl::StatusOr<v1::ApplyRequest> request_from_files(Session& session, const std::vector<std::string>& files,
                                                    const std::string& set, bool prune) {
  if (prune && set.empty()) return usage_error("--prune deletes inside a set only: give --set NAME");
  GW_ASSIGN_OR_RETURN(Settings settings, session.settings());
  GW_ASSIGN_OR_RETURN(Source source, read_valid_source(session, files, settings.owner));
  v1::ApplyRequest request;
  for (const LoadedObject* loaded : source.loaded()) *request.add_objects() = loaded->object;
  request.set_owner(settings.owner);
  request.set_set(set);
  request.set_prune(prune);
  return request;
}

absl::StatusOr<v1::ApplyResponse> dry_run(Session& session, const ChangeOptions& options, v1::ApplyRequest& request) {
  GW_ASSIGN_OR_RETURN(request, request_from_files(session, options.files, options.set, options.prune));
  GW_ASSIGN_OR_RETURN(AdminClient * client, session.client());
  request.set_dry_run(true);
  GW_ASSIGN_OR_RETURN(v1::ApplyResponse response, client->apply(request));
  for (const v1::Diagnostic& d : response.diagnostics()) session.diagnostic(d);
  return response;
}

Json plan_json(const v1::ApplyResponse& response) {
  Json json = changes_json(response.changes());
  json["diagnostics"] = to_json_array(response.diagnostics());
  return json;
}

// The one object of this kind and name, wherever the owner is not said.
absl::StatusOr<v1::ObjectId> resolve_id(AdminClient& client, const std::string& kind, const std::string& name,
                                        const std::string& owner) {
  GW_ASSIGN_OR_RETURN(v1::ObjectId id, parse_object_id(kind, name, owner));
  if (kind == "Team" || !id.owner().empty()) return id;
  v1::ListObjectsRequest request;
  request.set_kind(kind);
  request.set_name(id.name());
  GW_ASSIGN_OR_RETURN(v1::ListObjectsResponse found, client.list_objects(request));
  if (found.objects_size() == 0) return failure(ExitCode::kNotFound, kind + " " + name + ": there is none");
  if (found.objects_size() > 1) return usage_error(kind + " " + name + ": more than one team has it; write owner/name");
  id.set_owner(found.objects(0).object().metadata().owner());
  return id;
}

absl::StatusOr<v1::DeleteRequest> delete_request(Session& session, const DeleteOptions& options) {
  GW_ASSIGN_OR_RETURN(Settings settings, session.settings());
  GW_ASSIGN_OR_RETURN(AdminClient * client, session.client());
  v1::DeleteRequest request;
  request.set_message(options.message);
  if (!options.files.empty()) {
    if (!options.kind.empty()) return usage_error("give KIND NAME or -f FILE, not both");
    GW_ASSIGN_OR_RETURN(Source source, read_valid_source(session, options.files, settings.owner));
    for (const LoadedObject* loaded : source.loaded()) {
      const v1::Metadata& meta = loaded->object.metadata();
      GW_ASSIGN_OR_RETURN(*request.add_ids(),
                          resolve_id(*client, loaded->kind, object_name(meta.owner(), meta.name()), settings.owner));
    }
    return request;
  }
  std::string word = options.kind;
  std::vector<std::string> names = options.names;
  if (size_t slash = word.find('/'); slash != std::string::npos) {
    names.insert(names.begin(), word.substr(slash + 1));
    word.resize(slash);
  }
  GW_ASSIGN_OR_RETURN(std::string kind, parse_kind(word));
  if (names.empty()) return usage_error("delete which " + kind + "? write gwctl delete " + word + " OWNER/NAME");
  for (const std::string& name : names) {
    GW_ASSIGN_OR_RETURN(*request.add_ids(), resolve_id(*client, kind, name, settings.owner));
  }
  return request;
}

}  // namespace

absl::StatusOr<int> run_plan(Session& session, const ChangeOptions& options) {
  v1::ApplyRequest request;
  GW_ASSIGN_OR_RETURN(v1::ApplyResponse response, dry_run(session, options, request));
  session.emit(plan_json(response), changed_names(response.changes()),
               [&](bool) { return changes_text(response.changes(), session.paint()); });
  if (!options.out.empty()) {
    GW_ASSIGN_OR_RETURN(AdminClient * client, session.client());
    GW_ASSIGN_OR_RETURN(v1::WhoAmIResponse server, client->who_am_i({}));
    GW_RETURN_IF_ERROR(write_plan_file(options.out, request, response, server.lineage()));
    session.talk("apply with: gwctl apply --plan " + options.out);
  }
  return options.exit_code && has_changes(response.changes()) ? static_cast<int>(ExitCode::kNo) : 0;
}

absl::StatusOr<int> run_diff(Session& session, const ChangeOptions& options) {
  v1::ApplyRequest request;
  GW_ASSIGN_OR_RETURN(v1::ApplyResponse response, dry_run(session, options, request));
  session.emit(plan_json(response), changed_names(response.changes()),
               [&](bool) { return diff_text(response.changes(), session.paint()); });
  return !options.exit_zero && has_changes(response.changes()) ? static_cast<int>(ExitCode::kNo) : 0;
}

absl::StatusOr<int> run_apply(Session& session, const ApplyOptions& options) {
  GW_RETURN_IF_ERROR(check_wait_options(options.wait));
  v1::ApplyRequest request;
  GW_ASSIGN_OR_RETURN(AdminClient * client, session.client());
  if (!options.plan.empty()) {
    if (!options.files.empty() || !options.set.empty() || options.prune) {
      return usage_error("--plan says what to apply: no -f, --set or --prune with it");
    }
    std::string lineage;
    GW_ASSIGN_OR_RETURN(request, read_plan_file(options.plan, lineage));
    GW_ASSIGN_OR_RETURN(v1::WhoAmIResponse server, client->who_am_i({}));
    if (server.lineage() != lineage) {
      return failure(ExitCode::kConflict, options.plan + ": was made against another store (or one from before a restore); plan again");
    }
  } else {
    GW_ASSIGN_OR_RETURN(request, request_from_files(session, options.files, options.set, options.prune));
  }
  request.set_message(options.message);
  GW_ASSIGN_OR_RETURN(v1::ApplyResponse response, client->apply(request));
  return finish_change(session, response, options.wait);
}

absl::StatusOr<int> run_delete(Session& session, const DeleteOptions& options) {
  GW_RETURN_IF_ERROR(check_wait_options(options.wait));
  if (options.kind.empty() && options.files.empty()) return usage_error("delete what? give KIND NAME… or -f FILE");
  GW_ASSIGN_OR_RETURN(v1::DeleteRequest request, delete_request(session, options));
  std::string records;
  for (const v1::ObjectId& id : request.ids()) {
    if (is_record(id.kind())) records += (records.empty() ? "" : ", ") + id.kind() + " " + object_name(id.owner(), id.name());
  }
  if (!records.empty()) {
    GW_RETURN_IF_ERROR(session.confirm("Delete " + records + "?"));
  }
  GW_ASSIGN_OR_RETURN(AdminClient * client, session.client());
  GW_ASSIGN_OR_RETURN(v1::ApplyResponse response, client->remove(request));
  return finish_change(session, response, options.wait);
}

}  // namespace gw::cli
