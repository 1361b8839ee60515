// key create/list/rotate/revoke/import, token create/list/revoke, context list/use/set/delete.
#include <algorithm>

#include "cli/commands.h"
#include "cli/commands/changes.h"
#include "cli/errors.h"
#include "cli/views.h"
#include "common/base/status.h"
#include "common/crypto/hex.h"

namespace gw::cli {
namespace {

constexpr size_t kMaxImportBytes = size_t{64} << 20;
constexpr size_t kKeysPerCall = 5000;

absl::StatusOr<int64_t> seconds_flag(std::string_view flag, const std::string& text, int64_t when_empty) {
  if (text.empty()) return when_empty;
  GW_ASSIGN_OR_RETURN(int64_t ms, duration_flag_ms(flag, text));
  return std::max<int64_t>(ms / 1000, 1);
}

absl::Status check_app(const std::string& app) {
  size_t slash = app.find('/');
  if (slash != std::string::npos && slash > 0 && slash + 1 < app.size() && app.find('/', slash + 1) == std::string::npos) return absl::OkStatus();
  return usage_error("--app \"" + app + "\": write owner/name");
}

std::string state_text(bool revoked, int64_t expires_at, const Session& session) {
  if (revoked) return "revoked";
  return expires_at > 0 && expires_at * 1'000'000'000 <= session.env().clock->wall_ns() ? "expired" : "good";
}

Cell state_cell(const std::string& state) { return {state, state == "good" ? Style::kGood : Style::kDim}; }

// The secret goes to stdout alone, so that `> file` keeps it and nothing else.
void print_key(Session& session, const v1::CreateKeyResponse& made) {
  session.emit({{"key", made.key()}, {"info", to_json(made.info())}}, {made.key()}, [&](bool) { return made.key() + "\n"; });
  session.talk("key " + made.info().id() + " of " + made.info().app() + "; it is shown this once and only its hash is kept");
  session.talk("undo with: gwctl key revoke " + made.info().id());
}

// app,sha256-hex
absl::StatusOr<v1::ImportedKey> parse_import_line(const std::string& line, int number, const std::string& path) {
  const std::string where = path + ":" + std::to_string(number) + ": ";
  size_t comma = line.find(',');
  if (comma == std::string::npos) return failure(ExitCode::kRefused, where + "write app,sha256-hex");
  v1::ImportedKey key;
  key.set_app(line.substr(0, comma));
  key.set_line(number);
  if (!check_app(key.app()).ok()) return failure(ExitCode::kRefused, where + "\"" + key.app() + "\": write owner/name of the App");
  auto bytes = from_hex(std::string_view(line).substr(comma + 1));
  if (!bytes || bytes->size() != 32) return failure(ExitCode::kRefused, where + "the hash is not 64 hexadecimal digits");
  key.set_sha256(*bytes);
  return key;
}

absl::StatusOr<std::vector<v1::ImportedKey>> parse_import(const std::string& text, const std::string& path) {
  std::vector<v1::ImportedKey> out;
  int number = 0;
  for (size_t at = 0; at < text.size();) {
    size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    at = end + 1;
    ++number;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty() || line[0] == '#') continue;
    GW_ASSIGN_OR_RETURN(v1::ImportedKey key, parse_import_line(line, number, path));
    out.push_back(std::move(key));
  }
  return out;
}

}  // namespace

absl::StatusOr<int> run_key_create(Session& session, const KeyOptions& options) {
  GW_RETURN_IF_ERROR(check_app(options.app));
  v1::CreateKeyRequest request;
  request.set_app(options.app);
  GW_ASSIGN_OR_RETURN(int64_t ttl, seconds_flag("--ttl", options.ttl, 0));
  request.set_ttl_seconds(ttl);
  GW_ASSIGN_OR_RETURN(AdminClient * client, session.client());
  GW_ASSIGN_OR_RETURN(v1::CreateKeyResponse made, client->create_key(request));
  print_key(session, made);
  if (!options.no_wait) wait_for_directory(session, made.directory_version());
  return 0;
}

