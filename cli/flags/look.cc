#include "cli/flags/flags.h"

namespace gw::cli {
namespace {

void bind_get(CLI::App& c, GetOptions& o) {
  c.add_option("kind", o.kind, "Kind, kind/owner/name, or all")->type_name("KIND");
  c.add_option("name", o.names, "owner/name, or a name of any owner")->type_name("NAME");
  c.add_option("--set", o.set, "Only what this set manages")->type_name("NAME");
  c.add_option("--at", o.at, "As of this version")->type_name("VERSION");
}

struct NoLookOptions {};
struct VersionOptions {
  bool client = false;
};

}  // namespace

void bind_look(CLI::App& root, Invocation& invocation) {
  add_command<NoLookOptions>(root, invocation, "status", "What is live, where, and what changed last", [](CLI::App&, NoLookOptions&) {},
                         [](Session& s, const NoLookOptions&) { return run_status(s); })->group("Look");
  add_command<GetOptions>(root, invocation, "get", "List objects", bind_get, run_get)->group("Look");
  add_command<GetOptions>(root, invocation, "describe", "All about one object", bind_get, run_describe)->group("Look");
  add_command<ExplainRequestOptions>(
      root, invocation, "explain-request", "What a request would meet: listener, route, policies, backend",
      [](CLI::App& c, ExplainRequestOptions& o) {
        c.add_option("method", o.method, "GET, POST, …")->type_name("METHOD")->required();
        c.add_option("url", o.url, "http://host/path?query")->type_name("URL")->required();
        c.add_option("--as", o.as_app, "Called by this App")->type_name("OWNER/NAME");
        c.add_option("--at", o.at, "On this version")->type_name("VERSION");
        c.add_option("-H,--header", o.headers, "Header field of the request")->type_name("'K: V'");
        c.add_option("--from", o.client_address, "Address of the client")->type_name("ADDRESS");
        c.add_option("--gateway", o.gateway, "Gateway that it arrives at")->type_name("OWNER/NAME");
        c.add_option("--expect", o.expect, "STATUS, REASON, forwarded, route=… or upstream=…; exits 1 if it is not so")->type_name("WHAT");
      },
      run_explain_request)->group("Look");
  add_command<UsageOptions>(
      root, invocation, "usage", "What was metered",
      [](CLI::App& c, UsageOptions& o) {
        c.add_option("--app", o.app, "Only this App")->type_name("OWNER/NAME");
        c.add_option("--api", o.api, "Only this Api")->type_name("OWNER/NAME");
        c.add_option("--plan", o.plan, "Only this Plan")->type_name("OWNER/NAME");
        c.add_option("--from", o.from, "First hour, UTC: 2026-11, 2026-11-24, 2026-11-24T13")->type_name("TIME");
        c.add_option("--to", o.to, "Hour after the last")->type_name("TIME");
        c.add_option("--by", o.by, "app, api, plan, route, status, hour, day, month")->delimiter(',')->type_name("WHAT");
      },
      run_usage)->group("Look");
  add_command<VersionOptions>(root, invocation, "version", "Versions of gwctl and the control plane",
                              [](CLI::App& c, VersionOptions& o) { c.add_flag("--client", o.client, "Only gwctl's own"); },
                              [](Session& s, const VersionOptions& o) { return run_version(s, o.client); })->group("Start");
  add_command<NoLookOptions>(root, invocation, "whoami", "Whose token this is", [](CLI::App&, NoLookOptions&) {},
                         [](Session& s, const NoLookOptions&) { return run_whoami(s); })->group("Start");
}

void bind_rollout(CLI::App& root, Invocation& invocation) {
  CLI::App* rollout = root.add_subcommand("rollout", "Versions: where they are, what they changed, undoing them")->group("Roll out");
  rollout->require_subcommand(1);
  rollout->fallthrough();
  add_command<RolloutStatusOptions>(*rollout, invocation, "status", "How far a version has come on each node; -w waits for the verdict",
                                    [](CLI::App& c, RolloutStatusOptions& o) { c.add_option("version", o.version, "The latest by default")->type_name("N"); },
                                    run_rollout_status);
  struct HistoryOptions {
    int limit = 20;
  };
  add_command<HistoryOptions>(*rollout, invocation, "history", "The last versions",
                              [](CLI::App& c, HistoryOptions& o) { c.add_option("--limit", o.limit, "How many (20)")->check(CLI::Range(1, 1000))->type_name("N"); },
                              [](Session& s, const HistoryOptions& o) { return run_rollout_history(s, o.limit); });
  add_command<RolloutStatusOptions>(*rollout, invocation, "show", "What a version changed",
                                    [](CLI::App& c, RolloutStatusOptions& o) { c.add_option("version", o.version, "Version")->type_name("N")->required(); },
                                    [](Session& s, const RolloutStatusOptions& o) { return run_rollout_show(s, o.version); });
  add_command<UndoOptions>(*rollout, invocation, "undo", "A new version that reverses that one change",
                           [](CLI::App& c, UndoOptions& o) {
                             c.add_option("version", o.version, "Version to reverse")->type_name("N")->required();
                             c.add_option("-m,--message", o.message, "Why")->type_name("TEXT");
                             bind_wait(c, o.wait);
                           },
                           run_rollout_undo);
  struct ReleaseOptions {
    std::string set;
  };
  add_command<ReleaseOptions>(*rollout, invocation, "release", "Let a set be applied again after an undo",
                              [](CLI::App& c, ReleaseOptions& o) { c.add_option("set", o.set, "Set")->type_name("SET")->required(); },
                              [](Session& s, const ReleaseOptions& o) { return run_rollout_release(s, o.set); });
}

}  // namespace gw::cli
