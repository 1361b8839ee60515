// What this build knows of entries: their messages, strict parsing, capabilities. All from descriptors.
#include <algorithm>
#include <set>

#include "dataplane/snapshot/entry.h"
#include "gw/v1/options.pb.h"

namespace gw {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

struct EntryType {
  v1::EntryKind kind;
  std::string_view name;
  const Message* prototype;
};

const std::vector<EntryType>& entry_types() {
  static const std::vector<EntryType> types = {
      {v1::ENTRY_GATEWAY, "Gateway", &v1::GatewayEntry::default_instance()},
      {v1::ENTRY_API, "Api", &v1::ApiEntry::default_instance()},
      {v1::ENTRY_ROUTE, "Route", &v1::RouteEntry::default_instance()},
      {v1::ENTRY_UPSTREAM, "Upstream", &v1::UpstreamEntry::default_instance()},
      {v1::ENTRY_POLICY, "Policy", &v1::PolicyEntry::default_instance()},
      {v1::ENTRY_PLAN, "Plan", &v1::PlanEntry::default_instance()},
      {v1::ENTRY_CONSUMER, "Consumer", &v1::ConsumerEntry::default_instance()},
      {v1::ENTRY_APP, "App", &v1::AppEntry::default_instance()},
      {v1::ENTRY_SUBSCRIPTION, "Subscription", &v1::SubscriptionEntry::default_instance()},
      {v1::ENTRY_KEY, "Key", &v1::KeyEntry::default_instance()},
      {v1::ENTRY_SHARE, "Share", &v1::ShareEntry::default_instance()},
      {v1::ENTRY_QUOTA_STATE, "QuotaState", &v1::QuotaStateEntry::default_instance()},
      {v1::ENTRY_API_SWITCH, "ApiSwitch", &v1::ApiSwitchEntry::default_instance()},
      {v1::ENTRY_TARGET_SWITCH, "TargetSwitch", &v1::TargetSwitchEntry::default_instance()},
      {v1::ENTRY_BLOCK, "Block", &v1::BlockEntry::default_instance()},
      {v1::ENTRY_ENDPOINT, "Endpoint", &v1::EndpointEntry::default_instance()},
      {v1::ENTRY_CERTIFICATE, "Certificate", &v1::CertificateEntry::default_instance()},
      {v1::ENTRY_SECRET, "Secret", &v1::SecretEntry::default_instance()},
      {v1::ENTRY_TICKET_KEY, "TicketKey", &v1::TicketKeyEntry::default_instance()},
  };
  return types;
}

const EntryType* find_type(v1::EntryKind kind) {
  for (const EntryType& t : entry_types()) {
    if (t.kind == kind) return &t;
  }
  return nullptr;
}

// A oneof of an entry is a decision: every one must be made.
class StrictCheck {
 public:
  StrictCheck(const ObjectLabel& label, DiagnosticList& diagnostics) : label_(label), diagnostics_(diagnostics) {}

  bool check(const Message& m, const std::string& path) {
    const Reflection& r = *m.GetReflection();
    const Descriptor& d = *m.GetDescriptor();
    if (!r.GetUnknownFields(m).empty()) {
      return fail("GW3002", path, "field " + std::to_string(r.GetUnknownFields(m).field(0).number()) + " of " + d.name() +
                                      " is not known to this build");
    }
    for (int i = 0; i < d.real_oneof_decl_count(); ++i) {
      if (!r.HasOneof(m, d.oneof_decl(i))) {
        return fail("GW3004", at(path, d.oneof_decl(i)->name()), "nothing is set; one must be");
      }
    }
    if (!exactly_one(m, r, d, path)) return false;
    std::vector<const FieldDescriptor*> set;
    r.ListFields(m, &set);
    for (const FieldDescriptor* f : set) {
      if (!field(m, r, *f, at(path, f->json_name()))) return false;
    }
    return true;
  }

 private:
  static std::string at(const std::string& path, const std::string& name) { return path.empty() ? name : path + "." + name; }

  bool fail(std::string_view code, const std::string& path, const std::string& what) {
    diagnostics_.error(code, label_, path, what);
    return false;
  }

  bool exactly_one(const Message& m, const Reflection& r, const Descriptor& d, const std::string& path) {
    const v1::MessageRule& rule = d.options().GetExtension(v1::message);
    if (rule.exactly_one_size() == 0) return true;
    int count = 0;
    std::string names;
    for (const std::string& name : rule.exactly_one()) {
      for (int i = 0; i < d.field_count(); ++i) {
        const FieldDescriptor& f = *d.field(i);
        if (f.json_name() != name) continue;
        count += f.is_repeated() ? r.FieldSize(m, &f) > 0 : r.HasField(m, &f);
      }
      names += (names.empty() ? "" : ", ") + name;
    }
    return count == 1 || fail("GW3004", path, "exactly one of " + names + " must be set");
  }

