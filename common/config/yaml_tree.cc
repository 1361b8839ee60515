#include "common/config/yaml_tree.h"

#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <optional>
#include <sstream>
#include <unordered_map>

#include "common/base/units.h"
#include "common/config/utf8.h"

namespace gw {
namespace {

Position position_of(const YAML::Mark& mark) { return {mark.line + 1, mark.column + 1}; }

Diagnostic& report(DiagnosticList& out, const std::string& file, Position at, std::string_view code,
                   std::string_view message, std::string_view cure) {
  Diagnostic& d = out.error(code, {}, "", message);
  d.set_file(file);
  d.set_line(at.line);
  d.set_column(at.column);
  d.set_cure(std::string(cure));
  return d;
}

// Builds the tree from the parser's events. After a limit was hit it takes nothing more in: the
// parser cannot be stopped, but what it still reads is bounded by the size of the file.
class Builder final : public YAML::EventHandler {
 public:
  Builder(const std::string& file, const LoadOptions& options, DiagnosticList& diagnostics)
      : file_(file),
        options_(options),
        diagnostics_(diagnostics),
        tree_(std::make_shared<YamlTree>()) {}

  bool stopped() const { return stopped_; }
  std::shared_ptr<YamlTree> take() { return std::move(tree_); }

  void OnDocumentStart(const YAML::Mark&) override {
    anchors_.clear();
    stack_.clear();
    root_ = nullptr;
    bad_ = false;
  }

