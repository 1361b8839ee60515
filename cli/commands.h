// Every command: what its flags say, and what it does. `run_*` gives the exit code, or the failure that main prints.
// The flags are bound in flags/*.cc, the only files that know CLI11.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/rollout_wait.h"
#include "cli/session.h"

namespace gw::cli {

// --- declare
struct LintOptions {
  std::vector<std::string> files;
};
absl::StatusOr<int> run_lint(Session& session, const LintOptions& options);
// The objects of the files as one document; offline too.
absl::StatusOr<int> run_render(Session& session, const LintOptions& options);

struct ChangeOptions {  // plan and diff
  std::vector<std::string> files;
  std::string set;
  bool prune = false;
  bool exit_code = false;  // plan: 1 when something would change
  bool exit_zero = false;  // diff: 0 all the same
  std::string out;         // plan: file for apply --plan
};
absl::StatusOr<int> run_plan(Session& session, const ChangeOptions& options);
absl::StatusOr<int> run_diff(Session& session, const ChangeOptions& options);

struct ApplyOptions {
  std::vector<std::string> files;
  std::string plan;
  std::string set;
  bool prune = false;
  std::string message;
  WaitOptions wait;
};
absl::StatusOr<int> run_apply(Session& session, const ApplyOptions& options);

struct DeleteOptions {
  std::string kind;
  std::vector<std::string> names;
  std::vector<std::string> files;
  std::string message;
  WaitOptions wait;
};
absl::StatusOr<int> run_delete(Session& session, const DeleteOptions& options);

struct ExportOptions {
  std::string kind;
  std::string set;
  uint64_t at = 0;
};
absl::StatusOr<int> run_export(Session& session, const ExportOptions& options);

struct ExplainOptions {
  std::string what;  // KIND.path, GWnnnn, REASON; empty: all kinds
};
absl::StatusOr<int> run_explain(Session& session, const ExplainOptions& options);

struct InitOptions {
  std::string upstream;
  std::string host;
  std::string directory = "gw";
  std::string team;     // default: the owner in force, else platform
  std::string gateway;  // owner/name of one that is there; empty: the server is asked
  int port = 8080;      // of the listener of a gateway of its own
  bool force = false;
};
absl::StatusOr<int> run_init(Session& session, const InitOptions& options);

// --- look
struct GetOptions {
  std::string kind;  // or kind/owner/name
  std::vector<std::string> names;
  std::string set;
  uint64_t at = 0;
};
absl::StatusOr<int> run_get(Session& session, const GetOptions& options);
absl::StatusOr<int> run_describe(Session& session, const GetOptions& options);

struct ExplainRequestOptions {
  std::string method;
  std::string url;
  std::string as_app;
  uint64_t at = 0;
  std::vector<std::string> headers;  // "k: v"
  std::string client_address;
  std::string gateway;
  std::vector<std::string> expect;  // STATUS, REASON, route=…, upstream=…
};
absl::StatusOr<int> run_explain_request(Session& session, const ExplainRequestOptions& options);

absl::StatusOr<int> run_status(Session& session);
absl::StatusOr<int> run_version(Session& session, bool client_only);
absl::StatusOr<int> run_whoami(Session& session);

struct UsageOptions {
  std::string app, api, plan;
  std::string from, to;           // 2026-11, 2026-11-24, 2026-11-24T13; UTC
  std::vector<std::string> by;    // default: app,api,plan,month
};
absl::StatusOr<int> run_usage(Session& session, const UsageOptions& options);

// --- roll out
struct RolloutStatusOptions {
  uint64_t version = 0;  // 0: the latest
};
absl::StatusOr<int> run_rollout_status(Session& session, const RolloutStatusOptions& options);
absl::StatusOr<int> run_rollout_history(Session& session, int limit);
absl::StatusOr<int> run_rollout_show(Session& session, uint64_t version);

struct UndoOptions {
  uint64_t version = 0;
  std::string message;
  WaitOptions wait;
};
absl::StatusOr<int> run_rollout_undo(Session& session, const UndoOptions& options);
absl::StatusOr<int> run_rollout_release(Session& session, const std::string& set);

// --- stop
struct SwitchOptions {
  std::string name;         // owner/name of an Api or Upstream; an address or CIDR
  std::string target;       // upstream: host:port
  std::string message;
  int status = 0;           // api disable; 0: 503
  std::string retry_after;  // api disable: a duration
  std::string duration;     // block ip; empty: until it is taken back
  WaitOptions wait;
};
absl::StatusOr<int> run_api_disable(Session& session, const SwitchOptions& options);
absl::StatusOr<int> run_api_enable(Session& session, const SwitchOptions& options);
absl::StatusOr<int> run_upstream_drain(Session& session, const SwitchOptions& options);
absl::StatusOr<int> run_upstream_undrain(Session& session, const SwitchOptions& options);
absl::StatusOr<int> run_block_ip(Session& session, const SwitchOptions& options);
absl::StatusOr<int> run_unblock_ip(Session& session, const SwitchOptions& options);
absl::StatusOr<int> run_switches(Session& session);

// --- endpoints
struct EndpointOptions {
  std::string upstream;              // owner/name, or a name that one team alone has; list: empty: all
  std::vector<std::string> targets;  // host:port
  int weight = 1;
  std::string zone;
  int priority = 0;
  std::string expires;               // a duration; empty: until it is removed
  std::string message;
  WaitOptions wait;
};
absl::StatusOr<int> run_endpoint_add(Session& session, const EndpointOptions& options);
absl::StatusOr<int> run_endpoint_remove(Session& session, const EndpointOptions& options);
absl::StatusOr<int> run_endpoint_set(Session& session, const EndpointOptions& options);
absl::StatusOr<int> run_endpoint_list(Session& session, const EndpointOptions& options);

// --- product
struct KeyOptions {
  std::string app;      // create, list
  std::string id;       // rotate, revoke
  std::string ttl;      // create
  std::string overlap;  // rotate; empty: none
  std::string file;     // import
  bool no_wait = false;
};
absl::StatusOr<int> run_key_create(Session& session, const KeyOptions& options);
absl::StatusOr<int> run_key_list(Session& session, const KeyOptions& options);
absl::StatusOr<int> run_key_rotate(Session& session, const KeyOptions& options);
absl::StatusOr<int> run_key_revoke(Session& session, const KeyOptions& options);
absl::StatusOr<int> run_key_import(Session& session, const KeyOptions& options);

// --- operate
struct TokenOptions {
  std::string name;
  std::string role;
  std::string team;
  std::string ttl;
  std::string id;
};
struct NodeOptions {
  std::string name;
};
absl::StatusOr<int> run_node_list(Session& session);
absl::StatusOr<int> run_node_revoke(Session& session, const NodeOptions& options);
absl::StatusOr<int> run_token_create(Session& session, const TokenOptions& options);
absl::StatusOr<int> run_token_list(Session& session);
absl::StatusOr<int> run_token_revoke(Session& session, const TokenOptions& options);

struct SecretOptions {
  std::string name;       // NAME or owner/NAME
  std::string file;       // or
  bool from_stdin = false;
  std::string message;
  WaitOptions wait;
};
absl::StatusOr<int> run_secret_set(Session& session, const SecretOptions& options);
absl::StatusOr<int> run_secret_list(Session& session);
absl::StatusOr<int> run_secret_rotate_master(Session& session);

struct CertOptions {
  std::string name;                // of the Certificate; check: empty: all
  std::string file;                // check: offline; rotate: the new chain and key
  std::vector<std::string> hosts;  // check --file
  std::string secret;              // rotate: which of its Secrets; empty: that of the file's kind of key
  std::string message;
  WaitOptions wait;
};
absl::StatusOr<int> run_cert_check(Session& session, const CertOptions& options);
absl::StatusOr<int> run_cert_rotate(Session& session, const CertOptions& options);

// --- contexts
struct ContextOptions {
  std::string name;
};
absl::StatusOr<int> run_context_list(Session& session);
absl::StatusOr<int> run_context_use(Session& session, const ContextOptions& options);
absl::StatusOr<int> run_context_set(Session& session, const ContextOptions& options);
absl::StatusOr<int> run_context_delete(Session& session, const ContextOptions& options);

}  // namespace gw::cli
