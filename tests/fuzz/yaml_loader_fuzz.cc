// Any bytes as a configuration file: no crash, no hang, and what is accepted survives being written
// and read again.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "common/config/loader.h"
#include "common/config/writer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gw::LoadOptions options;
  options.max_nodes = 10'000;
  gw::DiagnosticList diagnostics;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  gw::LoadedFile file = gw::load_yaml(text, "fuzz", options, diagnostics);
  for (gw::Diagnostic& d : diagnostics.items()) {
    gw::place(d, {}, "");
    if (gw::to_text(d).empty() || d.message().empty()) std::abort();
  }
  for (const gw::LoadedObject& loaded : file.objects) {
    gw::DiagnosticList again;
    gw::LoadedFile copy = gw::load_yaml(gw::to_yaml(loaded.object), "written", {}, again);
    if (!again.empty() || copy.objects.size() != 1) std::abort();
    if (copy.objects[0].object.SerializeAsString() != loaded.object.SerializeAsString())
      std::abort();
  }
  return 0;
}