  void OnDocumentEnd() override {
    if (!stopped_ && root_ && !root_->is_null()) tree_->documents.push_back({root_, bad_});
  }

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (YamlNode* node = make(YamlNode::Type::kNull, mark, anchor)) close(node);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    YamlNode* node = make(YamlNode::Type::kScalar, mark, anchor);
    if (!node) return;
    node->plain = tag == "?";
    node->text = value;
    check_tag(tag, mark);
    if (!is_utf8(value)) {  // the parser makes single bytes of the escapes \N and \_
      bad_ = true;
      node->text = "\xef\xbf\xbd";  // the replacement character
      report(diagnostics_, file_, position_of(mark), "GW1012",
             "an escape in this text does not give UTF-8",
             "write the character itself, or \\u and four digits");
    }
    close(node);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (stopped_) return;
    auto it = anchors_.find(anchor);
    if (it == anchors_.end()) return stop(mark, "GW1001", "the alias names no anchor", "");
    const YamlNode* target = it->second;
    if (target->open) {
      return stop(mark, "GW1007", "the alias refers to a node that it is part of: a cycle",
                  "write the value out");
    }
    if (stack_.size() + target->height + 1 > static_cast<size_t>(options_.max_depth))
      return too_deep(mark);
    if (!count(target->weight, mark)) return;
    attach(target);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(YamlNode::Type::kList, mark, tag, anchor);
  }
  void OnSequenceEnd() override { end(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(YamlNode::Type::kMap, mark, tag, anchor);
  }
  void OnMapEnd() override { end(); }

 private:
  void stop(const YAML::Mark& mark, std::string_view code, std::string_view message,
            std::string_view cure) {
    stopped_ = true;
    report(diagnostics_, file_, position_of(mark), code, message, cure);
  }

  void too_deep(const YAML::Mark& mark) {
    stop(mark, "GW1003",
         "mappings and lists are nested deeper than " + std::to_string(options_.max_depth),
         "no object needs that depth");
  }

  bool count(uint32_t weight, const YAML::Mark& mark) {
    total_ += weight;
    if (total_ <= options_.max_nodes) return true;
    stop(mark, "GW1003",
         "the file unfolds into more than " + std::to_string(options_.max_nodes) + " YAML nodes",
         "split the file; each alias counts as all that it stands for");
    return false;
  }

  YamlNode* make(YamlNode::Type type, const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (stopped_ || !count(1, mark)) return nullptr;
    YamlNode& node = tree_->nodes.emplace_back();
    node.type = type;
    node.position = position_of(mark);
    if (anchor != 0) anchors_[anchor] = &node;
    return &node;
  }

  void open(YamlNode::Type type, const YAML::Mark& mark, const std::string& tag,
            YAML::anchor_t anchor) {
    if (!stopped_ && stack_.size() >= static_cast<size_t>(options_.max_depth)) too_deep(mark);
    YamlNode* node = make(type, mark, anchor);
    if (!node) return;
    check_tag(tag, mark);
    stack_.push_back(node);
  }

  void end() {
    if (stopped_) return;
    YamlNode* node = stack_.back();
    stack_.pop_back();
    close(node);
  }

  void close(YamlNode* node) {
    node->open = false;
    attach(node);
  }

  void attach(const YamlNode* node) {
    if (stack_.empty()) {
      root_ = node;
      return;
    }
    YamlNode* parent = stack_.back();
    parent->items.push_back(node);
    parent->weight += node->weight;  // at most max_nodes, which fits
    if (node->height >= parent->height) parent->height = static_cast<uint16_t>(node->height + 1);
  }

  void check_tag(const std::string& tag, const YAML::Mark& mark) {
    if (tag.empty() || tag == "?" || tag == "!") return;
    bad_ = true;
    report(diagnostics_, file_, position_of(mark), "GW1006", "YAML tags (\"!…\") are not taken",
           "drop the tag: types come from the field");
  }

  const std::string& file_;
  const LoadOptions& options_;
  DiagnosticList& diagnostics_;
  std::shared_ptr<YamlTree> tree_;
  std::vector<YamlNode*> stack_;
  std::unordered_map<YAML::anchor_t, const YamlNode*> anchors_;
  const YamlNode* root_ = nullptr;
  size_t total_ = 0;
  bool bad_ = false;
  bool stopped_ = false;
};

// The file as bytes, before any of it is understood.
bool check_bytes(std::string_view text, const std::string& file, const LoadOptions& options,
                 DiagnosticList& out) {
  if (text.size() > options.max_bytes) {
    report(out, file, {}, "GW1002",
           "the file is larger than " + format_bytes(static_cast<int64_t>(options.max_bytes)),
           "split it");
    return false;
  }
  std::optional<BadByte> bad = find_bad_byte(text);
  if (!bad) return true;
  if (bad->control) {
    report(out, file, bad->position, "GW1012", "the file has a control byte here",
           "remove it; is it a text file?");
  } else {
    report(out, file, bad->position, "GW1012", "the file is not UTF-8 here", "save it as UTF-8");
  }
  return false;
}

// Whether the white space at the front of a line (counted from 0) has a tab.
bool is_indented_by_tab(std::string_view text, int line) {
  for (; line > 0; --line) {
    size_t end = text.find('\n');
    if (end == std::string_view::npos) return false;
    text.remove_prefix(end + 1);
  }
  size_t front = text.find_first_not_of(" \t");
  return text.substr(0, front).find('\t') != std::string_view::npos;
}

}  // namespace

const YamlNode* YamlNode::find(std::string_view key) const {
  if (!is_map()) return nullptr;
  for (size_t i = 0; i + 1 < items.size(); i += 2) {
    if (items[i]->is_scalar() && items[i]->text == key) return items[i + 1];
  }
  return nullptr;
}

const YamlNode* YamlNode::find_key(std::string_view key) const {
  if (!is_map()) return nullptr;
  for (size_t i = 0; i + 1 < items.size(); i += 2) {
    if (items[i]->is_scalar() && items[i]->text == key) return items[i];
  }
  return nullptr;
}

std::shared_ptr<const YamlTree> parse_yaml(std::string_view text, const std::string& file,
                                           const LoadOptions& options,
                                           DiagnosticList& diagnostics) {
  Builder builder(file, options, diagnostics);
  if (!check_bytes(text, file, options, diagnostics)) return builder.take();
  std::istringstream stream{std::string(text)};
  // yaml-cpp reports by exception, the only ones in this library; they end here.
  try {
    YAML::Parser parser(stream);
    while (!builder.stopped() && parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::DeepRecursion& e) {
    if (!builder.stopped()) {
      report(diagnostics, file, position_of(e.mark), "GW1003",
             "mappings and lists are nested too deep", "");
    }
  } catch (const YAML::Exception& e) {
    if (!builder.stopped()) {
      bool tab = is_indented_by_tab(text, e.mark.line) || is_indented_by_tab(text, e.mark.line + 1);
      report(diagnostics, file, position_of(e.mark), "GW1001", "not readable as YAML: " + e.msg,
             tab ? "indent with spaces, not tabs" : "");
    }
  } catch (const std::exception& e) {
    if (!builder.stopped()) {
      report(diagnostics, file, {}, "GW1001", std::string("not readable as YAML: ") + e.what(), "");
    }
  }
  return builder.take();
}

}  // namespace gw
