// headers: removes, sets and adds header fields of requests and responses, in that order.
#include "dataplane/policy/types.h"

namespace gw {
namespace {

struct Field {
  std::string name, value;
  HeaderId id = HeaderId::kOther;
};

struct Edits {
  std::vector<Field> remove, set, add;
  bool empty() const { return remove.empty() && set.empty() && add.empty(); }

  void apply(HeaderList& headers) const {
    for (const Field& f : remove) drop(headers, f);
    for (const Field& f : set) {
      drop(headers, f);
      headers.add(f.name, f.value, f.id);
    }
    for (const Field& f : add) headers.add(f.name, f.value, f.id);
  }

  static void drop(HeaderList& headers, const Field& f) {
    // Ids such as kXForwardedOther stand for many names.
    bool own_id = f.id != HeaderId::kOther && f.id != HeaderId::kXForwardedOther && f.id != HeaderId::kXRewrite;
    if (own_id) {
      headers.remove(f.id);
    } else {
      headers.remove(std::string_view(f.name));
    }
  }
};

class Headers final : public Policy {
 public:
  Headers(Info info, Edits request, Edits response)
      : Policy(std::move(info)), request_(std::move(request)), response_(std::move(response)) {}

  Phase phase() const override { return Phase::kTransform; }
  Combine combine() const override { return Combine::kAll; }
  bool has_response() const override { return !response_.empty(); }
  bool on_local_responses() const override { return !response_.empty(); }

  Decision on_request(PolicyContext& ctx) const override {
    if (!ctx.explain) request_.apply(ctx.request->headers);
    return Decision::next();
  }
  void on_response(PolicyContext&, ResponseHead& response) const override { response_.apply(response.headers); }

 private:
  const Edits request_, response_;
};

// Fields that the gateway writes by itself: an edit of them would break framing, or forge what upstreams rely on.
bool reserved(HeaderId id, std::string_view name) {
  switch (id) {
    case HeaderId::kHost:
    case HeaderId::kConnection:
    case HeaderId::kContentLength:
    case HeaderId::kTransferEncoding:
    case HeaderId::kTe:
    case HeaderId::kTrailer:
    case HeaderId::kUpgrade:
    case HeaderId::kExpect:
    case HeaderId::kKeepAlive:
    case HeaderId::kProxyConnection:
    case HeaderId::kXGateway: return true;
    default: return equals_ignore_case(name, "x-request-id");
  }
}

class Reader {
 public:
  Reader(const ObjectLabel& label, DiagnosticList& diagnostics) : label_(label), diagnostics_(diagnostics) {}

  bool read(const v1::HeaderEdits& in, std::string_view side, Edits& out) {
    std::string at = "spec.config." + std::string(side);
    for (const auto& f : in.set()) {
      if (!field(at + ".set." + f.name(), f.name(), f.value(), out.set)) return false;
    }
    for (const auto& f : in.add()) {
      if (!field(at + ".add." + f.name(), f.name(), f.value(), out.add)) return false;
    }
    for (const auto& name : in.remove()) {
      if (!field(at + ".remove", name, "", out.remove)) return false;
    }
    return true;
  }

 private:
  bool field(const std::string& at, const std::string& name, const std::string& value, std::vector<Field>& out) {
    HeaderId id = header_id(name);
    const char* why = !is_token(name)           ? "is no header field name"
                      : reserved(id, name)      ? "is written by the gateway itself"
                      : !is_field_value(value)  ? "has a value with CR, LF or another control byte"
                                                : nullptr;
    if (why) {
      diagnostics_.error("GW1421", label_, at, "\"" + name + "\" " + why);
      return false;
    }
    out.push_back({name, value, id});
    return true;
  }

  const ObjectLabel& label_;
  DiagnosticList& diagnostics_;
};

}  // namespace

std::unique_ptr<Policy> build_headers(Policy::Info info, const v1::PolicyConfig& config, const ObjectLabel& label,
                                      DiagnosticList& diagnostics) {
  Edits request, response;
  Reader reader(label, diagnostics);
  const v1::HeadersPolicy& c = config.headers();
  if (!reader.read(c.request(), "request", request) || !reader.read(c.response(), "response", response)) return nullptr;
  return std::make_unique<Headers>(std::move(info), std::move(request), std::move(response));
}

}  // namespace gw
