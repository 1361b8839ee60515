// usage.
#include <algorithm>
#include <cstdio>
#include <ctime>

#include "cli/commands.h"
#include "cli/errors.h"
#include "cli/views.h"
#include "common/base/status.h"

namespace gw::cli {
namespace {

const std::vector<std::string>& groups() {
  static const std::vector<std::string> words = {"app", "api", "plan", "route", "status", "hour", "day", "month"};
  return words;
}

// 2026-11, 2026-11-24 or 2026-11-24T13 (UTC) as hours since the epoch.
absl::StatusOr<int64_t> parse_hour(std::string_view flag, const std::string& text) {
  std::tm parts{};
  parts.tm_mday = 1;
  int read = 0;
  const int length = static_cast<int>(text.size());
  bool month = std::sscanf(text.c_str(), "%4d-%2d%n", &parts.tm_year, &parts.tm_mon, &read) == 2 && read == length;
  bool day = !month && std::sscanf(text.c_str(), "%4d-%2d-%2d%n", &parts.tm_year, &parts.tm_mon, &parts.tm_mday, &read) == 3 && read == length;
  bool hour = !month && !day &&
              std::sscanf(text.c_str(), "%4d-%2d-%2dT%2d%n", &parts.tm_year, &parts.tm_mon, &parts.tm_mday, &parts.tm_hour, &read) == 4 && read == length;
  bool sane = parts.tm_mon >= 1 && parts.tm_mon <= 12 && parts.tm_mday >= 1 && parts.tm_mday <= 31 && parts.tm_hour >= 0 && parts.tm_hour <= 23 && parts.tm_year >= 1970;
  if (!(month || day || hour) || !sane) {
    return usage_error(std::string(flag) + " \"" + text + "\": write 2026-11, 2026-11-24 or 2026-11-24T13 (UTC)");
  }
  parts.tm_year -= 1900;
  parts.tm_mon -= 1;
  return static_cast<int64_t>(timegm(&parts)) / 3600;
}

std::vector<Cell> cells(const v1::UsageRow& r, const std::vector<std::string>& by) {
  std::vector<Cell> out;
  for (const std::string& group : by) {
    bool period = group == "hour" || group == "day" || group == "month";
    out.emplace_back(or_dash(period             ? r.period()
                             : group == "app"   ? r.app()
                             : group == "api"   ? r.api()
                             : group == "plan"  ? r.plan()
                             : group == "route" ? r.route()
                                                : r.status()));
  }
  for (uint64_t n : {r.requests(), r.request_bytes(), r.response_bytes()}) out.emplace_back(with_commas(n));
  return out;
}

std::string usage_table(const v1::UsageResponse& usage, const std::vector<std::string>& by, const Paint& paint) {
  std::vector<Column> columns;
  for (std::string group : by) {
    std::transform(group.begin(), group.end(), group.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    columns.push_back({group, false, true});
  }
  columns.insert(columns.end(), {{"REQUESTS", true}, {"BYTES IN", true}, {"BYTES OUT", true}});
  Table table(columns);
  for (const v1::UsageRow& r : usage.rows()) table.add(cells(r, by));
  return table.empty() ? "" : table.render(paint);
}

}  // namespace

absl::StatusOr<int> run_usage(Session& session, const UsageOptions& options) {
  v1::UsageRequest request;
  request.set_app(options.app);
  request.set_api(options.api);
  request.set_plan(options.plan);
  if (!options.from.empty()) {
    GW_ASSIGN_OR_RETURN(int64_t hour, parse_hour("--from", options.from));
    request.set_from_hour(hour);
  }
  if (!options.to.empty()) {
    GW_ASSIGN_OR_RETURN(int64_t hour, parse_hour("--to", options.to));
    request.set_to_hour(hour);
  }
  std::vector<std::string> by = options.by.empty() ? std::vector<std::string>{"month", "app", "api", "plan"} : options.by;
  int periods = 0;
  for (const std::string& group : by) {
    if (std::find(groups().begin(), groups().end(), group) == groups().end()) {
      std::string near = did_you_mean(group, groups());
      return usage_error("--by \"" + group + "\": app, api, plan, route, status, hour, day, month" + (near.empty() ? "" : "; did you mean " + near + "?"));
    }
    periods += group == "hour" || group == "day" || group == "month";
    request.add_group_by(group);
  }
  if (periods > 1) return usage_error("--by: one of hour, day, month");
  GW_ASSIGN_OR_RETURN(AdminClient * client, session.client());
  GW_ASSIGN_OR_RETURN(v1::UsageResponse usage, client->usage(request));
  session.emit(to_json_array(usage.rows()), {}, [&](bool) { return usage_table(usage, by, session.paint()); });
  if (usage.rows_size() == 0 && !session.machine_output()) session.talk("nothing was metered");
  return 0;
}

}  // namespace gw::cli
