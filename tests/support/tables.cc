#include "tests/support/tables.h"

#include <stdexcept>

#include "common/config/loader.h"
#include "controlplane/snapshot/compiler.h"
#include "dataplane/snapshot/directory_builder.h"

namespace gw::test {
namespace {

void check(const DiagnosticList& diagnostics) {
  if (!diagnostics.has_errors()) return;
  std::string text;
  for (const Diagnostic& d : diagnostics.items()) text += to_text(d) + "\n";
  throw std::runtime_error(text);
}

}  // namespace

TableMaker::TableMaker(BuilderOptions options) : builder_(std::make_shared<IndexRegistry>(), std::move(options)) {}

Tables TableMaker::make(const std::string& yaml) {
  DiagnosticList diagnostics;
  LoadedFile file = load_yaml(yaml, "test.yaml", {}, diagnostics);
  check(diagnostics);
  std::vector<v1::Object> objects;
  for (const LoadedObject& loaded : file.objects) objects.push_back(loaded.object);
  Compiled compiled = compile(objects, {});
  check(compiled.diagnostics);
  ++version_;
  auto built = builder_.prepare(whole_offer(v1::STREAM_CONFIG, compiled.config, version_));
  check(built.diagnostics);
  if (built.outcome != PrepareOutcome::kReady) throw std::runtime_error("the snapshot was not built");
  Tables tables;
  tables.snapshot = built.snapshot;
  builder_.commit(std::move(built));
  DirectoryBuilder directory;
  auto people = directory.prepare(whole_offer(v1::STREAM_DIRECTORY, compiled.directory, version_));
  check(people.diagnostics);
  tables.directory = people.directory;
  tables.quota = QuotaBuilder().quota();
  return tables;
}

}  // namespace gw::test
