// Completion scripts, made from the commands and flags that there are.
#include "cli/errors.h"
#include "cli/flags/flags.h"

namespace gw::cli {
namespace {

struct CompletionOptions {
  std::string shell;
};

std::vector<const CLI::App*> children(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

std::string flags_of(const CLI::App& app) {
  std::string out;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) out += " --" + name;
  }
  return out;
}

// One line of a shell `case` for each command: its path, and the words that may follow. `inherited`: flags from above.
void add_cases(const CLI::App& app, const std::string& path, const std::string& inherited, std::string& out) {
  std::string words;
  for (const CLI::App* sub : children(app)) words += " " + sub->get_name();
  out += "    \"" + path + "\") words=\"" + words + flags_of(app) + inherited + "\" ;;\n";
  const std::string below = path == "gwctl" ? flags_of(app) : inherited;
  for (const CLI::App* sub : children(app)) add_cases(*sub, path + " " + sub->get_name(), below, out);
}

std::string bash_script(const CLI::App& root) {
  std::string cases;
  add_cases(root, "gwctl", "", cases);
  return "_gwctl() {\n"
         "  local path=gwctl word words i\n"
         "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "    word=${COMP_WORDS[i]}\n"
         "    [[ $word == -* ]] || path=\"$path $word\"\n"
         "  done\n"
         "  case \"$path\" in\n" +
         cases + "    *) words=\"" + flags_of(root) +
         "\" ;;\n"
         "  esac\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
         "}\n"
         "complete -o default -F _gwctl gwctl\n";
}

void add_fish(const CLI::App& app, const std::string& above, std::string& out) {
  for (const CLI::App* sub : children(app)) {
    std::string when = above.empty() ? "__fish_use_subcommand" : "__fish_seen_subcommand_from " + above;
    out += "complete -c gwctl -f -n '" + when + "' -a " + sub->get_name() + "\n";
    add_fish(*sub, sub->get_name(), out);
  }
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      out += "complete -c gwctl" + (above.empty() ? std::string() : " -n '__fish_seen_subcommand_from " + above + "'") + " -l " + name + "\n";
    }
  }
}

}  // namespace

void bind_completion(CLI::App& root, Invocation& invocation) {
  add_command<CompletionOptions>(
      root, invocation, "completion", "A script that completes commands: source <(gwctl completion bash)",
      [](CLI::App& c, CompletionOptions& o) {
        c.add_option("shell", o.shell, "bash, zsh or fish")->type_name("SHELL")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
      },
      [&root](Session& session, const CompletionOptions& o) -> absl::StatusOr<int> {
        if (o.shell == "fish") {
          std::string out;
          add_fish(root, "", out);
          session.write(out);
        } else {
          session.write((o.shell == "zsh" ? "autoload -U +X bashcompinit && bashcompinit\n" : "") + bash_script(root));
        }
        return 0;
      })->group("Start");
}

}  // namespace gw::cli
