#include <nlohmann/json.hpp>

#include "common/config/schema.h"
#include "common/config/writer.h"
#include "common/config/yaml_text.h"

namespace gw {
namespace {

using nlohmann::ordered_json;

std::string text_of(const ordered_json* value) { return value ? yaml_flow(*value) : std::string(); }

const ordered_json* child(const ordered_json* value, const std::string& key) {
  if (!value || !value->is_object()) return nullptr;
  auto it = value->find(key);
  return it == value->end() ? nullptr : &*it;
}

class Differ {
 public:
  std::vector<v1::FieldChange> take() { return std::move(changes_); }

  // `whole_side`: a mapping that is there on one side only is listed by its fields.
  void compare(const ordered_json* before, const ordered_json* after, const std::string& path,
               bool whole_side) {
    if (before && after && *before == *after) return;
    bool both_mappings = before && after && before->is_object() && after->is_object();
    bool one_mapping = (before ? before : after)->is_object() && (!before || !after) && whole_side;
    if (both_mappings || one_mapping) return compare_mappings(before, after, path);
    bool lists = before && after && before->is_array() && after->is_array();
    if (lists && has_mappings(*before) && has_mappings(*after))
      return compare_lists(*before, *after, path);
    v1::FieldChange& change = changes_.emplace_back();
    change.set_path(path);
    change.set_before(text_of(before));
    change.set_after(text_of(after));
  }

 private:
  static bool has_mappings(const ordered_json& list) {
    return !list.empty() && list[0].is_object();
  }

  void compare_mappings(const ordered_json* before, const ordered_json* after,
                        const std::string& path) {
    if (before) {
      for (const auto& [key, value] : before->items())
        compare(&value, child(after, key), child_path(path, key), false);
    }
    if (!after) return;
    for (const auto& [key, value] : after->items()) {
      if (!child(before, key)) compare(nullptr, &value, child_path(path, key), false);
    }
  }

  void compare_lists(const ordered_json& before, const ordered_json& after,
                     const std::string& path) {
    for (size_t i = 0; i < std::max(before.size(), after.size()); ++i) {
      compare(i < before.size() ? &before[i] : nullptr, i < after.size() ? &after[i] : nullptr,
              item_path(path, i), false);
    }
  }

  std::vector<v1::FieldChange> changes_;
};

}  // namespace

std::vector<v1::FieldChange> field_changes(const v1::Object& before, const v1::Object& after) {
  ordered_json a = to_json(canonical(before)), b = to_json(canonical(after));
  Differ differ;
  for (const char* part : {"metadata", "spec"}) {
    const ordered_json *x = child(&a, part), *y = child(&b, part);
    if (x || y) differ.compare(x, y, part, true);
  }
  return differ.take();
}

}  // namespace gw
