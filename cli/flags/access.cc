#include "cli/flags/flags.h"

namespace gw::cli {
namespace {

struct NoOptions {};

CLI::App* add_group(CLI::App& root, const char* name, const char* help, const char* group) {
  CLI::App* out = root.add_subcommand(name, help)->group(group);
  out->require_subcommand(1);
  out->fallthrough();
  return out;
}

void bind_keys(CLI::App& root, Invocation& invocation) {
  CLI::App* key = add_group(root, "key", "API keys of Apps", "Product");
  auto no_wait = [](CLI::App& c, KeyOptions& o) { c.add_flag("--no-wait", o.no_wait, "Do not wait for the nodes"); };
  add_command<KeyOptions>(*key, invocation, "create", "Make a key; it is printed this once",
                          [no_wait](CLI::App& c, KeyOptions& o) {
                            c.add_option("--app", o.app, "App that it is for")->type_name("OWNER/NAME")->required();
                            c.add_option("--ttl", o.ttl, "How long it is good; by default for ever")->type_name("DURATION");
                            no_wait(c, o);
                          },
                          run_key_create);
  add_command<KeyOptions>(*key, invocation, "list", "Keys, without their secrets",
                          [](CLI::App& c, KeyOptions& o) { c.add_option("--app", o.app, "Only this App's")->type_name("OWNER/NAME"); }, run_key_list);
  add_command<KeyOptions>(*key, invocation, "rotate", "Make a new key in place of one",
                          [no_wait](CLI::App& c, KeyOptions& o) {
                            c.add_option("id", o.id, "Key")->type_name("ID")->required();
                            c.add_option("--overlap", o.overlap, "How long the old one stays good; by default not at all")->type_name("DURATION");
                            no_wait(c, o);
                          },
                          run_key_rotate);
  add_command<KeyOptions>(*key, invocation, "revoke", "End a key at once, for good",
                          [no_wait](CLI::App& c, KeyOptions& o) {
                            c.add_option("id", o.id, "Key")->type_name("ID")->required();
                            no_wait(c, o);
                          },
                          run_key_revoke);
  add_command<KeyOptions>(*key, invocation, "import", "Take over foreign keys by their hashes",
                          [no_wait](CLI::App& c, KeyOptions& o) {
                            c.add_option("--sha256-file", o.file, "Lines app,sha256-hex")->type_name("FILE")->required();
                            no_wait(c, o);
                          },
                          run_key_import);
}

void bind_operate(CLI::App& root, Invocation& invocation) {
  CLI::App* node = add_group(root, "node", "Nodes of the data plane", "Operate");
  add_command<NoOptions>(*node, invocation, "list", "Every node, its version and its listeners", [](CLI::App&, NoOptions&) {},
                         [](Session& s, const NoOptions&) { return run_node_list(s); });
  add_command<NodeOptions>(*node, invocation, "revoke", "End a node's certificates, token and streams at once; it may join anew",
                           [](CLI::App& c, NodeOptions& o) { c.add_option("name", o.name, "Node")->type_name("NAME")->required(); }, run_node_revoke);
  add_command<TokenOptions>(*node, invocation, "join-token", "Make a token with which nodes join, and the CA over TLS; printed this once",
                            [](CLI::App& c, TokenOptions& o) {
                              o.role = "join";
                              o.name = "join";
                              o.ttl = "24h";
                              c.add_option("--name", o.name, "What it is for")->type_name("TEXT");
                              c.add_option("--ttl", o.ttl, "How long it is good (24h)")->type_name("DURATION");
                            },
                            run_token_create);
  CLI::App* token = add_group(root, "token", "Tokens for people and pipelines", "Operate");
  add_command<TokenOptions>(*token, invocation, "create", "Make a token; it is printed this once",
                            [](CLI::App& c, TokenOptions& o) {
                              o.ttl = "90d";
                              c.add_option("--name", o.name, "Whose it is")->type_name("NAME")->required();
                              c.add_option("--role", o.role, "viewer, editor or admin")->type_name("ROLE")->required()->check(CLI::IsMember({"viewer", "editor", "admin"}));
                              c.add_option("--team", o.team, "Team of an editor")->type_name("TEAM");
                              c.add_option("--ttl", o.ttl, "How long it is good (90d)")->type_name("DURATION");
                            },
                            run_token_create);
  add_command<NoOptions>(*token, invocation, "list", "Tokens, without their secrets", [](CLI::App&, NoOptions&) {},
                         [](Session& s, const NoOptions&) { return run_token_list(s); });
  add_command<TokenOptions>(*token, invocation, "revoke", "End a token at once",
                            [](CLI::App& c, TokenOptions& o) { c.add_option("id", o.id, "Token")->type_name("ID")->required(); }, run_token_revoke);
}

void bind_secrets(CLI::App& root, Invocation& invocation) {
  CLI::App* secret = add_group(root, "secret", "Secrets: keys, CA certificates, passwords", "Operate");
  add_command<SecretOptions>(*secret, invocation, "set", "Store a value in a Secret; it is never given back",
                             [](CLI::App& c, SecretOptions& o) {
                               c.add_option("name", o.name, "Secret")->type_name("[OWNER/]NAME")->required();
                               c.add_option("--from-file", o.file, "File with the value")->type_name("FILE");
                               c.add_flag("--from-stdin", o.from_stdin, "Read the value from stdin");
                               c.add_option("-m,--message", o.message, "Why, for the audit log")->type_name("TEXT");
                               bind_wait(c, o.wait);
                             },
                             run_secret_set);
  add_command<NoOptions>(*secret, invocation, "list", "Secrets, without their values", [](CLI::App&, NoOptions&) {},
                         [](Session& s, const NoOptions&) { return run_secret_list(s); });
  add_command<NoOptions>(*secret, invocation, "rotate-master", "Make a new master key and encrypt every Secret under it anew", [](CLI::App&, NoOptions&) {},
                         [](Session& s, const NoOptions&) { return run_secret_rotate_master(s); });
  CLI::App* cert = add_group(root, "cert", "Certificates", "Operate");
  add_command<CertOptions>(*cert, invocation, "check", "Chain, key, hosts and dates of Certificates, or of a file",
                           [](CLI::App& c, CertOptions& o) {
                             c.add_option("name", o.name, "Certificate; by default all")->type_name("[OWNER/]NAME");
                             c.add_option("--file", o.file, "PEM file to check instead, without a control plane")->type_name("FILE");
                             c.add_option("--host", o.hosts, "Host that the file must be for")->type_name("HOST");
                           },
                           run_cert_check);
  add_command<CertOptions>(*cert, invocation, "rotate", "Put a new chain and key in force on every node",
                           [](CLI::App& c, CertOptions& o) {
                             c.add_option("name", o.name, "Certificate")->type_name("[OWNER/]NAME")->required();
                             c.add_option("--from-file", o.file, "PEM file: chain, leaf first, and private key")->type_name("FILE")->required();
                             c.add_option("--secret", o.secret, "Which of its Secrets; by default the one of that kind of key")->type_name("[OWNER/]NAME");
                             c.add_option("-m,--message", o.message, "Why, for the audit log")->type_name("TEXT");
                             bind_wait(c, o.wait);
                           },
                           run_cert_rotate);
}

void bind_contexts(CLI::App& root, Invocation& invocation) {
  CLI::App* context = add_group(root, "context", "Control planes that gwctl knows", "Start");
  auto name = [](CLI::App& c, ContextOptions& o) { c.add_option("name", o.name, "Context")->type_name("NAME")->required(); };
  add_command<NoOptions>(*context, invocation, "list", "Contexts; the current one has a star", [](CLI::App&, NoOptions&) {},
                         [](Session& s, const NoOptions&) { return run_context_list(s); });
  add_command<ContextOptions>(*context, invocation, "use", "Use this one from now on", name, run_context_use);
  add_command<ContextOptions>(*context, invocation, "set", "Make or change one: --server, --ca-file, --token-file, --owner", name, run_context_set);
  add_command<ContextOptions>(*context, invocation, "delete", "Forget one", name, run_context_delete);
}

}  // namespace

void bind_access(CLI::App& root, Invocation& invocation) {
  bind_keys(root, invocation);
  bind_operate(root, invocation);
  bind_secrets(root, invocation);
  bind_contexts(root, invocation);
}

}  // namespace gw::cli
