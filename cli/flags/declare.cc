#include "cli/flags/flags.h"

namespace gw::cli {
namespace {

void bind_files(CLI::App& command, std::vector<std::string>& files) {
  command.add_option("-f,--file", files, "File, directory, or - for standard input; may be repeated")->type_name("PATH");
}

void bind_set(CLI::App& command, std::string& set, bool& prune) {
  command.add_option("--set", set, "The repository that manages these objects")->type_name("NAME");
  command.add_flag("--prune", prune, "Delete what the set has and the files have not");
}

void bind_change(CLI::App& command, ChangeOptions& options) {
  bind_files(command, options.files);
  bind_set(command, options.set, options.prune);
  command.add_flag("--exit-code", options.exit_code, "Exit 1 when something would change");
  command.add_flag("--exit-zero", options.exit_zero, "Exit 0 all the same");
}

}  // namespace

void bind_wait(CLI::App& command, WaitOptions& wait) {
  command.add_flag("--no-wait", wait.no_wait, "Do not wait for the nodes");
  command.add_option("--until", wait.until, "Wait until active (default), persisted or drained")->type_name("STATE");
  command.add_option("--quorum", wait.quorum, "So many nodes are enough: 3, or 90%")->type_name("N");
}

void bind_globals(CLI::App& root, Invocation& invocation) {
  Globals& g = invocation.globals;
  root.add_option("-o,--output", invocation.format, "table, wide, json, yaml or name")->type_name("FORMAT");
  root.add_flag("--no-headers", g.no_headers, "Tables without a first line");
  root.add_option("-l,--label", g.labels, "Only what has this label")->type_name("K=V");
  root.add_flag("-w,--watch", g.watch, "Go on, and print what changes");
  root.add_flag("-q,--quiet", g.quiet, "Only data and errors");
  root.add_option("--color", g.color, "auto, always or never")->type_name("WHEN");
  root.add_option("--context", g.connection.context, "Context of ~/.config/gw/config.yaml")->type_name("NAME");
  root.add_option("--owner", g.connection.owner, "Team that owns what is named without an owner")->type_name("TEAM");
  root.add_option("--server", g.connection.server, "Control plane")->type_name("HOST:PORT");
  root.add_option("--ca-file", g.connection.ca_file, "CA of the control plane (its ca.pem): talk TLS")->type_name("FILE");
  root.add_option("--token-file", g.connection.token_file, "File that holds the token")->type_name("FILE");
  root.add_option("--timeout", g.connection.timeout, "Most time to take (60s)")->type_name("DURATION");
  root.add_flag("--no-input", g.no_input, "Never ask");
  root.add_flag("-y,--yes", g.yes, "Yes to what would be asked");
}

void bind_declare(CLI::App& root, Invocation& invocation) {
  add_command<InitOptions>(
      root, invocation, "init", "Write a working set of files for one backend",
      [](CLI::App& c, InitOptions& o) {
        c.add_option("--upstream", o.upstream, "The backend")->type_name("URL")->required();
        c.add_option("--host", o.host, "Host that callers use")->type_name("NAME")->required();
        c.add_option("--dir", o.directory, "Directory to write to (gw)")->type_name("DIR");
        c.add_option("--team", o.team, "Team that owns it")->type_name("NAME");
        c.add_option("--gateway", o.gateway, "Gateway to use, owner/name")->type_name("NAME");
        c.add_option("--port", o.port, "Port of a gateway of its own (8080)")->check(CLI::Range(0, 65535))->type_name("PORT");
        c.add_flag("--force", o.force, "Overwrite files");
      },
      run_init)->group("Start");
  add_command<LintOptions>(
      root, invocation, "lint", "Check files offline, with the node's own code",
      [](CLI::App& c, LintOptions& o) {
        bind_files(c, o.files);
        c.add_option("path", o.files, "Files and directories")->type_name("PATH");
      },
      run_lint)->group("Declare");
  add_command<LintOptions>(
      root, invocation, "render", "Print the objects of files as one document, offline",
      [](CLI::App& c, LintOptions& o) {
        bind_files(c, o.files);
        c.add_option("path", o.files, "Files and directories")->type_name("PATH");
      },
      run_render)->group("Declare");
  add_command<ChangeOptions>(
      root, invocation, "plan", "Show what an apply would do, and its consequences",
      [](CLI::App& c, ChangeOptions& o) {
        bind_change(c, o);
        c.add_option("--out", o.out, "Keep the plan for apply --plan")->type_name("FILE");
      },
      run_plan)->group("Declare");
  add_command<ChangeOptions>(root, invocation, "diff", "Show the fields that an apply would change; exits 1 if any", bind_change, run_diff)->group("Declare");
  add_command<ApplyOptions>(
      root, invocation, "apply", "Make it so on every node, and wait for the verdict",
      [](CLI::App& c, ApplyOptions& o) {
        bind_files(c, o.files);
        bind_set(c, o.set, o.prune);
        c.add_option("--plan", o.plan, "What `plan --out` wrote")->type_name("FILE");
        c.add_option("-m,--message", o.message, "Why")->type_name("TEXT");
        bind_wait(c, o.wait);
      },
      run_apply)->group("Declare");
  add_command<DeleteOptions>(
      root, invocation, "delete", "Delete objects",
      [](CLI::App& c, DeleteOptions& o) {
        c.add_option("kind", o.kind, "Kind, or kind/owner/name")->type_name("KIND");
        c.add_option("name", o.names, "owner/name")->type_name("NAME");
        bind_files(c, o.files);
        c.add_option("-m,--message", o.message, "Why")->type_name("TEXT");
        bind_wait(c, o.wait);
      },
      run_delete)->group("Declare");
  add_command<ExportOptions>(
      root, invocation, "export", "Write all objects as files to apply again",
      [](CLI::App& c, ExportOptions& o) {
        c.add_option("kind", o.kind, "Only this kind")->type_name("KIND");
        c.add_option("--set", o.set, "Only this set")->type_name("NAME");
        c.add_option("--at", o.at, "As of this version")->type_name("VERSION");
      },
      run_export)->group("Declare");
  add_command<ExplainOptions>(
      root, invocation, "explain", "Tell about a kind or field (Route.match.path), a code (GW1004) or a reason (NO_ROUTE)",
      [](CLI::App& c, ExplainOptions& o) { c.add_option("what", o.what, "KIND.path, CODE or REASON")->type_name("WHAT"); },
      run_explain)->group("Declare");
}

}  // namespace gw::cli
