#include "cli/kinds.h"

#include <algorithm>
#include <map>
#include <vector>

#include "cli/errors.h"
#include "common/base/diagnostic.h"
#include "common/base/status.h"
#include "common/config/kinds.h"

namespace gw::cli {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// What other gateways and clusters call things, and what to say here.
const std::map<std::string, std::string>& foreign_kinds() {
  static const std::map<std::string, std::string> words = {
      {"pod", "gwctl node list"},       {"pods", "gwctl node list"},        {"po", "gwctl node list"},
      {"node", "gwctl node list"},      {"nodes", "gwctl node list"},       {"no", "gwctl node list"},
      {"service", "upstream or api"},   {"services", "upstream or api"},    {"svc", "upstream or api"},
      {"plugin", "policy"},             {"plugins", "policy"},              {"middleware", "policy"},
      {"cluster", "upstream"},          {"clusters", "upstream"},           {"backend", "upstream"},
      {"backends", "upstream"},         {"ingress", "route"},               {"httproute", "route"},
      {"httproutes", "route"},          {"ing", "route"},                   {"virtualservice", "route"},
      {"namespace", "team"},            {"namespaces", "team"},             {"ns", "team"},
      {"workspace", "team"},            {"workspaces", "team"},             {"key", "gwctl key list"},
      {"keys", "gwctl key list"},       {"token", "gwctl token list"},      {"tokens", "gwctl token list"},
      {"credential", "gwctl key list"}, {"version", "gwctl rollout history"}, {"versions", "gwctl rollout history"},
      {"listener", "gateway"},          {"listeners", "gateway"},           {"events", "gwctl rollout history"},
  };
  return words;
}

}  // namespace

absl::StatusOr<std::string> parse_kind(std::string_view word) {
  const std::string low = lower(word);
  if (std::string kind = find_kind(word); !kind.empty()) return kind;
  std::vector<std::string> words;
  for (const std::string& kind : kinds()) words.push_back(lower(kind));
  std::string text = "unknown kind \"" + std::string(word) + "\"";
  std::string near = did_you_mean(low, words);
  if (auto found = foreign_kinds().find(low); found != foreign_kinds().end()) {
    bool command = found->second.rfind("gwctl ", 0) == 0;
    return usage_error(text + "; did you mean " + (command ? "`" + found->second + "`?" : found->second + "?"));
  }
  if (!near.empty()) return usage_error(text + "; did you mean " + near + "?");
  text += "; there are";
  for (size_t i = 0; i < words.size(); ++i) text += (i > 0 ? ", " : " ") + words[i];
  return usage_error(text);
}

absl::StatusOr<v1::ObjectId> parse_object_id(std::string_view kind, std::string_view name, std::string_view default_owner) {
  v1::ObjectId id;
  id.set_kind(std::string(kind));
  size_t slash = name.find('/');
  if (slash != std::string_view::npos) {
    id.set_owner(std::string(name.substr(0, slash)));
    id.set_name(std::string(name.substr(slash + 1)));
    if (id.owner().empty() || id.name().empty() || id.name().find('/') != std::string::npos) {
      return usage_error("\"" + std::string(name) + "\": write owner/name");
    }
    return id;
  }
  if (kind != "Team") id.set_owner(std::string(default_owner));
  id.set_name(std::string(name));
  if (id.name().empty()) return usage_error("an empty name");
  return id;
}

std::string object_name(std::string_view owner, std::string_view name) {
  return owner.empty() ? std::string(name) : std::string(owner) + "/" + std::string(name);
}

}  // namespace gw::cli
