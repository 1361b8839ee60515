// YAML text as a small tree of texts with places. Limits hold while events arrive, so that what is
// too large, too deep, or would unfold into too much is never there. Internal to common/config.
// Immutable once built.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/diagnostic.h"
#include "common/config/loader.h"
#include "common/config/positions.h"

namespace gw {

struct YamlNode {
  enum class Type : uint8_t { kNull, kScalar, kMap, kList };

  Type type = Type::kNull;
  bool plain = false;   // a scalar without quotes
  bool open = true;     // still being read
  uint16_t height = 0;  // of what is below, aliases followed
  uint32_t weight = 1;  // nodes of it and below, aliases counted each time
  Position position;
  std::string text;
  // List: elements. Mapping: key, value, key, value, …
  std::vector<const YamlNode*> items;

  bool is_null() const { return type == Type::kNull; }
  bool is_scalar() const { return type == Type::kScalar; }
  bool is_map() const { return type == Type::kMap; }
  bool is_list() const { return type == Type::kList; }
  // Value of a key in a mapping, and the key's own node; null when absent.
  const YamlNode* find(std::string_view key) const;
  const YamlNode* find_key(std::string_view key) const;
};

struct YamlDocument {
  const YamlNode* root = nullptr;
  bool bad = false;  // a finding inside was reported
};

struct YamlTree {
  std::deque<YamlNode> nodes;  // owns them; addresses stay
  std::vector<YamlDocument> documents;
};

// Documents that could be read; empty ones are left out. What is wrong goes into `diagnostics`.
std::shared_ptr<const YamlTree> parse_yaml(std::string_view text, const std::string& file,
                                           const LoadOptions& options, DiagnosticList& diagnostics);

}  // namespace gw