  bool field(const Message& m, const Reflection& r, const FieldDescriptor& f, const std::string& path) {
    int n = f.is_repeated() ? r.FieldSize(m, &f) : 1;
    for (int i = 0; i < n; ++i) {
      std::string here = f.is_repeated() ? path + "[" + std::to_string(i) + "]" : path;
      if (f.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        if (!check(f.is_repeated() ? r.GetRepeatedMessage(m, &f, i) : r.GetMessage(m, &f), here)) return false;
      } else if (f.cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
        int value = f.is_repeated() ? r.GetRepeatedEnumValue(m, &f, i) : r.GetEnumValue(m, &f);
        if (!f.enum_type()->FindValueByNumber(value)) {
          return fail("GW3003", here, "value " + std::to_string(value) + " of " + f.enum_type()->name() + " is not known to this build");
        }
      }
    }
    return true;
  }

  const ObjectLabel& label_;
  DiagnosticList& diagnostics_;
};

// owner/name from the entry's `name` field, if it has one.
std::string object_of(const Message& m) {
  const FieldDescriptor* f = m.GetDescriptor()->FindFieldByName("name");
  if (!f || f->message_type() != v1::ObjectName::descriptor()) return {};
  const auto& name = static_cast<const v1::ObjectName&>(m.GetReflection()->GetMessage(m, f));
  return name.owner() + "/" + name.name();
}

void enum_capability(const EnumDescriptor& e, int value, std::set<std::string>& out) {
  const auto* v = e.FindValueByNumber(value);
  if (v && value != 0) out.insert(e.name() + "." + v->name());
}

void collect(const Message& m, std::set<std::string>& out) {
  const Reflection& r = *m.GetReflection();
  std::vector<const FieldDescriptor*> set;
  r.ListFields(m, &set);
  for (const FieldDescriptor* f : set) {
    out.insert(m.GetDescriptor()->name() + "." + f->json_name());
    int n = f->is_repeated() ? r.FieldSize(m, f) : 1;
    for (int i = 0; i < n; ++i) {
      if (f->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        collect(f->is_repeated() ? r.GetRepeatedMessage(m, f, i) : r.GetMessage(m, f), out);
      } else if (f->cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
        enum_capability(*f->enum_type(), f->is_repeated() ? r.GetRepeatedEnumValue(m, f, i) : r.GetEnumValue(m, f), out);
      }
    }
  }
}

void collect_type(const Descriptor& d, std::set<const Descriptor*>& seen, std::set<std::string>& out) {
  if (!seen.insert(&d).second) return;
  for (int i = 0; i < d.field_count(); ++i) {
    const FieldDescriptor& f = *d.field(i);
    out.insert(d.name() + "." + f.json_name());
    if (f.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) collect_type(*f.message_type(), seen, out);
    if (f.cpp_type() != FieldDescriptor::CPPTYPE_ENUM) continue;
    for (int v = 0; v < f.enum_type()->value_count(); ++v) enum_capability(*f.enum_type(), f.enum_type()->value(v)->number(), out);
  }
}

}  // namespace

std::string_view kind_name(v1::EntryKind kind) {
  const EntryType* t = find_type(kind);
  return t ? t->name : "Unknown";
}

std::unique_ptr<Message> new_entry(v1::EntryKind kind) {
  const EntryType* t = find_type(kind);
  return t ? std::unique_ptr<Message>(t->prototype->New()) : nullptr;
}

bool parse_entry(const EntryKey& key, const std::string& bytes, Message& out, ObjectLabel& label, DiagnosticList& diagnostics) {
  label.kind = std::string(kind_name(key.kind));
  label.object.clear();
  if (!out.ParseFromString(bytes)) {
    diagnostics.error("GW3001", label, "", "the entry with uid " + std::to_string(key.uid) + " cannot be read");
    return false;
  }
  label.object = object_of(out);
  return StrictCheck(label, diagnostics).check(out, "");
}

std::vector<std::string> capabilities_of(const Message& entry) {
  std::set<std::string> out;
  collect(entry, out);
  return {out.begin(), out.end()};
}

std::vector<std::string> capabilities_of(v1::EntryKind kind, std::string_view bytes) {
  auto entry = new_entry(kind);
  if (!entry || !entry->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return {};
  return capabilities_of(*entry);
}

const std::vector<std::string>& all_capabilities() {
  static const std::vector<std::string> all = [] {
    std::set<const Descriptor*> seen;
    std::set<std::string> out;
    for (const EntryType& t : entry_types()) collect_type(*t.prototype->GetDescriptor(), seen, out);
    return std::vector<std::string>(out.begin(), out.end());
  }();
  return all;
}

}  // namespace gw
