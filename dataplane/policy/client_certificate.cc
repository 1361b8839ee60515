// clientCertificate: the App that the certificate of the client's TLS connection stands for. What the certificate is worth was
// decided in the handshake (clientAuth of the Gateway).
#include "dataplane/policy/types.h"
#include "dataplane/snapshot/tables.h"

namespace gw {
namespace {

using Match = v1::ClientCertificatePolicy;

class ClientCertificate final : public Authenticator {
 public:
  ClientCertificate(Info info, Match::Match match) : Authenticator(std::move(info)), match_(match) {}

  Outcome authenticate(PolicyContext& ctx, std::string_view& detail) const override {
    if (ctx.certificate == nullptr) return Outcome::kAbsent;
    const Directory& directory = *ctx.tables->directory;
    const AppRecord* app = nullptr;
    if (match_ == Match::MATCH_SUBJECT) {
      app = directory.identified(info().uid, ctx.certificate->subject);
    } else {
      constexpr std::string_view kSpiffe = "uri:spiffe://";
      for (std::string_view name : ctx.certificate->names) {
        if (match_ == Match::MATCH_SPIFFE) {
          if (name.substr(0, kSpiffe.size()) != kSpiffe) continue;
          name.remove_prefix(4);  // "uri:"
        }
        const AppRecord* one = directory.identified(info().uid, name);
        if (one != nullptr && app != nullptr && one != app) {
          detail = "the certificate's names stand for more than one App";
          return Outcome::kFailed;
        }
        if (one != nullptr) app = one;
      }
    }
    if (app == nullptr) {
      detail = "the certificate stands for no App";
      return Outcome::kFailed;
    }
    ctx.identity.app = app;
    return Outcome::kPassed;
  }

 private:
  const Match::Match match_;
};

}  // namespace

std::unique_ptr<Policy> build_client_certificate(Policy::Info info, const v1::PolicyConfig& config, const ObjectLabel& label,
                                                 DiagnosticList& diagnostics) {
  Match::Match match = config.client_certificate().match();
  if (match == Match::MATCH_UNSPECIFIED) {
    diagnostics.error("GW1421", label, "spec.config.match", "must be set").set_cure("write `san`, `subject` or `spiffe`");
    return nullptr;
  }
  return std::make_unique<ClientCertificate>(std::move(info), match);
}

}  // namespace gw
