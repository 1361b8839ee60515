// lint and render, offline. lint: loader, compiler and the node's own builder over files, without a control plane.
#include "cli/commands.h"
#include "cli/commands/source.h"
#include "cli/errors.h"
#include "cli/views.h"
#include "common/base/status.h"
#include "common/config/kinds.h"
#include "common/config/writer.h"
#include "controlplane/snapshot/compiler.h"
#include "dataplane/snapshot/certificates.h"
#include "dataplane/snapshot/directory_builder.h"
#include "dataplane/snapshot/snapshot_builder.h"

namespace gw::cli {
namespace {

std::vector<v1::Object> owned_objects(const Source& source, const std::string& owner) {
  std::vector<v1::Object> out;
  for (const LoadedObject* loaded : source.loaded()) {
    out.push_back(loaded->object);
    v1::Metadata& meta = *out.back().mutable_metadata();
    if (meta.owner().empty() && loaded->kind != "Team") meta.set_owner(owner);
  }
  return out;
}

// What a node would say that was offered these entries.
DiagnosticList dry_load(const Compiled& compiled) {
  DiagnosticList out;
  SnapshotBuilder config;
  out.append(config.prepare(whole_offer(v1::STREAM_CONFIG, compiled.config, 1)).diagnostics);
  DirectoryBuilder directory;
  out.append(directory.prepare(whole_offer(v1::STREAM_DIRECTORY, compiled.directory, 1)).diagnostics);
  CertificatesBuilder certificates;
  out.append(certificates.prepare(whole_offer(v1::STREAM_CERTIFICATES, compiled.certificates, 1)).diagnostics);
  return out;
}

// A whole configuration is built as a node builds it. One that refers to what is elsewhere (the platform's Gateway, another
// team's Upstream) is checked as far as it goes; those references are warnings.
DiagnosticList check(const std::vector<v1::Object>& objects, int64_t now_ms) {
  CompileOptions options;
  options.now_ms = now_ms;
  Compiled whole = compile(objects, options);
  if (!whole.diagnostics.has_errors()) {
    DiagnosticList out = whole.diagnostics;
    out.append(dry_load(whole));
    return out;
  }
  options.partial = true;
  return compile(objects, options).diagnostics;
}

}  // namespace

absl::StatusOr<int> run_lint(Session& session, const LintOptions& options) {
  GW_ASSIGN_OR_RETURN(Settings settings, session.offline_settings());
  GW_ASSIGN_OR_RETURN(Source source, read_source(session, options.files, settings.owner));
  DiagnosticList all = source.diagnostics;
  const std::vector<v1::Object> objects = owned_objects(source, settings.owner);
  // With broken objects left out, the rest would seem to dangle.
  if (!all.has_errors()) {
    DiagnosticList found = check(objects, session.env().clock->wall_ns() / 1'000'000);
    for (Diagnostic& d : found.items()) {
      place(d, *source.files, settings.owner);
      session.diagnostic(d);
    }
    all.append(found);
  }
  size_t warnings = all.items().size() - std::min(all.errors(), all.items().size());
  Json json = {{"objects", objects.size()}, {"errors", all.errors()}, {"warnings", warnings}, {"diagnostics", to_json_array(all.items())}};
  session.emit(json, {}, [&](bool) {
    return std::to_string(objects.size()) + " objects, " + std::to_string(all.errors()) + " errors, " + std::to_string(warnings) + " warnings\n";
  });
  return all.has_errors() ? static_cast<int>(ExitCode::kNo) : 0;
}

absl::StatusOr<int> run_render(Session& session, const LintOptions& options) {
  GW_ASSIGN_OR_RETURN(Settings settings, session.offline_settings());
  GW_ASSIGN_OR_RETURN(Source source, read_valid_source(session, options.files, settings.owner));
  const std::vector<v1::Object> objects = owned_objects(source, settings.owner);
  Json json = Json::array();
  std::vector<std::string> names;
  for (const v1::Object& object : objects) {
    json.push_back(gw::to_json(object));
    names.push_back(std::string(gw::kind_of(object)) + "/" + full_name(object));
  }
  if (session.globals().format == Format::kJson || session.globals().format == Format::kName) {
    session.emit(json, names, [](bool) { return std::string(); });
  } else {
    session.write(gw::to_yaml(objects));
  }
  return 0;
}

}  // namespace gw::cli
