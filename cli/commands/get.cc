// get, describe, export.
#include <algorithm>

#include "cli/commands.h"
#include "cli/commands/summary.h"
#include "cli/errors.h"
#include "cli/kinds.h"
#include "cli/views.h"
#include "common/base/status.h"
#include "common/config/kinds.h"
#include "common/config/writer.h"

namespace gw::cli {
namespace {

constexpr int64_t kWatchMs = 1000;

using Views = std::vector<v1::ObjectView>;

// What is asked for: a kind (empty: all) and names; `route/attendees/attendees` is both in one word.
struct Wanted {
  std::string kind;
  std::vector<std::string> names;
};

absl::StatusOr<Wanted> parse_wanted(const GetOptions& options) {
  Wanted out{options.kind, options.names};
  if (size_t slash = out.kind.find('/'); slash != std::string::npos) {
    out.names.insert(out.names.begin(), out.kind.substr(slash + 1));
    out.kind.resize(slash);
  }
  if (out.kind == "all" || out.kind.empty()) {
    if (!out.names.empty()) return usage_error("which kind is " + out.names[0] + " of? write KIND NAME");
    out.kind.clear();
    return out;
  }
  GW_ASSIGN_OR_RETURN(out.kind, parse_kind(out.kind));
  return out;
}

absl::StatusOr<v1::ListObjectsRequest> base_request(Session& session, const std::string& kind, const std::string& set, uint64_t at) {
  v1::ListObjectsRequest request;
  request.set_kind(kind);
  request.set_owner(session.globals().connection.owner);  // the flag alone filters; a context's owner does not
  request.set_set(set);
  request.set_version(at);
  GW_ASSIGN_OR_RETURN(auto labels, session.labels());
  for (v1::Pair& pair : labels) *request.add_labels() = std::move(pair);
  return request;
}

absl::Status no_such_object(AdminClient& client, v1::ListObjectsRequest request, const std::string& name) {
  const std::string kind = request.kind();
  request.clear_name();
  std::vector<std::string> names;
  if (auto all = client.list_objects(request); all.ok()) {
    for (const v1::ObjectView& v : all->objects()) {
      names.push_back(full_name(v.object()));
      if (name.find('/') == std::string::npos) names.push_back(v.object().metadata().name());
    }
  }
  std::string near = did_you_mean(name, names);
  return failure(ExitCode::kNotFound, kind + " " + name + ": there is none" + (near.empty() ? "" : "; did you mean " + near + "?"));
}

absl::StatusOr<Views> fetch(Session& session, const Wanted& wanted, const GetOptions& options) {
  GW_ASSIGN_OR_RETURN(AdminClient * client, session.client());
  GW_ASSIGN_OR_RETURN(v1::ListObjectsRequest request, base_request(session, wanted.kind, options.set, options.at));
  Views out;
  if (wanted.names.empty()) {
    GW_ASSIGN_OR_RETURN(v1::ListObjectsResponse found, client->list_objects(request));
    out.assign(found.objects().begin(), found.objects().end());
    return out;
  }
  for (const std::string& name : wanted.names) {
    GW_ASSIGN_OR_RETURN(v1::ObjectId id, parse_object_id(wanted.kind, name, request.owner()));
    v1::ListObjectsRequest one = request;
    one.set_owner(id.owner());
    one.set_name(id.name());
    GW_ASSIGN_OR_RETURN(v1::ListObjectsResponse found, client->list_objects(one));
    if (found.objects_size() == 0) return no_such_object(*client, one, name);
    out.insert(out.end(), found.objects().begin(), found.objects().end());
  }
  return out;
}

std::string name_of(const v1::Object& object) {
  std::string kind(gw::kind_of(object));
  std::transform(kind.begin(), kind.end(), kind.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return kind + "/" + full_name(object);
}

std::string conditions_text(const v1::ObjectView& view) {
  std::string out;
  for (const v1::Condition& c : view.conditions()) out += (out.empty() ? "" : " ") + c.type() + "=" + c.status();
  return out;
}

std::string labels_text(const v1::Object& object) {
  std::string out;
  for (const v1::Pair& p : object.metadata().labels()) out += (out.empty() ? "" : ",") + p.name() + "=" + p.value();
  return out;
}

// A Secret says nothing of itself; the server says what may be said of its value.
std::string what_text(const v1::ObjectView& view) {
  if (!view.object().has_secret()) return summary(view.object());
  for (const v1::Pair& fact : view.facts()) {
    if (fact.name() == "value") return fact.value();
  }
  return "";
}

std::string table_text(Session& session, const Views& views, bool with_kind, bool wide) {
  if (views.empty()) return "";
  std::vector<Column> columns;
  if (with_kind) columns.push_back({"KIND"});
  columns.push_back({"NAME"});
  columns.push_back({"WHAT", false, true});
  if (wide) {
    for (const char* name : {"SET", "LABELS", "CONDITIONS"}) columns.push_back({name});
    columns.push_back({"GENERATION", true});
  }
  Table table(columns);
  for (const v1::ObjectView& v : views) {
    std::vector<Cell> row;
    if (with_kind) row.emplace_back(std::string(gw::kind_of(v.object())));
    row.emplace_back(full_name(v.object()));
    row.emplace_back(what_text(v));
    if (wide) {
      row.emplace_back(or_dash(v.object().set()));
      row.emplace_back(or_dash(labels_text(v.object())));
      row.emplace_back(or_dash(conditions_text(v)));
      row.emplace_back(std::to_string(v.object().generation()));
    }
    table.add(std::move(row));
  }
  return table.render(session.paint());
}

Json view_json(const v1::ObjectView& view) {
  WriteOptions write{true, &view.conditions()};
  return gw::to_json(view.object(), write);
}

std::string views_yaml(const Views& views) {
  std::string out;
  for (const v1::ObjectView& v : views) {
    WriteOptions write{true, &v.conditions()};
    out += (out.empty() ? "" : "---\n") + gw::to_yaml(v.object(), write);
  }
  return out;
}

void print_views(Session& session, const Wanted& wanted, const Views& views) {
  if (session.globals().format == Format::kYaml) return session.write(views_yaml(views));
  Json json = Json::array();
  std::vector<std::string> names;
  for (const v1::ObjectView& v : views) {
    json.push_back(view_json(v));
    names.push_back(name_of(v.object()));
  }
  if (wanted.names.size() == 1 && views.size() == 1) json = Json(json[0]);
  session.emit(json, names, [&](bool wide) { return table_text(session, views, wanted.kind.empty(), wide); });
}

// What each node last reported of an Upstream's targets.
Cell rotation(const v1::TargetState& t) {
  if (t.source() == v1::TARGET_AWAITED) return Cell("nothing found yet", Style::kWarn);
  if (t.drained()) return Cell("drained", Style::kWarn);
  if (t.probe_failed()) return Cell("fails its probes", Style::kBad);
  return t.ejected() ? Cell("left out: fails requests", Style::kBad) : Cell("in rotation", Style::kGood);
}

std::string source_text(const v1::TargetState& t) {
  return std::string(source_word(t.source())) + (t.name().empty() ? "" : " " + t.name());
}

// How long the answer in use is good for, or since when it is not.
Cell answer_age(const v1::NameState& n) {
  if (n.stale_since() > 0) return Cell("stale since " + time_text(n.stale_since()), Style::kWarn);
  return Cell("asked again in " + std::to_string((n.refresh_in_ms() + 999) / 1000) + " s");
}

std::string names_table(const v1::ObjectView& view, const Paint& paint) {
  Table table({{"NODE"}, {"NAME"}, {"ANSWER"}, {"AGE"}, {"PROBLEM"}});
  for (const v1::NodeTargets& node : view.targets()) {
    for (const v1::NameState& n : node.names()) {
      std::string answer;
      for (const std::string& address : n.addresses()) answer += (answer.empty() ? "" : ", ") + address;
      if (static_cast<int>(n.total()) > n.addresses_size()) answer += " and " + std::to_string(static_cast<int>(n.total()) - n.addresses_size()) + " more";
      std::string problem = n.problem();
      auto left_out = [&](uint32_t count, const char* why) {
        if (count > 0) problem += (problem.empty() ? "" : "; ") + std::to_string(count) + why;
      };
      left_out(n.refused(), " refused");
      left_out(n.excess(), " beyond maxTargets");
      table.add({node.node(), (n.srv() ? "srv " : "") + n.name(), answer.empty() ? Cell("none", Style::kBad) : Cell(answer), answer_age(n),
                 Cell(problem, Style::kWarn)});
    }
  }
  return table.empty() ? "" : "\n" + table.render(paint);
}

std::string targets_table(const v1::ObjectView& view, const Paint& paint) {
  Table table({{"NODE"}, {"TARGET"}, {"SOURCE"}, {"STATE"}, {"REQUESTS", true}, {"FAILURES", true}, {"IDLE", true}, {"BUSY", true}});
  for (const v1::NodeTargets& node : view.targets()) {
    for (const v1::TargetState& t : node.targets()) {
      table.add({node.node(), t.address(), source_text(t), rotation(t),
                 with_commas(t.requests()), {with_commas(t.failures()), t.failures() > 0 ? Style::kBad : Style::kPlain},
                 std::to_string(t.connections_idle()), std::to_string(t.connections_busy())});
    }
  }
  return table.empty() ? "" : "\n" + table.render(paint);
}

std::string description(const v1::ObjectView& view, const Paint& paint) {
  const v1::Object& object = view.object();
  std::string out = painted(std::string(gw::kind_of(object)) + " " + full_name(object), Style::kBold, paint) + "\n";
  Paint bare = paint;
  bare.headers = false;
  Table facts({{"FACT"}, {"VALUE"}});
  facts.add({"  generation", std::to_string(object.generation())});
  if (!object.set().empty()) facts.add({"  set", object.set()});
  for (const v1::Condition& c : view.conditions()) {
    bool bad = c.status() == "False";
    facts.add({"  " + c.type(), {c.status() + (c.reason().empty() ? "" : "  " + c.reason()), bad ? Style::kBad : Style::kPlain}});
  }
  for (const v1::Pair& p : view.facts()) facts.add({"  " + p.name(), p.value()});
  return out + facts.render(bare) + targets_table(view, paint) + names_table(view, paint) + "\n" + gw::to_yaml(object);
}

}  // namespace

absl::StatusOr<int> run_get(Session& session, const GetOptions& options) {
  GW_ASSIGN_OR_RETURN(Wanted wanted, parse_wanted(options));
  std::string last;
  for (;;) {
    GW_ASSIGN_OR_RETURN(Views views, fetch(session, wanted, options));
    // Watching prints again only what has changed.
    if (std::string now = views_yaml(views); !session.globals().watch || now != last) {
      print_views(session, wanted, views);
      last = std::move(now);
    }
    if (views.empty() && !session.machine_output()) session.talk("there is none");
    if (!session.globals().watch) return 0;
    session.env().sleep(kWatchMs);
  }
}

absl::StatusOr<int> run_describe(Session& session, const GetOptions& options) {
  GW_ASSIGN_OR_RETURN(Wanted wanted, parse_wanted(options));
  if (wanted.names.empty()) return usage_error("describe which? write gwctl describe KIND OWNER/NAME");
  GW_ASSIGN_OR_RETURN(Views views, fetch(session, wanted, options));
  Json json = Json::array();
  std::vector<std::string> names;
  std::string text;
  for (const v1::ObjectView& v : views) {
    Json facts = Json::array();
    for (const v1::Pair& p : v.facts()) facts.push_back({{"name", p.name()}, {"value", p.value()}});
    Json one = view_json(v);
    one["facts"] = std::move(facts);
    if (v.targets_size() > 0) one["targets"] = to_json_array(v.targets());
    json.push_back(std::move(one));
    names.push_back(name_of(v.object()));
    text += (text.empty() ? "" : "\n") + description(v, session.paint());
  }
  if (views.size() == 1) json = Json(json[0]);
  session.emit(json, names, [&](bool) { return text; });
  return 0;
}

absl::StatusOr<int> run_export(Session& session, const ExportOptions& options) {
  GW_ASSIGN_OR_RETURN(AdminClient * client, session.client());
  std::string kind;
  if (!options.kind.empty() && options.kind != "all") {
    GW_ASSIGN_OR_RETURN(kind, parse_kind(options.kind));
  }
  GW_ASSIGN_OR_RETURN(v1::ListObjectsRequest request, base_request(session, kind, options.set, options.at));
  GW_ASSIGN_OR_RETURN(v1::ListObjectsResponse found, client->list_objects(request));
  Json json = Json::array();
  std::vector<v1::Object> objects;
  std::vector<std::string> names;
  for (const v1::ObjectView& v : found.objects()) {
    objects.push_back(v.object());
    json.push_back(gw::to_json(v.object()));
    names.push_back(name_of(v.object()));
  }
  if (session.globals().format == Format::kJson || session.globals().format == Format::kName) {
    session.emit(json, names, [](bool) { return std::string(); });
  } else {
    session.write(gw::to_yaml(objects));
  }
  session.talk(std::to_string(objects.size()) + " objects of version " + std::to_string(found.version()));
  return 0;
}

}  // namespace gw::cli
