#include "cli/gwctl.h"

#include <algorithm>
#include <map>

#include "cli/errors.h"
#include "cli/flags/flags.h"
#include "cli/flags/suggest.h"
#include "common/base/build_info.h"
#include "common/base/status.h"

namespace gw::cli {
namespace {

constexpr char kAbout[] =
    "gwctl: the command line of Northgate.\n"
    "Exit codes: 0 done, 1 the answer is no, 2 usage, 3 not allowed, 4 not found, 5 conflict, 6 control plane unreachable,\n"
    "7 timed out, 8 refused, 130 interrupted.";

absl::Status finish_globals(Invocation& invocation) {
  static const std::map<std::string, Format> formats = {{"table", Format::kTable}, {"wide", Format::kWide}, {"json", Format::kJson}, {"yaml", Format::kYaml}, {"name", Format::kName}};
  auto found = formats.find(invocation.format);
  if (found == formats.end()) return usage_error("-o \"" + invocation.format + "\": table, wide, json, yaml or name");
  invocation.globals.format = found->second;
  const std::string& color = invocation.globals.color;
  if (color != "auto" && color != "always" && color != "never") return usage_error("--color \"" + color + "\": auto, always or never");
  return absl::OkStatus();
}

int run(const Environment& env, const std::vector<std::string>& args) {
  CLI::App root(kAbout, "gwctl");
  Invocation invocation;
  root.require_subcommand(1);
  root.fallthrough();
  root.set_version_flag("--version", "gwctl " + std::string(build_version()) + " (" + std::string(build_commit()) + ")");
  root.set_help_flag("-h,--help", "This text");
  bind_globals(root, invocation);
  bind_declare(root, invocation);
  bind_look(root, invocation);
  bind_rollout(root, invocation);
  bind_stop(root, invocation);
  bind_access(root, invocation);
  bind_completion(root, invocation);

  std::string unknown = unknown_command(root, args);
  if (!unknown.empty()) return Session(env, {}).fail(usage_error(unknown));
  try {
    std::vector<std::string> reversed(args.rbegin(), args.rend());
    root.parse(std::move(reversed));
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return root.exit(e, *env.out, *env.err);  // --help, --version
    return Session(env, {}).fail(usage_error(flag_problem(root, args, e.what())));
  }
  absl::Status status = finish_globals(invocation);
  Session session(env, invocation.globals);
  if (!status.ok()) return session.fail(status);
  if (!invocation.run) return session.fail(usage_error("no command; see gwctl --help"));
  absl::StatusOr<int> code = invocation.run(session);
  return code.ok() ? *code : session.fail(code.status());
}

}  // namespace

int run_gwctl(const Environment& env, const std::vector<std::string>& args) {
  try {
    return run(env, args);
  } catch (const std::exception& e) {
    *env.err << "gwctl: " << e.what() << '\n';
    return static_cast<int>(ExitCode::kUsage);
  }
}

}  // namespace gw::cli
