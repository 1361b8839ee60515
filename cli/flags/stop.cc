#include "cli/flags/flags.h"

namespace gw::cli {
namespace {

struct NoSwitchOptions {};

CLI::App* stop_group(CLI::App& root, const char* name, const char* help) {
  CLI::App* out = root.add_subcommand(name, help)->group("Stop");
  out->require_subcommand(1);
  out->fallthrough();
  return out;
}

void bind_change(CLI::App& c, SwitchOptions& o) {
  c.add_option("-m,--message", o.message, "Why; clients see it when it stops them")->type_name("TEXT");
  c.add_flag("--no-wait", o.wait.no_wait, "Do not wait for the nodes");
  c.add_option("--quorum", o.wait.quorum, "So many nodes are enough: 3, or 90%")->type_name("N");
}

void bind_api(CLI::App& c, SwitchOptions& o) {
  c.add_option("name", o.name, "Api: owner/name, or a name that one team alone has")->type_name("NAME")->required();
  bind_change(c, o);
}

void bind_target(CLI::App& c, SwitchOptions& o) {
  c.add_option("name", o.name, "Upstream: owner/name, or a name that one team alone has")->type_name("NAME")->required();
  c.add_option("--target", o.target, "Which one")->type_name("HOST:PORT")->required();
  bind_change(c, o);
}

void bind_clients(CLI::App& c, SwitchOptions& o) {
  c.add_option("cidr", o.name, "Address or network: 203.0.113.7, 203.0.113.0/24, 2001:db8::/32")->type_name("CIDR")->required();
  bind_change(c, o);
}

void bind_endpoint_wait(CLI::App& c, EndpointOptions& o) {
  c.add_option("-m,--message", o.message, "Why, for the audit log")->type_name("TEXT");
  c.add_flag("--no-wait", o.wait.no_wait, "Do not wait for the nodes");
  c.add_option("--quorum", o.wait.quorum, "So many nodes are enough: 3, or 90%")->type_name("N");
}

CLI::Option* bind_endpoints(CLI::App& c, EndpointOptions& o) {
  c.add_option("upstream", o.upstream, "Upstream: owner/name, or a name that one team alone has")->type_name("NAME")->required();
  return c.add_option("targets", o.targets, "Which ones")->type_name("HOST:PORT");
}

void bind_endpoint_facts(CLI::App& c, EndpointOptions& o) {
  c.add_option("--weight", o.weight, "Share of the traffic relative to the other targets (1)")->type_name("N")->check(CLI::Range(0, 1000));
  c.add_option("--zone", o.zone, "Zone that they are in")->type_name("ZONE");
  c.add_option("--priority", o.priority, "Higher ones get requests only as far as lower ones are not well (0)")->type_name("N")->check(CLI::Range(0, 15));
  c.add_option("--expires", o.expires, "Remove them after this time; by default they stay")->type_name("DURATION");
  bind_endpoint_wait(c, o);
}

void bind_targets(CLI::App& upstream, Invocation& invocation) {
  CLI::App* target = upstream.add_subcommand("target", "Add and remove targets at run time, without a version");
  target->require_subcommand(1);
  target->fallthrough();
  add_command<EndpointOptions>(*target, invocation, "add", "Add targets, on every node at once",
                               [](CLI::App& c, EndpointOptions& o) {
                                 bind_endpoints(c, o)->required();
                                 bind_endpoint_facts(c, o);
                               },
                               run_endpoint_add);
  add_command<EndpointOptions>(*target, invocation, "remove", "Remove targets that were added",
                               [](CLI::App& c, EndpointOptions& o) {
                                 bind_endpoints(c, o)->required();
                                 bind_endpoint_wait(c, o);
                               },
                               run_endpoint_remove);
  add_command<EndpointOptions>(*target, invocation, "set", "Make these the only ones that were added; none removes all",
                               [](CLI::App& c, EndpointOptions& o) {
                                 bind_endpoints(c, o);
                                 bind_endpoint_facts(c, o);
                               },
                               run_endpoint_set);
  add_command<EndpointOptions>(*target, invocation, "list", "What was added, by whom, until when",
                               [](CLI::App& c, EndpointOptions& o) {
                                 c.add_option("upstream", o.upstream, "Upstream; by default all")->type_name("NAME");
                               },
                               run_endpoint_list);
}

}  // namespace

void bind_stop(CLI::App& root, Invocation& invocation) {
  CLI::App* api = stop_group(root, "api", "Switch an Api off and on");
  add_command<SwitchOptions>(*api, invocation, "disable", "Answer all its requests with DISABLED, on every node at once",
                             [](CLI::App& c, SwitchOptions& o) {
                               bind_api(c, o);
                               c.add_option("--status", o.status, "Of the answers (503)")->type_name("STATUS")->check(CLI::Range(400, 599));
                               c.add_option("--retry-after", o.retry_after, "Tell clients when to come back")->type_name("DURATION");
                             },
                             run_api_disable);
  add_command<SwitchOptions>(*api, invocation, "enable", "Serve it again", bind_api, run_api_enable);
  CLI::App* upstream = stop_group(root, "upstream", "Targets of an Upstream: out of rotation and back; added and removed at run time");
  add_command<SwitchOptions>(*upstream, invocation, "drain", "Send a target no new requests; those in work end", bind_target, run_upstream_drain);
  add_command<SwitchOptions>(*upstream, invocation, "undrain", "Send it requests again", bind_target, run_upstream_undrain);
  bind_targets(*upstream, invocation);
  CLI::App* block = stop_group(root, "block", "Refuse clients");
  add_command<SwitchOptions>(*block, invocation, "ip", "Refuse clients by address, on every node at once",
                             [](CLI::App& c, SwitchOptions& o) {
                               bind_clients(c, o);
                               c.add_option("--for", o.duration, "How long; by default until it is taken back")->type_name("DURATION");
                             },
                             run_block_ip);
  CLI::App* unblock = stop_group(root, "unblock", "Let clients in again");
  add_command<SwitchOptions>(*unblock, invocation, "ip", "Take back `block ip`", bind_clients, run_unblock_ip);
  add_command<NoSwitchOptions>(root, invocation, "switches", "What is stopped, since when, and by whom", [](CLI::App&, NoSwitchOptions&) {},
                               [](Session& s, const NoSwitchOptions&) { return run_switches(s); })->group("Stop");
}

}  // namespace gw::cli
