// Turns one document of the tree into an object, field by field as the descriptors say. Internal to
// common/config. One thread; lives for one document.
#pragma once

#include <functional>
#include <set>
#include <string>

#include "common/config/loader.h"
#include "common/config/schema.h"
#include "common/config/yaml_tree.h"
#include "gw/v1/resources.pb.h"

namespace gw {

class ObjectReader {
 public:
  ObjectReader(const std::string& file, const ValueSource& values, DiagnosticList& diagnostics)
      : file_(file), values_(values), diagnostics_(diagnostics) {}

  // Reads what can be read and reports the rest. False when apiVersion or kind are wrong, so that
  // nothing else of the document can be judged.
  bool read(const YamlNode& root, v1::Object& out);

  // Paths under which something was reported: validate() need not say it again.
  const std::set<std::string>& known() const { return known_; }
  bool had_errors() const { return had_errors_; }

 private:
  using Message = google::protobuf::Message;
  using Entry = std::function<void(const YamlNode& key, const YamlNode& value)>;

  bool read_head(const YamlNode& root, v1::Object& out);
  bool read_kind(const YamlNode& root, v1::Object& out);

  // Calls fn for each entry whose key is a text that came once.
  void for_each_entry(const YamlNode& map, const std::string& path, const Entry& fn);

  void read_message(const YamlNode& node, Message& out, const std::string& path);
  void read_mapping(const YamlNode& node, Message& out, const std::string& path,
                    const google::protobuf::FieldDescriptor* skip = nullptr);
  void read_typed(const MessageSchema& schema, const YamlNode& node, Message& out,
                  const std::string& path);
  void read_field(const FieldSchema& field, const YamlNode& node, Message& out,
                  const std::string& path);
  void read_list(const FieldSchema& field, const YamlNode& node, Message& out,
                 const std::string& path);
  void read_as_map(const FieldSchema& field, const YamlNode& node, Message& out,
                   const std::string& path);
  void read_scalar(const FieldSchema& field, const YamlNode& node, Message& out,
                   const std::string& path);

  // `{file: …}` or `{env: …}` in place of a text.
  void read_value(const FieldSchema& field, const YamlNode& node, Message& out,
                  const std::string& path);

  void unknown_key(const MessageSchema& schema, const YamlNode& key, const std::string& path);
  void missing_fields(const MessageSchema& schema, const YamlNode& node, const std::string& path,
                      const google::protobuf::FieldDescriptor* skip);
  void not_supported(std::string_view name, const YamlNode& node, const std::string& path);
  void wrong_type(const YamlNode& node, const std::string& path, std::string_view wanted,
                  std::string_view cure);
  Diagnostic& error(std::string_view code, const YamlNode& node, const std::string& path,
                    std::string_view message);

  const std::string& file_;
  const ValueSource& values_;
  DiagnosticList& diagnostics_;
  ObjectLabel label_;
  std::set<std::string> known_;
  bool had_errors_ = false;
};

}  // namespace gw
