#include "common/config/loader.h"

#include <algorithm>
#include <map>

#include "common/config/files.h"
#include "common/config/kinds.h"
#include "common/config/reader.h"
#include "common/config/validate.h"

namespace gw {
namespace {

// Reads one document; false when it had errors.
bool load_document(const YamlNode& root, const std::shared_ptr<const YamlTree>& tree,
                   const std::string& file, const LoadOptions& options, DiagnosticList& diagnostics,
                   LoadedObject& out) {
  DiagnosticList found;
  ObjectReader reader(file, options.values, found);
  out.positions = PositionMap(file, tree, &root);
  out.line = root.position.line;
  bool good = reader.read(root, out.object);
  if (good) {
    out.kind = std::string(kind_of(out.object));
    good = validate(out.object, found, &reader.known()) && !reader.had_errors();
  }
  for (Diagnostic& d : found.items()) out.positions.place(d);
  std::stable_sort(found.items().begin(), found.items().end(),
                   [](const Diagnostic& a, const Diagnostic& b) {
                     return std::pair(a.line(), a.column()) < std::pair(b.line(), b.column());
                   });
  diagnostics.append(found);
  return good;
}

}  // namespace

void check_doubles(std::vector<LoadedFile*> files, DiagnosticList& diagnostics) {
  std::map<std::pair<std::string, std::string>, const LoadedObject*> seen;
  for (LoadedFile* file : files) {
    for (const LoadedObject& loaded : file->objects) {
      auto [it, fresh] = seen.try_emplace({loaded.kind, full_name(loaded.object)}, &loaded);
      if (fresh) continue;
      const PositionMap& first = it->second->positions;
      Diagnostic& d = diagnostics.error("GW1014", label_of(loaded.object), "metadata.name",
                                        "the object is there twice");
      d.set_cure("remove one; the first is at " + first.file() + ":" +
                 std::to_string(first.find("metadata.name").line));
      loaded.positions.place(d);
    }
  }
}

LoadedFile load_documents(std::string_view text, std::string file_name, const LoadOptions& options,
                          DiagnosticList& diagnostics) {
  LoadedFile out;
  out.name = std::move(file_name);
  std::shared_ptr<const YamlTree> tree = parse_yaml(text, out.name, options, diagnostics);
  for (const YamlDocument& document : tree->documents) {
    LoadedObject loaded;
    if (load_document(*document.root, tree, out.name, options, diagnostics, loaded) &&
        !document.bad) {
      out.objects.push_back(std::move(loaded));
    }
  }
  return out;
}

LoadedFile load_yaml(std::string_view text, std::string file_name, const LoadOptions& options,
                     DiagnosticList& diagnostics) {
  LoadedFile out = load_documents(text, std::move(file_name), options, diagnostics);
  check_doubles({&out}, diagnostics);
  return out;
}

bool place(Diagnostic& d, const std::vector<LoadedFile>& files, std::string_view default_owner) {
  for (const LoadedFile& file : files) {
    for (const LoadedObject& loaded : file.objects) {
      if (loaded.kind != d.kind()) continue;
      std::string name = full_name(loaded.object);
      bool owned = !loaded.object.metadata().owner().empty();
      bool same =
          name == d.object() || (!owned && std::string(default_owner) + "/" + name == d.object());
      if (!same) continue;
      loaded.positions.place(d);
      return true;
    }
  }
  return false;
}

}  // namespace gw
