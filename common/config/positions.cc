#include "common/config/positions.h"

#include "common/config/yaml_tree.h"

namespace gw {
namespace {

bool is_boundary(std::string_view rest) { return rest.empty() || rest[0] == '.' || rest[0] == '['; }

// Takes `["key"]` or `[3]` from the front of `rest`.
bool take_brackets(std::string_view& rest, std::string& inside, bool& quoted) {
  inside.clear();
  quoted = rest.size() > 1 && rest[1] == '"';
  size_t i = quoted ? 2 : 1;
  for (; i < rest.size(); ++i) {
    if (quoted && rest[i] == '\\' && i + 1 < rest.size()) {
      inside += rest[++i];
    } else if (rest[i] == (quoted ? '"' : ']')) {
      break;
    } else {
      inside += rest[i];
    }
  }
  if (quoted) ++i;
  if (i >= rest.size() || rest[i] != ']') return false;
  rest.remove_prefix(i + 1);
  return true;
}

Position place_of(const YamlNode* key, const YamlNode* value) {
  return value->is_scalar() || value->is_null() ? value->position : key->position;
}

}  // namespace

PositionMap::PositionMap(std::string file, std::shared_ptr<const YamlTree> tree,
                         const YamlNode* root)
    : file_(std::move(file)), tree_(std::move(tree)), root_(root) {}

Position PositionMap::find(std::string_view path) const {
  if (!root_) return {};
  const YamlNode* node = root_;
  Position best = root_->position;
  std::string_view rest = path;
  while (!rest.empty()) {
    if (rest[0] == '.') rest.remove_prefix(1);
    if (rest.empty()) return best;
    const YamlNode* key = nullptr;
    const YamlNode* next = nullptr;
    if (rest[0] == '[') {
      std::string inside;
      bool quoted = false;
      if (!take_brackets(rest, inside, quoted)) return best;
      if (quoted) {
        key = node->find_key(inside);
        next = node->find(inside);
      } else if (node->is_list() && !inside.empty() && inside.size() < 9 &&
                 inside.find_first_not_of("0123456789") == std::string::npos) {
        size_t index = std::stoul(inside);
        if (index < node->items.size()) key = next = node->items[index];
      }
    } else if (node->is_map()) {
      // The longest key that ends where a part of the path ends: keys may have dots in them.
      for (size_t i = 0; i + 1 < node->items.size(); i += 2) {
        const std::string& name = node->items[i]->text;
        bool fits = !name.empty() && rest.substr(0, name.size()) == name &&
                    is_boundary(rest.substr(name.size()));
        if (fits && (!key || name.size() > key->text.size())) {
          key = node->items[i];
          next = node->items[i + 1];
        }
      }
      if (key) rest.remove_prefix(key->text.size());
    }
    if (!next) return best;
    best = place_of(key, next);
    node = next;
  }
  return best;
}

void PositionMap::place(Diagnostic& d) const {
  if (d.file().empty()) d.set_file(file_);
  if (d.line() != 0) return;
  Position at = find(d.path());
  d.set_line(at.line);
  d.set_column(at.column);
}

}  // namespace gw
