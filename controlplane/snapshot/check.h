// Checks of objects against each other: what the loader cannot know by looking at one object alone. Internal to the
// compiler; each function looks at one object and adds what it finds. Pure; one thread.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/diagnostic.h"
#include "controlplane/snapshot/catalog.h"
#include "controlplane/snapshot/object_key.h"
#include "dataplane/routing/route_match.h"

namespace gw {

// host:port that no Upstream may lead to: admin listeners of nodes, and the control plane.
struct AdminAddress {
  std::string host;
  int port = 0;
};

struct CompileOptions {
  int64_t now_ms = 0;  // wall time, for dates
  std::vector<AdminAddress> admin;
  // The objects are only part of a configuration (offline lint): what they name elsewhere is a warning.
  bool partial = false;
};

// Compiled matches of routes, kept while the object is the same.
class MatchCache {
 public:
  absl::StatusOr<std::shared_ptr<const RouteMatch>> get(const v1::Object& route);
  void forget(uint64_t uid) { matches_.erase(uid); }

 private:
  struct Item {
    const v1::Object* object = nullptr;
    uint64_t generation = 0;
    std::shared_ptr<const RouteMatch> match;
  };
  std::unordered_map<uint64_t, Item> matches_;
};

struct CheckContext {
  const Catalog& catalog;
  const CompileOptions& options;
  // What this change writes or deletes, in contrast to what it only touches.
  const std::set<ObjectKey>& changed;
  MatchCache& matches;
  DiagnosticList& out;
};

// Names that exist and may be used; the owner is a Team.
void check_references(const CheckContext& c, const v1::Object& object);
void check_gateway(const CheckContext& c, const v1::Object& gateway);
void check_upstream(const CheckContext& c, const v1::Object& upstream);
void check_policy(const CheckContext& c, const v1::Object& policy);
void check_plan(const CheckContext& c, const v1::Object& plan);
void check_api(const CheckContext& c, const v1::Object& api);
void check_route(const CheckContext& c, const v1::Object& route);
// Listeners' certificates and the settings that go with TLS; clients' certificates.
void check_gateway_tls(const CheckContext& c, const v1::Object& gateway);
void check_upstream_tls(const CheckContext& c, const v1::Object& upstream);
void check_certificate(const CheckContext& c, const v1::Object& certificate);
void check_identities(const CheckContext& c, const v1::Object& app);
void check_product(const CheckContext& c, const v1::Object& product);
void check_subscription(const CheckContext& c, const v1::Object& subscription);
// Claims of `api`, and of every Api whose claim meets one of its own.
void check_claims(const CheckContext& c, const v1::Object& api);
// Routes of `api` that can never win (GW1306), or that only their names order (GW2002).
void check_overlaps(const CheckContext& c, const v1::Object& api);
// Counts of each kind.
void check_limits(const CheckContext& c);
// A target that is added at run time: as one in `targets`.
void check_endpoint(const ObjectLabel& upstream, const v1::Target& target, const CompileOptions& options, DiagnosticList& out);
// GW2001 for a loopback target behind a Gateway that serves public hosts.
void warn_loopback(const CheckContext& c, const v1::Object& upstream);

// --- What checks of certificates share, with each other and with `cert check`.

// A certificate that ends within this is said to end soon.
inline constexpr int64_t kEndsSoonS = 30 * int64_t{86'400};
// Of every certificate of the chain but a root: GW1442 if it is not valid, GW2030 if it ends soon.
void check_dates(const ObjectLabel& label, const std::string& path, const KeyPairFacts& pair, int64_t now_s, DiagnosticList& out);
// GW1441 for each host that the leaf does not have. `secret`: that the leaf is of; empty: `hosts` are no object's.
void check_hosts(const ObjectLabel& label, const std::string& secret, const google::protobuf::RepeatedPtrField<std::string>& hosts,
                 const CertificateFacts& leaf, DiagnosticList& out);
bool check_min_tls(const CheckContext& c, const ObjectLabel& label, const std::string& path, const std::string& value);
// Null when it is not there, or has no value here (a warning then).
SecretPtr secret_of(const CheckContext& c, const v1::Object& user, const std::string& path, const std::string& name);
std::string date_text(int64_t unix_seconds);  // 2027-01-15 08:00 UTC
std::string_view key_kind_text(CertificateFacts::Key key);

// --- What checks and emission share.

// Gateways that serve the Api: those it names, or all that are shared with its owner.
std::vector<const v1::Object*> gateways_of(const Catalog& catalog, const v1::Object& api);
// Products that name the Api.
std::vector<const v1::Object*> products_of(const Catalog& catalog, const v1::Object& api);
// Routes whose `api` is this one.
std::vector<const v1::Object*> routes_of(const Catalog& catalog, const v1::Object& api);

using NameList = google::protobuf::RepeatedPtrField<std::string>;
// Policies that stand where their type may stand: authentication in `auth` lists and nowhere else, one of a kind where the
// nearest is in force.
void check_policy_list(const CheckContext& c, const v1::Object& user, const std::string& path, const NameList& names,
                       bool auth);
// None of them is `onFailure: open`; for a Gateway that does not allow that.
void check_fail_open(const CheckContext& c, const v1::Object& user, const std::string& path, const NameList& names,
                     const v1::Object& gateway);

// How a type of policy behaves, from the decision core's registry.
bool is_authentication(const v1::PolicySpec& policy);
bool is_nearest(const v1::PolicySpec& policy);
// "apiKey": what `type` says in YAML.
std::string type_name(const v1::PolicySpec& policy);

}  // namespace gw
