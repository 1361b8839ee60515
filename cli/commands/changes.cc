#include "cli/commands/changes.h"

#include <algorithm>

#include "cli/errors.h"
#include "cli/kinds.h"
#include "cli/views.h"
#include "common/base/status.h"

namespace gw::cli {
namespace {

constexpr size_t kLongestValue = 60;

std::string label(const v1::Change& c) { return c.kind() + " " + object_name(c.owner(), c.name()); }

// spec.quota.requests -> quota.requests: every field that people change is in the spec, or says metadata.
std::string short_path(const std::string& path) { return path.rfind("spec.", 0) == 0 ? path.substr(5) : path; }

std::string short_value(const std::string& value) {
  if (value.empty()) return "(none)";
  return display_width(value) <= kLongestValue ? value : value.substr(0, kLongestValue) + "…";
}

std::string field_text(const v1::FieldChange& f) {
  return short_path(f.path()) + " " + short_value(f.before()) + " -> " + short_value(f.after());
}

std::string notes_text(const v1::Change& c) {
  std::string out;
  for (const std::string& note : c.notes()) out += (out.empty() ? "" : ", ") + note;
  return out.empty() ? out : "(" + out + ")";
}

int64_t count_unchanged(const Changes& changes) {
  return std::count_if(changes.begin(), changes.end(), [](const v1::Change& c) { return c.action() == v1::Change::UNCHANGED; });
}

std::string undo_command(uint64_t version) { return "gwctl rollout undo " + std::to_string(version); }

std::string lower_kind(std::string kind) {
  std::transform(kind.begin(), kind.end(), kind.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return kind;
}

// A refused version changed nothing anywhere: there is nothing to undo.
bool is_refused(const Verdict* verdict) { return verdict != nullptr && verdict->status.phase() == "refused"; }

void print_answer(Session& session, const v1::ApplyResponse& response, const Verdict* verdict) {
  Json json = changes_json(response.changes());
  json["version"] = response.version();
  if (response.directory_version() > 0) json["directoryVersion"] = response.directory_version();
  if (response.certificates_version() > 0) json["certificatesVersion"] = response.certificates_version();
  json["nodesConnected"] = response.nodes_connected();
  json["diagnostics"] = to_json_array(response.diagnostics());
  if (verdict != nullptr) json["rollout"] = verdict_json(*verdict);
  if (response.version() > 0 && !is_refused(verdict)) json["undo"] = undo_command(response.version());
  session.emit(json, changed_names(response.changes()), [&](bool) {
    std::string text = verdict == nullptr ? changes_text(response.changes(), session.paint()) : "";
    if (verdict != nullptr) return verdict_text(*verdict, session.paint());
    if (response.version() > 0) text += "version " + std::to_string(response.version()) + " offered\n";
    return text;
  });
}

}  // namespace

bool has_changes(const Changes& changes) { return count_unchanged(changes) != changes.size(); }

std::string changes_text(const Changes& changes, const Paint& paint) {
  Paint bare = paint;
  bare.headers = false;
  Table table({{"OBJECT"}, {"ACTION"}, {"WHAT", false, true}});
  for (const v1::Change& c : changes) {
    if (c.action() == v1::Change::UNCHANGED) continue;
    std::vector<std::string> lines;
    if (c.action() == v1::Change::CHANGED) {
      for (const v1::FieldChange& f : c.fields()) lines.push_back(field_text(f));
    }
    if (std::string notes = notes_text(c); !notes.empty()) lines.push_back(notes);
    if (lines.empty()) lines.emplace_back();
    table.add({label(c), {action_word(c.action()), action_style(c.action())}, lines[0]});
    for (size_t i = 1; i < lines.size(); ++i) table.add({"", "", lines[i]});
  }
  std::string out = table.render(bare);
  int64_t unchanged = count_unchanged(changes);
  if (table.empty()) return "nothing changes: " + std::to_string(unchanged) + " unchanged\n";
  if (unchanged > 0) out += painted(std::to_string(unchanged) + " unchanged", Style::kDim, paint) + "\n";
  return out;
}

std::string diff_text(const Changes& changes, const Paint& paint) {
  std::string out;
  for (const v1::Change& c : changes) {
    if (c.action() == v1::Change::UNCHANGED) continue;
    out += painted(label(c) + " " + action_word(c.action()), Style::kBold, paint) + "\n";
    for (const v1::FieldChange& f : c.fields()) {
      if (!f.before().empty()) out += painted("- " + f.path() + ": " + f.before(), Style::kBad, paint) + "\n";
      if (!f.after().empty()) out += painted("+ " + f.path() + ": " + f.after(), Style::kGood, paint) + "\n";
    }
  }
  return out;
}

Json changes_json(const Changes& changes) {
  Json list = Json::array();
  for (const v1::Change& c : changes) {
    if (c.action() != v1::Change::UNCHANGED) list.push_back(to_json(c));
  }
  return {{"changes", std::move(list)}, {"unchanged", count_unchanged(changes)}};
}

std::vector<std::string> changed_names(const Changes& changes) {
  std::vector<std::string> out;
  for (const v1::Change& c : changes) {
    if (c.action() != v1::Change::UNCHANGED) out.push_back(lower_kind(c.kind()) + "/" + object_name(c.owner(), c.name()));
  }
  return out;
}

absl::StatusOr<int> finish_change(Session& session, const v1::ApplyResponse& response, const WaitOptions& wait) {
  for (const v1::Diagnostic& d : response.diagnostics()) session.diagnostic(d);
  if (response.version() == 0 && response.directory_version() == 0 && response.certificates_version() == 0) {
    print_answer(session, response, nullptr);
    return 0;
  }
  const std::string number = std::to_string(response.version());
  const std::string undo = response.version() > 0 ? "undo with: " + undo_command(response.version()) : "";
  if (wait.no_wait) {
    print_answer(session, response, nullptr);
    if (!undo.empty()) session.talk(undo);
    if (response.nodes_connected() > 0) return 0;
    session.talk("stored; no node is connected");
    return static_cast<int>(ExitCode::kNo);
  }
  if (!session.machine_output() && session.globals().format != Format::kName) {
    session.write(changes_text(response.changes(), session.paint()));
  }
  if (session.env().on_interrupt_say && response.version() > 0) {
    session.env().on_interrupt_say("version " + number + " is stored and its rollout goes on; see `gwctl rollout status " +
                                   number + "`; undo with `" + undo_command(response.version()) + "`");
  }
  GW_ASSIGN_OR_RETURN(Verdict verdict,
                      wait_for_rollout(session,
                                       {.config = response.version(),
                                        .directory = response.directory_version(),
                                        .certificates = response.certificates_version()},
                                       wait));
  print_answer(session, response, &verdict);
  if (!undo.empty() && !is_refused(&verdict)) session.talk(undo);
  if (verdict.timed_out) session.talk("timed out; the version is stored and its rollout goes on: gwctl rollout status " + number);
  return verdict.exit_code;
}

bool wait_for_directory(Session& session, uint64_t directory_version) {
  if (directory_version == 0) return true;
  auto verdict = wait_for_rollout(session, {.directory = directory_version}, WaitOptions{});
  if (!verdict.ok()) {
    session.talk("stored; whether every node has it is not known: " + message_of(verdict.status()));
    return false;
  }
  if (verdict->exit_code == 0) return true;
  bool nobody = verdict->status.nodes_size() == 0;
  session.talk(nobody ? "stored; no node is connected" : "stored; not every node has it yet: gwctl node list");
  return nobody;
}

}  // namespace gw::cli
