#include "controlplane/snapshot/references.h"

#include <map>

#include "gw/v1/options.pb.h"

namespace gw {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// The fields of a message type that are references or lead to some, found once per type: most messages have none.
struct Plan {
  struct Step {
    const FieldDescriptor* field;
    Kind kind;            // a reference, or
    const Plan* below;    // a message with references in it
    std::string keyword;
  };
  std::vector<Step> steps;
};

class Plans {
 public:
  Plans() { object_ = plan(v1::Object::descriptor()); }
  const Plan& object() const { return *object_; }

 private:
  const Plan* plan(const Descriptor* type) {
    auto [at, fresh] = plans_.try_emplace(type);
    Plan& out = at->second;
    if (!fresh) return &out;
    for (int i = 0; i < type->field_count(); ++i) {
      const FieldDescriptor* field = type->field(i);
      if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        const Plan* below = plan(field->message_type());
        if (!below->steps.empty()) out.steps.push_back({field, v1::Object::SPEC_NOT_SET, below, ""});
      } else if (const v1::FieldRule& rule = field->options().GetExtension(v1::field); !rule.ref().empty()) {
        out.steps.push_back({field, kind_from_name(rule.ref()), nullptr, rule.keyword()});
      }
    }
    return &out;
  }

  std::map<const Descriptor*, Plan> plans_;
  const Plan* object_ = nullptr;
};

void walk(const Message& message, const Plan& plan, const std::string& path, std::vector<Reference>& out) {
  const Reflection& reflection = *message.GetReflection();
  for (const Plan::Step& step : plan.steps) {
    const FieldDescriptor* field = step.field;
    // The spec's own field in Object is called by its kind; people write `spec`.
    bool spec = field->containing_oneof() && field->containing_type() == v1::Object::descriptor();
    std::string here = path.empty() ? (spec ? "spec" : field->json_name()) : path + "." + field->json_name();
    int count = field->is_repeated()                        ? reflection.FieldSize(message, field)
                : step.below                                ? reflection.HasField(message, field)
                : reflection.GetString(message, field).empty() ? 0 : 1;
    for (int i = 0; i < count; ++i) {
      std::string at = field->is_repeated() ? here + "[" + std::to_string(i) + "]" : here;
      if (step.below) {
        walk(field->is_repeated() ? reflection.GetRepeatedMessage(message, field, i) : reflection.GetMessage(message, field),
             *step.below, at, out);
        continue;
      }
      std::string text = field->is_repeated() ? reflection.GetRepeatedString(message, field, i)
                                              : reflection.GetString(message, field);
      if (text != step.keyword || step.keyword.empty()) out.push_back({step.kind, std::move(text), std::move(at)});
    }
  }
}

}  // namespace

std::vector<Reference> references_of(const v1::Object& object) {
  static const Plans plans;
  std::vector<Reference> out;
  walk(object, plans.object(), "", out);
  return out;
}

}  // namespace gw
