#include "common/config/docs.h"

#include <google/protobuf/descriptor.pb.h>

#include <unordered_map>

namespace gw {

extern const unsigned char kDescriptorSet[];
extern const size_t kDescriptorSetSize;

namespace {

using google::protobuf::DescriptorProto;
using google::protobuf::EnumDescriptorProto;
using google::protobuf::FileDescriptorProto;
using google::protobuf::SourceCodeInfo;

// Lines of a comment joined; an empty line stays as a break.
std::string tidy(const std::string& comment) {
  std::string out;
  size_t at = 0;
  while (at < comment.size()) {
    size_t end = comment.find('\n', at);
    if (end == std::string::npos) end = comment.size();
    std::string_view line(comment.data() + at, end - at);
    while (!line.empty() && line.front() == ' ') line.remove_prefix(1);
    while (!line.empty() && line.back() == ' ') line.remove_suffix(1);
    if (line.empty()) {
      if (!out.empty() && out.back() != '\n') out += '\n';
    } else {
      if (!out.empty() && out.back() != '\n') out += ' ';
      out += line;
    }
    at = end + 1;
  }
  while (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

using Comments = std::unordered_map<std::string, std::string>;
using Path = std::vector<int>;

// Field numbers of descriptor.proto, of which the paths of SourceCodeInfo are made.
constexpr int kFileMessage = 4, kFileEnum = 5, kMessageField = 2, kMessageNested = 3,
              kMessageEnum = 4, kEnumValue = 2;

std::string path_key(const Path& path) {
  std::string out;
  for (int part : path) out += std::to_string(part) + ",";
  return out;
}

class Collector {
 public:
  Collector(const FileDescriptorProto& file, Comments& out) : out_(out) {
    for (const SourceCodeInfo::Location& location : file.source_code_info().location()) {
      const std::string& text = location.has_leading_comments() ? location.leading_comments()
                                                                : location.trailing_comments();
      if (!text.empty())
        by_path_[path_key({location.path().begin(), location.path().end()})] = tidy(text);
    }
    for (int i = 0; i < file.message_type_size(); ++i)
      add_message(file.message_type(i), file.package(), {kFileMessage, i});
    for (int i = 0; i < file.enum_type_size(); ++i)
      add_enum(file.enum_type(i), file.package(), {kFileEnum, i});
  }

 private:
  static Path extended(Path path, int field, int index) {
    path.push_back(field);
    path.push_back(index);
    return path;
  }

  void add(const std::string& name, const Path& path) {
    auto it = by_path_.find(path_key(path));
    if (it != by_path_.end()) out_[name] = it->second;
  }

  // Messages nest as deep as people write them in a .proto.
  void add_message(const DescriptorProto& message, const std::string& scope, const Path& path) {
    std::string name = scope + "." + message.name();
    add(name, path);
    for (int i = 0; i < message.field_size(); ++i) {
      add(name + "." + message.field(i).name(), extended(path, kMessageField, i));
    }
    for (int i = 0; i < message.nested_type_size(); ++i) {
      add_message(message.nested_type(i), name, extended(path, kMessageNested, i));
    }
    for (int i = 0; i < message.enum_type_size(); ++i)
      add_enum(message.enum_type(i), name, extended(path, kMessageEnum, i));
  }

  void add_enum(const EnumDescriptorProto& type, const std::string& scope, const Path& path) {
    add(scope + "." + type.name(), path);
    for (int i = 0; i < type.value_size(); ++i) {
      add(scope + "." + type.value(i).name(),
          extended(path, kEnumValue, i));  // values are named beside their enum
    }
  }

  std::unordered_map<std::string, std::string> by_path_;
  Comments& out_;
};

Comments collect() {
  Comments out;
  google::protobuf::FileDescriptorSet set;
  if (!set.ParseFromArray(kDescriptorSet, static_cast<int>(kDescriptorSetSize)))
    return out;  // a test reads it
  for (const FileDescriptorProto& file : set.file()) Collector(file, out);
  return out;
}

}  // namespace

const std::string& comment_of(const std::string& full_name) {
  static const Comments comments = collect();
  static const std::string none;
  auto it = comments.find(full_name);
  return it == comments.end() ? none : it->second;
}

const std::string& comment_of(const FieldSchema& field) {
  const std::string& own = comment_of(field.field->full_name());
  return own.empty() && field.is_message() ? comment_of(field.field->message_type()->full_name())
                                           : own;
}

const std::string& format_text(v1::Format format) {
  return comment_of("gw.v1." + v1::Format_Name(format));
}

std::string summary(const std::string& comment) {
  for (size_t i = 0; i < comment.size(); ++i) {
    if (comment[i] == '\n') return comment.substr(0, i);
    bool stop = comment[i] == '.' && i + 1 < comment.size() && comment[i + 1] == ' ' &&
                i + 2 < comment.size() && !(comment[i + 2] >= 'a' && comment[i + 2] <= 'z');
    if (stop) return comment.substr(0, i + 1);
  }
  return comment;
}

}  // namespace gw
