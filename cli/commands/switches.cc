// api disable/enable, upstream drain/undrain, block ip, unblock ip, switches.
#include <algorithm>

#include "cli/commands.h"
#include "cli/commands/stream_verdict.h"
#include "cli/errors.h"
#include "cli/views.h"
#include "common/base/status.h"

namespace gw::cli {
namespace {

// The command that takes `request` back.
std::string reverse_command(const v1::SetSwitchRequest& request, const v1::SwitchInfo& info) {
  switch (request.kind()) {
    case v1::SWITCH_API: return std::string("gwctl api ") + (request.stop() ? "enable " : "disable ") + info.name();
    case v1::SWITCH_TARGET:
      return std::string("gwctl upstream ") + (request.stop() ? "undrain " : "drain ") + info.name() + " --target " + info.target();
    default: return std::string("gwctl ") + (request.stop() ? "unblock ip " : "block ip ") + info.name();
  }
}

std::string outcome(const v1::SetSwitchRequest& request, const v1::SetSwitchResponse& response) {
  const v1::SwitchInfo& i = response.info();
  std::string until = i.expires_at() > 0 ? " until " + time_text(i.expires_at()) : "";
  std::string was = response.changed() ? "" : " already";
  if (request.stop()) return switch_text(i) + until + was;
  if (request.kind() == v1::SWITCH_API) return "Api " + i.name() + " enabled" + was;
  if (request.kind() == v1::SWITCH_TARGET) return "Upstream " + i.name() + " " + i.target() + " back in rotation" + was;
  return i.name() + " unblocked" + was;
}

void print_switch(Session& session, const v1::SetSwitchRequest& request, const v1::SetSwitchResponse& response, const Verdict* verdict) {
  Json json = {{"switch", to_json(response.info())},
               {"stopped", request.stop()},
               {"changed", response.changed()},
               {"switchesVersion", response.switches_version()},
               {"nodesConnected", response.nodes_connected()},
               {"diagnostics", to_json_array(response.diagnostics())}};
  if (verdict != nullptr) {
    Json rollout = verdict_json(*verdict);
    rollout.erase("version");  // it is not one of the configuration
    json["rollout"] = std::move(rollout);
  }
  if (response.changed()) json["undo"] = reverse_command(request, response.info());
  session.emit(json, {response.info().name()}, [&](bool) {
    return outcome(request, response) + "\n" + (verdict != nullptr ? stream_verdict_text(*verdict, session.paint()) : "");
  });
}

// Also where nothing changed: the operator wants to know that it is so everywhere.
absl::StatusOr<int> set_switch(Session& session, const v1::SetSwitchRequest& request, const WaitOptions& wait) {
  GW_RETURN_IF_ERROR(check_wait_options(wait));
  GW_ASSIGN_OR_RETURN(AdminClient * client, session.client());
  GW_ASSIGN_OR_RETURN(v1::SetSwitchResponse response, client->set_switch(request));
  for (const v1::Diagnostic& d : response.diagnostics()) session.diagnostic(d);
  int code = 0;
  if (wait.no_wait) {
    print_switch(session, request, response, nullptr);
  } else {
    GW_ASSIGN_OR_RETURN(Verdict verdict, wait_for_rollout(session, {.switches = response.switches_version()}, wait));
    print_switch(session, request, response, &verdict);
    code = verdict.exit_code;
  }
  if (response.changed()) session.talk("undo with: " + reverse_command(request, response.info()));
  return code;
}

absl::StatusOr<v1::SetSwitchRequest> switch_request(v1::SwitchKind kind, bool stop, const SwitchOptions& options) {
  v1::SetSwitchRequest request;
  request.set_kind(kind);
  request.set_stop(stop);
  request.set_name(options.name);
  request.set_target(options.target);
  request.set_message(options.message);
  request.set_status(options.status);
  auto seconds = [](std::string_view flag, const std::string& text) -> absl::StatusOr<int64_t> {
    if (text.empty()) return 0;
    GW_ASSIGN_OR_RETURN(int64_t ms, duration_flag_ms(flag, text));
    return std::max<int64_t>(1, ms / 1000);
  };
  GW_ASSIGN_OR_RETURN(int64_t retry_after, seconds("--retry-after", options.retry_after));
  GW_ASSIGN_OR_RETURN(int64_t for_seconds, seconds("--for", options.duration));
  request.set_retry_after(retry_after);
  request.set_for_seconds(for_seconds);
  return request;
}

absl::StatusOr<int> run_switch(Session& session, v1::SwitchKind kind, bool stop, const SwitchOptions& options) {
  GW_ASSIGN_OR_RETURN(v1::SetSwitchRequest request, switch_request(kind, stop, options));
  return set_switch(session, request, options.wait);
}

}  // namespace

absl::StatusOr<int> run_api_disable(Session& session, const SwitchOptions& options) {
  return run_switch(session, v1::SWITCH_API, true, options);
}
absl::StatusOr<int> run_api_enable(Session& session, const SwitchOptions& options) {
  return run_switch(session, v1::SWITCH_API, false, options);
}
absl::StatusOr<int> run_upstream_drain(Session& session, const SwitchOptions& options) {
  return run_switch(session, v1::SWITCH_TARGET, true, options);
}
absl::StatusOr<int> run_upstream_undrain(Session& session, const SwitchOptions& options) {
  return run_switch(session, v1::SWITCH_TARGET, false, options);
}
absl::StatusOr<int> run_block_ip(Session& session, const SwitchOptions& options) {
  return run_switch(session, v1::SWITCH_BLOCK, true, options);
}
absl::StatusOr<int> run_unblock_ip(Session& session, const SwitchOptions& options) {
  return run_switch(session, v1::SWITCH_BLOCK, false, options);
}

absl::StatusOr<int> run_switches(Session& session) {
  GW_ASSIGN_OR_RETURN(AdminClient * client, session.client());
  GW_ASSIGN_OR_RETURN(v1::ListSwitchesResponse found, client->list_switches({}));
  std::vector<std::string> names;
  Table table({{"WHAT"}, {"SINCE"}, {"BY"}, {"UNTIL"}, {"MESSAGE", false, true}});
  for (const v1::SwitchInfo& i : found.switches()) {
    names.push_back(i.name() + (i.target().empty() ? "" : " " + i.target()));
    table.add({switch_text(i), time_text(i.since()), i.actor(), or_dash(time_text(i.expires_at())), or_dash(i.message())});
  }
  Json json = {{"switchesVersion", found.switches_version()}, {"switches", to_json_array(found.switches())}};
  session.emit(json, names, [&](bool) { return table.empty() ? std::string("nothing is stopped\n") : table.render(session.paint()); });
  return 0;
}

}  // namespace gw::cli
