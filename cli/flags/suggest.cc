#include "cli/flags/suggest.h"

#include <map>

#include "common/base/diagnostic.h"

namespace gw::cli {
namespace {

// What others call it -> what it is called here. From kubectl, decK, gh, and the plans of this program.
const std::map<std::string, std::string>& foreign_commands() {
  static const std::map<std::string, std::string> words = {
      {"sync", "apply"},          {"dump", "export"},          {"ping", "status"},
      {"validate", "lint"},       {"create", "apply"},         {"replace", "apply"},
      {"patch", "apply"},         {"push", "apply"},           {"reset", "delete"},
      {"rm", "delete"},           {"remove", "delete"},        {"ls", "get"},
      {"list", "get"},            {"show", "describe"},        {"check", "lint"},
      {"verify", "lint"},         {"rollback", "rollout undo"}, {"undo", "rollout undo"},
      {"revert", "rollout undo"}, {"history", "rollout history"}, {"log", "rollout history"},
      {"nodes", "node list"},     {"pods", "node list"},       {"keys", "key list"},
      {"tokens", "token list"},   {"trace", "explain-request"}, {"match", "explain-request"},
      {"simulate", "explain-request"}, {"config", "context"},  {"use-context", "context use"},
      {"login", "context set"},   {"info", "status"},          {"health", "status"},
      {"dry-run", "plan"},        {"preview", "plan"},         {"backup", "export"},
      {"disable", "api disable"},     {"enable", "api enable"},    {"drain", "upstream drain"},
      {"undrain", "upstream undrain"}, {"ban", "block ip"},      {"unban", "unblock ip"},
      {"release", "rollout release"}, {"scaffold", "init"},    {"new", "init"},
      {"test", "explain-request --expect"}, {"api-resources", "explain"},
  };
  return words;
}

const CLI::App* child(const CLI::App& app, const std::string& name) {
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (sub->get_name() == name) return sub;
  }
  return nullptr;
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> out;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) out.push_back(sub->get_name());
  return out;
}

// The option that an argument like --set, --set=x or -o names, here or above.
const CLI::Option* option_of(const CLI::App* app, const std::string& arg) {
  std::string name = arg.substr(0, arg.find('='));
  for (; app != nullptr; app = app->get_parent()) {
    if (const CLI::Option* option = app->get_option_no_throw(name)) return option;
  }
  return nullptr;
}

bool takes_next(const CLI::Option* option, const std::string& arg) {
  return option != nullptr && option->get_items_expected_max() > 0 && arg.find('=') == std::string::npos;
}

}  // namespace

std::string unknown_command(const CLI::App& root, const std::vector<std::string>& args) {
  const CLI::App* at = &root;
  std::string path = "gwctl";
  for (size_t i = 0; i < args.size(); ++i) {
    if (args[i] == "--") return "";
    if (args[i].size() > 1 && args[i][0] == '-') {
      if (takes_next(option_of(at, args[i]), args[i])) ++i;
      continue;
    }
    if (command_names(*at).empty()) return "";
    const CLI::App* next = child(*at, args[i]);
    if (next == nullptr) {
      std::string text = "unknown command \"" + args[i] + "\"";
      auto foreign = foreign_commands().find(args[i]);
      std::string near = did_you_mean(args[i], command_names(*at));
      if (at == &root && foreign != foreign_commands().end()) near = foreign->second;
      if (!near.empty()) return text + "; did you mean `" + path + " " + near + "`?";
      return text + "; `" + path + " --help` lists those that there are";
    }
    at = next;
    path += " " + args[i];
  }
  return "";
}

std::string flag_problem(const CLI::App& root, const std::vector<std::string>& args, const std::string& why) {
  const CLI::App* at = &root;
  for (size_t i = 0; i < args.size(); ++i) {
    if (args[i].size() > 1 && args[i][0] == '-') {
      const CLI::Option* option = option_of(at, args[i]);
      if (option == nullptr && args[i].rfind("--", 0) == 0) {
        std::vector<std::string> names;
        for (const CLI::App* app = at; app != nullptr; app = app->get_parent()) {
          for (const CLI::Option* o : app->get_options()) {
            for (const std::string& name : o->get_lnames()) names.push_back("--" + name);
          }
        }
        std::string name = args[i].substr(0, args[i].find('='));
        if (name == "--token") return "--token: a secret never stands on the command line; use --token-file FILE or GW_TOKEN_FILE";
        std::string near = name == "--dry-run" ? "gwctl plan" : did_you_mean(name, names);
        return "unknown flag " + name + (near.empty() ? "" : "; did you mean " + near + "?");
      }
      if (takes_next(option, args[i])) ++i;
      continue;
    }
    if (const CLI::App* next = child(*at, args[i])) at = next;
  }
  return why;
}

}  // namespace gw::cli