absl::StatusOr<int> run_key_list(Session& session, const KeyOptions& options) {
  if (!options.app.empty()) {
    GW_RETURN_IF_ERROR(check_app(options.app));
  }
  GW_ASSIGN_OR_RETURN(AdminClient * client, session.client());
  v1::ListKeysRequest request;
  request.set_app(options.app);
  GW_ASSIGN_OR_RETURN(v1::ListKeysResponse found, client->list_keys(request));
  std::vector<std::string> names;
  Table table({{"ID"}, {"APP"}, {"TYPE"}, {"STATE"}, {"CREATED"}, {"EXPIRES"}});
  for (const v1::KeyInfo& k : found.keys()) {
    names.push_back("key/" + k.id());
    table.add({k.id(), k.app(), std::string(k.live() ? "live" : "test") + (k.imported() ? ", imported" : ""),
               state_cell(state_text(k.revoked(), k.expires_at(), session)), or_dash(time_text(k.created_at())), or_dash(time_text(k.expires_at()))});
  }
  session.emit(to_json_array(found.keys()), names, [&](bool) { return table.empty() ? std::string() : table.render(session.paint()); });
  return 0;
}

absl::StatusOr<int> run_key_rotate(Session& session, const KeyOptions& options) {
  v1::RotateKeyRequest request;
  request.set_id(options.id);
  GW_ASSIGN_OR_RETURN(int64_t overlap, seconds_flag("--overlap", options.overlap, 0));
  request.set_overlap_seconds(overlap);
  GW_ASSIGN_OR_RETURN(AdminClient * client, session.client());
  GW_ASSIGN_OR_RETURN(v1::CreateKeyResponse made, client->rotate_key(request));
  print_key(session, made);
  session.talk("key " + options.id + (overlap > 0 ? " is good for another " + options.overlap : " is good no longer"));
  if (!options.no_wait) wait_for_directory(session, made.directory_version());
  return 0;
}

absl::StatusOr<int> run_key_revoke(Session& session, const KeyOptions& options) {
  GW_RETURN_IF_ERROR(session.confirm("Revoke key " + options.id + "?"));
  v1::RevokeKeyRequest request;
  request.set_id(options.id);
  GW_ASSIGN_OR_RETURN(AdminClient * client, session.client());
  GW_ASSIGN_OR_RETURN(v1::RevokeKeyResponse done, client->revoke_key(request));
  session.emit({{"id", options.id}, {"revoked", true}}, {"key/" + options.id}, [&](bool) { return "key " + options.id + " revoked\n"; });
  bool everywhere = options.no_wait || wait_for_directory(session, done.directory_version());
  return everywhere ? 0 : static_cast<int>(ExitCode::kTimeout);
}

absl::StatusOr<int> run_key_import(Session& session, const KeyOptions& options) {
  GW_ASSIGN_OR_RETURN(std::string text, read_small_file(options.file, kMaxImportBytes));
  GW_ASSIGN_OR_RETURN(std::vector<v1::ImportedKey> keys, parse_import(text, options.file));
  if (keys.empty()) return usage_error(options.file + ": holds no keys; write lines app,sha256-hex");
  GW_ASSIGN_OR_RETURN(AdminClient * client, session.client());
  v1::ImportKeysResponse total;
  for (size_t at = 0; at < keys.size(); at += kKeysPerCall) {
    v1::ImportKeysRequest request;
    for (size_t i = at; i < std::min(at + kKeysPerCall, keys.size()); ++i) *request.add_keys() = std::move(keys[i]);
    GW_ASSIGN_OR_RETURN(v1::ImportKeysResponse done, client->import_keys(request));
    total.set_imported(total.imported() + done.imported());
    total.set_already_there(total.already_there() + done.already_there());
    total.set_directory_version(std::max(total.directory_version(), done.directory_version()));
  }
  session.emit({{"imported", total.imported()}, {"alreadyThere", total.already_there()}}, {}, [&](bool) {
    return std::to_string(total.imported()) + " keys imported, " + std::to_string(total.already_there()) + " were there\n";
  });
  if (!options.no_wait) wait_for_directory(session, total.directory_version());
  return 0;
}

