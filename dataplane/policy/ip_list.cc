// ipList: callers are admitted or refused by their address. `deny` wins; no `allow` list admits all others.
#include "dataplane/policy/answers.h"
#include "dataplane/policy/types.h"

namespace gw {
namespace {

class IpList final : public Policy {
 public:
  IpList(Info info, CidrSet allow, CidrSet deny, bool allow_all)
      : Policy(std::move(info)), allow_(std::move(allow)), deny_(std::move(deny)), allow_all_(allow_all) {}

  Phase phase() const override { return Phase::kConnection; }
  Combine combine() const override { return Combine::kAll; }

  Decision on_request(PolicyContext& ctx) const override {
    if (deny_.contains(ctx.client)) return refuse(ctx, "the client's address is denied");
    if (!allow_all_ && !allow_.contains(ctx.client)) return refuse(ctx, "the client's address is not allowed");
    return Decision::next();
  }

 private:
  static Decision refuse(PolicyContext& ctx, std::string_view detail) {
    return Decision::respond(refusal(*ctx.arena, Reason::kIpDenied, detail));
  }

  const CidrSet allow_, deny_;
  const bool allow_all_;
};

bool read(const google::protobuf::RepeatedPtrField<std::string>& texts, std::string_view field, const ObjectLabel& label,
          DiagnosticList& diagnostics, CidrSet& out) {
  std::vector<Cidr> cidrs;
  for (int i = 0; i < texts.size(); ++i) {
    auto cidr = Cidr::parse(texts[i]);
    if (!cidr) {
      diagnostics.error("GW1421", label, "spec.config." + std::string(field) + "[" + std::to_string(i) + "]",
                        "\"" + texts[i] + "\" is no address or CIDR");
      return false;
    }
    cidrs.push_back(*cidr);
  }
  out = CidrSet(cidrs);
  return true;
}

}  // namespace

std::unique_ptr<Policy> build_ip_list(Policy::Info info, const v1::PolicyConfig& config, const ObjectLabel& label,
                                      DiagnosticList& diagnostics) {
  const v1::IpListPolicy& c = config.ip_list();
  CidrSet allow, deny;
  if (!read(c.allow(), "allow", label, diagnostics, allow) || !read(c.deny(), "deny", label, diagnostics, deny)) return nullptr;
  if (c.allow().empty() && c.deny().empty()) {
    diagnostics.error("GW1421", label, "spec.config", "must have `allow` or `deny`");
    return nullptr;
  }
  return std::make_unique<IpList>(std::move(info), std::move(allow), std::move(deny), c.allow().empty());
}

}  // namespace gw
