// Where in a file each part of an object was written, so that findings that name a field path get a
// line and a column.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "common/base/diagnostic.h"

namespace gw {

struct YamlNode;
struct YamlTree;

// Counted from 1; 0: not known.
struct Position {
  int line = 0;
  int column = 0;
  friend bool operator==(const Position&, const Position&) = default;
};

// Answers from the tree that the file was read into, which it keeps alive; nothing is copied per
// field. Immutable, cheap to copy.
class PositionMap {
 public:
  PositionMap() = default;
  PositionMap(std::string file, std::shared_ptr<const YamlTree> tree, const YamlNode* root);

  // Of `path` ("spec.targets[0].url", "metadata.labels.domain"), or of its nearest parent that was
  // written; the object's first line for an empty path. Scalars: where the value stands; mappings
  // and lists: where their key does.
  Position find(std::string_view path) const;

  // Fills file, line and column in, unless they are there.
  void place(Diagnostic& d) const;

  const std::string& file() const { return file_; }

 private:
  std::string file_;
  std::shared_ptr<const YamlTree> tree_;
  const YamlNode* root_ = nullptr;
};

}  // namespace gw
