// init: a working set of files for one backend.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "cli/commands.h"
#include "cli/errors.h"
#include "common/base/status.h"
#include "common/config/kinds.h"

namespace gw::cli {
namespace {

// What the control plane has already, where it can be asked.
struct Surroundings {
  bool asked = false;
  bool team = false;
  std::string gateway;  // owner/name, to be referred to
};

bool shared_with(const v1::Object& object, const std::string& team) {
  if (object.metadata().owner() == team) return true;
  const auto& list = object.metadata().share_with();
  return std::any_of(list.begin(), list.end(), [&](const std::string& s) { return s == "all" || s == team; });
}

Surroundings look_around(Session& session, const InitOptions& options) {
  Surroundings out;
  out.gateway = options.gateway;
  auto client = session.client();
  if (!client.ok()) return out;
  v1::ListObjectsRequest request;
  request.set_kind("Team");
  request.set_name(options.team);
  auto teams = (*client)->list_objects(request);
  if (!teams.ok()) return out;
  out.asked = true;
  out.team = teams->objects_size() > 0;
  request.Clear();
  request.set_kind("Gateway");
  auto gateways = (*client)->list_objects(request);
  if (!gateways.ok() || !out.gateway.empty()) return out;
  for (const v1::ObjectView& v : gateways->objects()) {
    if (shared_with(v.object(), options.team)) {
      out.gateway = full_name(v.object());
      break;
    }
  }
  return out;
}

// "my.localhost" -> "my"
std::string object_word(const std::string& host) {
  std::string out = host.substr(0, host.find('.'));
  std::string clean;
  for (char c : out) clean += (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : '-';
  while (!clean.empty() && clean.front() == '-') clean.erase(0, 1);
  while (!clean.empty() && clean.back() == '-') clean.pop_back();
  return clean.empty() ? "my-api" : clean.substr(0, 50);
}

std::string head(const std::string& kind, const std::string& name, const std::string& owner) {
  std::string out = "apiVersion: gw/v1\nkind: " + kind + "\nmetadata: {name: " + name;
  return out + (owner.empty() ? "" : ", owner: " + owner) + "}\n";
}

std::string api_file(const InitOptions& o, const std::string& word, const std::string& gateway) {
  std::string out = "# What callers see: one host, everything below /. Replace anonymous by a policy of type apiKey to ask for keys.\n" +
                    head("Api", word, o.team) + "spec:\n  title: " + word + "\n  version: \"1.0\"\n  hosts: [" + o.host + "]\n  basePath: /\n" +
                    "  auth: [anonymous]\n" + (gateway.empty() ? "" : "  gateways: [" + gateway + "]\n");
  return out + "---\n# Where it goes. `gwctl explain Route.match` tells what a route can ask for.\n" + head("Route", word, o.team) +
         "spec:\n  api: " + word + "\n  match: {path: {prefix: /}}\n  to: {upstream: " + word + "}\n";
}

absl::Status write_file(const std::filesystem::path& path, const std::string& text, bool force) {
  std::error_code error;
  if (!force && std::filesystem::exists(path, error)) {
    return usage_error(path.string() + " is there already; --force overwrites, --dir DIR writes elsewhere");
  }
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text << std::flush;
  if (!file) return usage_error("cannot write " + path.string() + ": " + std::strerror(errno));
  return absl::OkStatus();
}

absl::Status check(const InitOptions& o) {
  if (o.upstream.rfind("http://", 0) != 0 && o.upstream.rfind("https://", 0) != 0) {
    return usage_error("--upstream \"" + o.upstream + "\": write http://HOST:PORT or https://HOST:PORT");
  }
  for (char c : o.host + o.team + o.upstream + o.gateway) {
    if (c <= ' ' || c > '~' || std::strchr("\"'{}[],#", c) != nullptr) return usage_error("--host, --upstream, --team or --gateway: a character that does not belong there");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<int> run_init(Session& session, const InitOptions& given) {
  InitOptions options = given;
  GW_ASSIGN_OR_RETURN(Settings settings, session.offline_settings());
  if (options.team.empty()) options.team = settings.owner.empty() ? "platform" : settings.owner;
  GW_RETURN_IF_ERROR(check(options));
  Surroundings there = look_around(session, options);
  const std::string word = object_word(options.host);
  std::vector<std::pair<std::string, std::string>> files;
  if (!there.team) {
    files.emplace_back("team.yaml", "# Who owns what is declared here. Written by admins.\n" + head("Team", options.team, "") +
                                        "spec: {title: " + options.team + "}\n");
  }
  if (there.gateway.empty()) {
    files.emplace_back("gateway.yaml", "# The entry point: every node listens here.\n" + head("Gateway", "edge", options.team) +
                                           "spec:\n  nodes: {labels: {}}\n  listeners: [{name: http, address: 127.0.0.1, port: " +
                                           std::to_string(options.port) + ", protocol: http}]\n");
  }
  files.emplace_back("upstream.yaml", "# The servers behind it.\n" + head("Upstream", word, options.team) + "spec:\n  targets: [{url: \"" + options.upstream +
                                          "\"}]\n  timeouts: {connect: 2s, firstByte: 30s}\n");
  files.emplace_back("api.yaml", api_file(options, word, there.gateway));

  std::error_code error;
  std::filesystem::create_directories(options.directory, error);
  if (error) return usage_error("cannot make " + options.directory + ": " + error.message());
  Json json = Json::array();
  std::vector<std::string> names;
  std::string text;
  for (const auto& [name, content] : files) {
    const std::filesystem::path path = std::filesystem::path(options.directory) / name;
    GW_RETURN_IF_ERROR(write_file(path, content, options.force));
    json.push_back(path.string());
    names.push_back(path.string());
    text += path.string() + "\n";
  }
  session.emit({{"files", json}, {"team", options.team}, {"gateway", there.gateway.empty() ? options.team + "/edge" : there.gateway}}, names,
               [&](bool) { return text; });
  if (!there.asked) session.talk("no control plane was asked: the files have a Team and a Gateway of their own");
  session.talk("next: gwctl lint " + options.directory + "; gwctl apply -f " + options.directory + "; curl http://" + options.host + ":PORT/ (gwctl node list shows PORT)");
  return 0;
}

}  // namespace gw::cli