absl::StatusOr<int> run_token_create(Session& session, const TokenOptions& options) {
  if (options.role == "editor" && options.team.empty()) return usage_error("--role editor: of which team? give --team NAME");
  v1::CreateTokenRequest request;
  request.set_name(options.name);
  request.set_role(options.role);
  request.set_team(options.team);
  GW_ASSIGN_OR_RETURN(int64_t ttl, seconds_flag("--ttl", options.ttl, 0));
  request.set_ttl_seconds(ttl);
  GW_ASSIGN_OR_RETURN(AdminClient * client, session.client());
  GW_ASSIGN_OR_RETURN(v1::CreateTokenResponse made, client->create_token(request));
  Json json = {{"token", made.token()}, {"info", to_json(made.info())}};
  if (!made.ca().empty()) json["ca"] = made.ca();
  // One file for a node: the token, and behind it by which CA it knows the control plane.
  session.emit(json, {made.token()}, [&](bool) { return made.token() + "\n" + made.ca(); });
  const std::string expiry = time_text(made.info().expires_at());
  session.talk("token " + made.info().id() + " (" + made.info().role() + (expiry.empty() ? "" : ", until " + expiry) +
               "); it is shown this once: keep it in a file that only its user can read");
  session.talk("undo with: gwctl token revoke " + made.info().id());
  return 0;
}

absl::StatusOr<int> run_token_list(Session& session) {
  GW_ASSIGN_OR_RETURN(AdminClient * client, session.client());
  GW_ASSIGN_OR_RETURN(v1::ListTokensResponse found, client->list_tokens({}));
  std::vector<std::string> names;
  Table table({{"ID"}, {"NAME", false, true}, {"ROLE"}, {"TEAM"}, {"STATE"}, {"EXPIRES"}});
  for (const v1::TokenInfo& t : found.tokens()) {
    names.push_back("token/" + t.id());
    table.add({t.id(), t.name(), t.role(), or_dash(t.team()), state_cell(state_text(t.revoked(), t.expires_at(), session)), or_dash(time_text(t.expires_at()))});
  }
  session.emit(to_json_array(found.tokens()), names, [&](bool) { return table.empty() ? std::string() : table.render(session.paint()); });
  return 0;
}

absl::StatusOr<int> run_token_revoke(Session& session, const TokenOptions& options) {
  GW_RETURN_IF_ERROR(session.confirm("Revoke token " + options.id + "?"));
  GW_ASSIGN_OR_RETURN(AdminClient * client, session.client());
  v1::RevokeTokenRequest request;
  request.set_id(options.id);
  GW_RETURN_IF_ERROR(client->revoke_token(request).status());
  session.emit({{"id", options.id}, {"revoked", true}}, {"token/" + options.id}, [&](bool) { return "token " + options.id + " revoked\n"; });
  return 0;
}

absl::StatusOr<int> run_node_revoke(Session& session, const NodeOptions& options) {
  GW_RETURN_IF_ERROR(session.confirm("Revoke node " + options.name + "?"));
  GW_ASSIGN_OR_RETURN(AdminClient * client, session.client());
  v1::RevokeNodeRequest request;
  request.set_node(options.name);
  GW_ASSIGN_OR_RETURN(v1::RevokeNodeResponse done, client->revoke_node(request));
  session.emit({{"node", options.name}, {"revoked", true}, {"certificates", done.certificates()}}, {"node/" + options.name}, [&](bool) {
    return "node " + options.name + " revoked: its token, " + std::to_string(done.certificates()) + (done.certificates() == 1 ? " certificate" : " certificates") +
           ", and its streams\n";
  });
  session.talk("it goes on serving what it holds; join tokens of before do not let it in again under this name, and those that it may have should be "
               "revoked too (gwctl token list)");
  session.talk("undo with: gwctl node join-token > FILE, and start the node with --join-token-file FILE");
  return 0;
}

