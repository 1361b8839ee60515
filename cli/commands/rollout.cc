// rollout status, history, show, undo, release.
#include "cli/commands.h"
#include "cli/commands/changes.h"
#include "cli/errors.h"
#include "cli/views.h"
#include "common/base/status.h"

namespace gw::cli {
namespace {

std::string node_line(const v1::NodeRollout& n) {
  std::string out = "  node " + n.node() + (n.zone().empty() ? "" : " (" + n.zone() + ")") + "  " + state_word(n.state());
  if (!n.connected()) out += "  not connected";
  if (n.build_micros() > 0) out += "  built in " + std::to_string((n.build_micros() + 500) / 1000) + " ms";
  out += "\n";
  for (v1::Diagnostic d : n.diagnostics()) {
    d.clear_node();
    out += "    " + to_text(d) + "\n";
  }
  return out;
}

std::string version_line(const v1::VersionInfo& v, int64_t now_ms, const Paint& paint) {
  std::string out = painted("version " + std::to_string(v.version()), Style::kBold, paint) + "  " +
                    painted(v.phase(), phase_style(v.phase()), paint) + "  " + age_text((now_ms - v.created_at_ms()) / 1000) + "  " + or_dash(v.actor());
  if (!v.set().empty()) out += "  set " + v.set();
  if (!v.message().empty()) out += "  \"" + v.message() + "\"";
  if (v.undoes() > 0) out += "  undoes " + std::to_string(v.undoes());
  return out + "\n";
}

// The one version, whole; 0: the latest.
absl::StatusOr<v1::VersionInfo> fetch_version(Session& session, uint64_t version) {
  GW_ASSIGN_OR_RETURN(AdminClient * client, session.client());
  v1::HistoryRequest request;
  request.set_version(version);
  if (version == 0) {
    GW_ASSIGN_OR_RETURN(v1::StatusResponse status, client->status({}));
    if (status.latest() == 0) return failure(ExitCode::kNotFound, "there is no version yet");
    request.set_version(status.latest());
  }
  GW_ASSIGN_OR_RETURN(v1::HistoryResponse history, client->history(request));
  if (history.versions_size() != 1) {
    return failure(ExitCode::kNotFound, "version " + std::to_string(request.version()) + ": there is none");
  }
  return history.versions(0);
}

}  // namespace

absl::StatusOr<int> run_rollout_status(Session& session, const RolloutStatusOptions& options) {
  GW_ASSIGN_OR_RETURN(v1::VersionInfo info, fetch_version(session, options.version));
  if (session.globals().watch) {
    GW_ASSIGN_OR_RETURN(Verdict verdict, wait_for_rollout(session, {.config = info.version()}, WaitOptions{}));
    session.emit(verdict_json(verdict), {"version/" + std::to_string(info.version())},
                 [&](bool) { return verdict_text(verdict, session.paint()); });
    return verdict.exit_code;
  }
  session.emit(to_json(info), {"version/" + std::to_string(info.version())}, [&](bool) {
    std::string out = version_line(info, session.env().clock->wall_ns() / 1'000'000, session.paint());
    for (const v1::NodeRollout& n : info.nodes()) out += node_line(n);
    return out;
  });
  bool bad = info.phase() == "refused" || info.phase() == "no-nodes";
  return bad ? static_cast<int>(ExitCode::kNo) : 0;
}

absl::StatusOr<int> run_rollout_history(Session& session, int limit) {
  GW_ASSIGN_OR_RETURN(AdminClient * client, session.client());
  v1::HistoryRequest request;
  request.set_limit(limit);
  GW_ASSIGN_OR_RETURN(v1::HistoryResponse history, client->history(request));
  std::vector<std::string> names;
  for (const v1::VersionInfo& v : history.versions()) names.push_back("version/" + std::to_string(v.version()));
  session.emit(to_json_array(history.versions()), names, [&](bool wide) {
    std::vector<Column> columns = {{"VERSION", true}, {"PHASE"}, {"AGE", true}, {"WHO"}, {"SET"}, {"MESSAGE", false, true}};
    if (wide) columns.push_back({"DIGEST"});
    Table table(columns);
    const int64_t now_ms = session.env().clock->wall_ns() / 1'000'000;
    for (const v1::VersionInfo& v : history.versions()) {
      std::string message = v.undoes() > 0 ? "undoes " + std::to_string(v.undoes()) + (v.message().empty() ? "" : ": ") : "";
      std::vector<Cell> row = {std::to_string(v.version()), {v.phase(), phase_style(v.phase())}, age_text((now_ms - v.created_at_ms()) / 1000),
                               or_dash(v.actor()), or_dash(v.set()), message + v.message()};
      if (wide) row.emplace_back(v.digest());
      table.add(std::move(row));
    }
    return table.empty() ? std::string() : table.render(session.paint());
  });
  return 0;
}

absl::StatusOr<int> run_rollout_show(Session& session, uint64_t version) {
  GW_ASSIGN_OR_RETURN(v1::VersionInfo info, fetch_version(session, version));
  session.emit(to_json(info), {"version/" + std::to_string(info.version())}, [&](bool) {
    const Paint& paint = session.paint();
    std::string out = version_line(info, session.env().clock->wall_ns() / 1'000'000, paint);
    for (const v1::NodeRollout& n : info.nodes()) out += node_line(n);
    return out + "\n" + diff_text(info.changes(), paint);
  });
  return 0;
}

absl::StatusOr<int> run_rollout_undo(Session& session, const UndoOptions& options) {
  GW_RETURN_IF_ERROR(check_wait_options(options.wait));
  GW_ASSIGN_OR_RETURN(AdminClient * client, session.client());
  v1::UndoRequest request;
  request.set_version(options.version);
  request.set_message(options.message);
  GW_ASSIGN_OR_RETURN(v1::ApplyResponse response, client->undo(request));
  GW_ASSIGN_OR_RETURN(v1::VersionInfo undone, fetch_version(session, options.version));
  GW_ASSIGN_OR_RETURN(int code, finish_change(session, response, options.wait));
  if (!undone.set().empty()) {
    session.talk("set " + undone.set() + " is held: its next apply is refused until `gwctl rollout release " + undone.set() + "`");
  }
  return code;
}

absl::StatusOr<int> run_rollout_release(Session& session, const std::string& set) {
  GW_ASSIGN_OR_RETURN(AdminClient * client, session.client());
  v1::ReleaseSetRequest request;
  request.set_set(set);
  GW_RETURN_IF_ERROR(client->release_set(request).status());
  session.emit({{"set", set}, {"held", false}}, {"set/" + set}, [&](bool) { return "set " + set + " released\n"; });
  return 0;
}

}  // namespace gw::cli
