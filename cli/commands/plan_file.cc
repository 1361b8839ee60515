#include "cli/commands/plan_file.h"

#include <cerrno>
#include <cstring>
#include <fstream>

#include "cli/errors.h"
#include "cli/output.h"
#include "cli/settings.h"
#include "common/base/status.h"
#include "common/config/kinds.h"
#include "common/config/loader.h"
#include "common/config/writer.h"

namespace gw::cli {
namespace {

constexpr char kFormat[] = "northgate-plan/1";
constexpr size_t kMaxPlanBytes = size_t{128} << 20;

uint64_t generation_before(const v1::Change& c) {
  bool raises = c.action() == v1::Change::CREATED || c.action() == v1::Change::CHANGED;
  return raises && c.generation() > 0 ? c.generation() - 1 : c.generation();
}

absl::Status not_a_plan(const std::string& path, const std::string& why) {
  return failure(ExitCode::kRefused, path + ": is not a plan file: " + why + "; make one with `gwctl plan --out FILE`");
}

absl::StatusOr<v1::ApplyRequest> parse_plan(const Json& json, const std::string& path) {
  v1::ApplyRequest request;
  request.set_owner(json.value("owner", ""));
  request.set_set(json.value("set", ""));
  request.set_prune(json.value("prune", false));
  for (const Json& s : json.at("seen")) {
    v1::SeenGeneration& seen = *request.add_seen();
    seen.set_kind(s.at("kind").get<std::string>());
    seen.set_owner(s.at("owner").get<std::string>());
    seen.set_name(s.at("name").get<std::string>());
    seen.set_generation(s.at("generation").get<uint64_t>());
  }
  std::string documents;
  for (const Json& object : json.at("objects")) documents += "---\n" + object.dump() + "\n";
  DiagnosticList diagnostics;
  LoadOptions options;
  options.max_bytes = kMaxPlanBytes;
  LoadedFile loaded = load_yaml(documents, path, options, diagnostics);
  if (diagnostics.has_errors()) return not_a_plan(path, diagnostics.items()[0].message());
  for (LoadedObject& object : loaded.objects) *request.add_objects() = std::move(object.object);
  return request;
}

}  // namespace

absl::Status write_plan_file(const std::string& path, const v1::ApplyRequest& request, const v1::ApplyResponse& planned,
                             const std::string& lineage) {
  Json seen = Json::array();
  for (const v1::Change& c : planned.changes()) {
    seen.push_back({{"kind", c.kind()}, {"owner", c.owner()}, {"name", c.name()}, {"generation", generation_before(c)}});
  }
  for (const v1::Object& object : request.objects()) {
    if (object.secret().value().empty()) continue;
    return usage_error(path + ": a plan holds no secrets, and Secret " + full_name(object) + " has a value; set it with `gwctl secret set`, and leave `value` out");
  }
  Json objects = Json::array();
  for (const v1::Object& object : request.objects()) objects.push_back(gw::to_json(object));
  Json json = {{"format", kFormat},      {"lineage", lineage},   {"owner", request.owner()}, {"set", request.set()},
               {"prune", request.prune()}, {"seen", std::move(seen)}, {"objects", std::move(objects)}};
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << to_json_text(json) << std::flush;
  if (!file) return usage_error("cannot write " + path + ": " + std::strerror(errno));
  return absl::OkStatus();
}

absl::StatusOr<v1::ApplyRequest> read_plan_file(const std::string& path, std::string& lineage) {
  GW_ASSIGN_OR_RETURN(std::string text, read_small_file(path, kMaxPlanBytes));
  try {
    Json json = Json::parse(text);
    if (json.value("format", "") != kFormat) return not_a_plan(path, "no \"format\": \"northgate-plan/1\"");
    lineage = json.value("lineage", "");
    return parse_plan(json, path);
  } catch (const Json::exception& e) {
    return not_a_plan(path, e.what());
  }
}

}  // namespace gw::cli