absl::StatusOr<int> run_context_list(Session& session) {
  GW_ASSIGN_OR_RETURN(UserConfig config, load_user_config(user_config_path(session.env())));
  Json json = Json::array();
  std::vector<std::string> names;
  Table table({{""}, {"NAME"}, {"SERVER"}, {"OWNER"}, {"TOKEN FILE", false, true}});
  for (const Context& c : config.contexts) {
    bool current = c.name == config.current;
    Json one = {{"name", c.name}, {"server", c.server}};
    if (!c.ca.empty()) one["ca"] = c.ca;
    if (!c.token_file.empty()) one["tokenFile"] = c.token_file;
    if (!c.owner.empty()) one["owner"] = c.owner;
    one["current"] = current;
    json.push_back(std::move(one));
    names.push_back("context/" + c.name);
    table.add({current ? "*" : "", c.name, c.server, or_dash(c.owner), or_dash(c.token_file)});
  }
  session.emit(json, names, [&](bool) { return table.empty() ? std::string() : table.render(session.paint()); });
  if (config.contexts.empty()) session.talk("there is none; make one with `gwctl context set NAME --server HOST:PORT --token-file FILE`");
  return 0;
}

absl::StatusOr<int> run_context_use(Session& session, const ContextOptions& options) {
  const std::string path = user_config_path(session.env());
  GW_ASSIGN_OR_RETURN(UserConfig config, load_user_config(path));
  if (config.find(options.name) == nullptr) return failure(ExitCode::kNotFound, "context " + options.name + ": there is none in " + path);
  const std::string before = config.current;
  config.current = options.name;
  GW_RETURN_IF_ERROR(save_user_config(path, config));
  session.talk("context " + options.name + " is used from now on");
  if (!before.empty() && before != options.name) session.talk("undo with: gwctl context use " + before);
  return 0;
}

absl::StatusOr<int> run_context_set(Session& session, const ContextOptions& options) {
  const std::string path = user_config_path(session.env());
  GW_ASSIGN_OR_RETURN(UserConfig config, load_user_config(path));
  const ConnectionFlags& flags = session.globals().connection;
  auto found = std::find_if(config.contexts.begin(), config.contexts.end(), [&](const Context& c) { return c.name == options.name; });
  if (found == config.contexts.end()) {
    if (flags.server.empty()) return usage_error("context " + options.name + " is new: give --server HOST:PORT");
    found = config.contexts.insert(found, Context{options.name, "", "", "", ""});
  }
  if (!flags.server.empty()) found->server = flags.server;
  if (!flags.ca_file.empty()) found->ca = flags.ca_file;
  if (!flags.token_file.empty()) found->token_file = flags.token_file;
  if (!flags.owner.empty()) found->owner = flags.owner;
  if (config.current.empty()) config.current = options.name;
  GW_RETURN_IF_ERROR(save_user_config(path, config));
  session.talk("context " + options.name + " written to " + path);
  return 0;
}

absl::StatusOr<int> run_context_delete(Session& session, const ContextOptions& options) {
  const std::string path = user_config_path(session.env());
  GW_ASSIGN_OR_RETURN(UserConfig config, load_user_config(path));
  auto gone = std::remove_if(config.contexts.begin(), config.contexts.end(), [&](const Context& c) { return c.name == options.name; });
  if (gone == config.contexts.end()) return failure(ExitCode::kNotFound, "context " + options.name + ": there is none in " + path);
  config.contexts.erase(gone, config.contexts.end());
  if (config.current == options.name) config.current.clear();
  GW_RETURN_IF_ERROR(save_user_config(path, config));
  session.talk("context " + options.name + " deleted");
  return 0;
}

}  // namespace gw::cli
