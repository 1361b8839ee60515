// secret set, list, rotate-master.
#include "cli/commands/secrets.h"

#include <iterator>

#include "cli/commands.h"
#include "cli/commands/stream_verdict.h"
#include "cli/errors.h"
#include "cli/kinds.h"
#include "cli/settings.h"
#include "cli/views.h"
#include "common/base/status.h"
#include "common/config/kinds.h"
#include "common/config/utf8.h"

namespace gw::cli {
namespace {

std::string fact(const v1::ObjectView& view, const std::string& name) {
  for (const v1::Pair& p : view.facts()) {
    if (p.name() == name) return p.value();
  }
  return "";
}

absl::StatusOr<std::string> read_secret_value(Session& session, const SecretOptions& options) {
  if (options.file.empty() == !options.from_stdin) return usage_error("where is the value? give --from-file FILE or --from-stdin");
  std::string value;
  if (options.from_stdin) {
    value.resize(kMaxSecretBytes + 1);
    session.env().in->read(value.data(), static_cast<std::streamsize>(value.size()));
    value.resize(static_cast<size_t>(session.env().in->gcount()));
    if (value.size() > kMaxSecretBytes) return usage_error("stdin: has more than " + std::to_string(kMaxSecretBytes) + " bytes");
  } else {
    GW_ASSIGN_OR_RETURN(value, read_small_file(options.file, kMaxSecretBytes));
  }
  if (value.empty()) return usage_error("the value is empty");
  if (!is_utf8(value)) return usage_error("the value is not text (UTF-8); encode it as base64");
  return value;
}

}  // namespace

absl::StatusOr<v1::ApplyResponse> store_secret(Session& session, const std::string& name, std::string value, const std::string& message) {
  GW_ASSIGN_OR_RETURN(Settings settings, session.settings());
  GW_ASSIGN_OR_RETURN(AdminClient * client, session.client());
  GW_ASSIGN_OR_RETURN(v1::ObjectId id, parse_object_id("Secret", name, settings.owner));
  if (id.owner().empty()) {
    GW_ASSIGN_OR_RETURN(v1::WhoAmIResponse who, client->who_am_i({}));
    id.set_owner(who.team());
  }
  if (id.owner().empty()) return usage_error("whose Secret? write owner/" + id.name() + ", or give --owner TEAM");
  v1::ListObjectsRequest request;
  request.set_kind("Secret");
  request.set_owner(id.owner());
  request.set_name(id.name());
  GW_ASSIGN_OR_RETURN(v1::ListObjectsResponse found, client->list_objects(request));
  v1::ApplyRequest apply;
  v1::Object& object = *apply.add_objects();
  if (found.objects_size() > 0) {
    object = found.objects(0).object();
    apply.set_set(object.set());
  } else {
    object.mutable_metadata()->set_owner(id.owner());
    object.mutable_metadata()->set_name(id.name());
  }
  v1::SeenGeneration& seen = *apply.add_seen();
  seen.set_kind("Secret");
  seen.set_owner(id.owner());
  seen.set_name(id.name());
  seen.set_generation(found.objects_size() > 0 ? object.generation() : 0);
  object.mutable_secret()->set_value(std::move(value));
  apply.set_message(message);
  return client->apply(apply);
}

absl::StatusOr<int> run_secret_set(Session& session, const SecretOptions& options) {
  GW_RETURN_IF_ERROR(check_wait_options(options.wait));
  GW_ASSIGN_OR_RETURN(std::string value, read_secret_value(session, options));
  GW_ASSIGN_OR_RETURN(v1::ApplyResponse done, store_secret(session, options.name, std::move(value), options.message));
  for (const v1::Diagnostic& d : done.diagnostics()) session.diagnostic(d);
  const v1::Change change = done.changes_size() > 0 ? done.changes(0) : v1::Change();
  std::string name = object_name(change.owner(), change.name());
  Json json = {{"secret", name}, {"action", action_word(change.action())}, {"certificatesVersion", done.certificates_version()},
               {"nodesConnected", done.nodes_connected()}};
  std::string text = "Secret " + name + " " + action_word(change.action()) + "\n";
  int code = 0;
  if (done.certificates_version() > 0 && !options.wait.no_wait) {
    GW_ASSIGN_OR_RETURN(Verdict verdict, wait_for_rollout(session, {.certificates = done.certificates_version()}, options.wait));
    Json rollout = verdict_json(verdict);
    rollout.erase("version");  // it is not one of the configuration
    json["rollout"] = std::move(rollout);
    text += stream_verdict_text(verdict, session.paint());
    code = verdict.exit_code;
  }
  session.emit(json, {"secret/" + name}, [&](bool) { return text; });
  if (change.action() == v1::Change::CREATED) session.talk("undo with: gwctl delete secret " + name);
  if (change.action() == v1::Change::CHANGED) session.talk("the value before is kept nowhere; undo by setting it again from your copy");
  return code;
}

absl::StatusOr<int> run_secret_list(Session& session) {
  GW_ASSIGN_OR_RETURN(AdminClient * client, session.client());
  v1::ListObjectsRequest request;
  request.set_kind("Secret");
  request.set_owner(session.globals().connection.owner);
  GW_ASSIGN_OR_RETURN(auto labels, session.labels());
  for (v1::Pair& pair : labels) *request.add_labels() = std::move(pair);
  GW_ASSIGN_OR_RETURN(v1::ListObjectsResponse found, client->list_objects(request));
  Json json = Json::array();
  std::vector<std::string> names;
  Table table({{"SECRET"}, {"VALUE", false, true}, {"CHANGED"}});
  for (const v1::ObjectView& view : found.objects()) {
    std::string name = full_name(view.object());
    names.push_back("secret/" + name);
    json.push_back({{"secret", name}, {"value", fact(view, "value")}, {"changed", fact(view, "changed")}});
    table.add({name, or_dash(fact(view, "value")), or_dash(fact(view, "changed"))});
  }
  session.emit(json, names, [&](bool) { return table.empty() ? std::string() : table.render(session.paint()); });
  if (found.objects_size() == 0 && !session.machine_output()) session.talk("there is none");
  return 0;
}

absl::StatusOr<int> run_secret_rotate_master(Session& session) {
  GW_RETURN_IF_ERROR(session.confirm("Change the master key? Copies of the old key file will no longer open the database."));
  GW_ASSIGN_OR_RETURN(AdminClient * client, session.client());
  GW_ASSIGN_OR_RETURN(v1::RotateMasterResponse done, client->rotate_master({}));
  session.emit({{"keyId", done.key_id()}, {"secrets", done.secrets()}}, {done.key_id()}, [&](bool) {
    return "master key " + done.key_id() + " is in force; " + std::to_string(done.secrets()) + (done.secrets() == 1 ? " secret is" : " secrets are") + " encrypted under it\n";
  });
  session.talk("keep a new copy of the control plane's master key file, apart from backups of the database");
  return 0;
}

}  // namespace gw::cli
