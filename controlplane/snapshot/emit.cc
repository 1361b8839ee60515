#include "controlplane/snapshot/emit.h"

#include <algorithm>

#include "common/crypto/base64.h"
#include "common/crypto/digest_sum.h"
#include "controlplane/snapshot/check.h"
#include "controlplane/snapshot/references.h"
#include "dataplane/snapshot/entry.h"

namespace gw {
namespace {

using Uids = google::protobuf::RepeatedField<uint64_t>;

struct Emitter {
  const Catalog& catalog;
  const v1::Object& object;

  uint64_t uid(Kind kind, const std::string& name) const {
    const v1::Object* found = catalog.referenced(object, kind, name);
    return found ? found->uid() : 0;
  }
  void uids(Kind kind, const NameList& names, Uids* out) const {
    for (const std::string& name : names) out->Add(uid(kind, name));
  }
  // True when `anonymous` is in the list.
  bool auth(const NameList& names, Uids* out) const {
    bool anonymous = false;
    for (const std::string& name : names) {
      if (name == "anonymous") {
        anonymous = true;
      } else {
        out->Add(uid(v1::Object::kPolicy, name));
      }
    }
    return anonymous;
  }
  template <class Entry>
  Entry named() const {
    Entry entry;
    entry.mutable_name()->set_owner(object.metadata().owner());
    entry.mutable_name()->set_name(object.metadata().name());
    return entry;
  }

  v1::GatewayEntry gateway() const {
    const v1::GatewaySpec& spec = object.gateway();
    auto e = named<v1::GatewayEntry>();
    *e.mutable_listeners() = spec.listeners();
    *e.mutable_trusted_proxies() = spec.client_address().trusted_proxies();
    uids(v1::Object::kPolicy, spec.policies(), e.mutable_policies());
    uids(v1::Object::kPolicy, spec.required(), e.mutable_required());
    if (spec.has_limits()) *e.mutable_limits() = spec.limits();
    if (spec.has_limits_max()) *e.mutable_limits_max() = spec.limits_max();
    if (spec.has_access_log()) *e.mutable_access_log() = spec.access_log();
    e.set_full_error_detail(spec.error_detail() == v1::GatewaySpec::ERROR_DETAIL_FULL);
    *e.mutable_node_labels() = spec.nodes().labels();
    tls(spec, e);
    return e;
  }

  // Names of Certificates and Secrets are uids from here on.
  void tls(const v1::GatewaySpec& spec, v1::GatewayEntry& e) const {
    for (v1::Listener& listener : *e.mutable_listeners()) {
      if (listener.protocol() == v1::Listener::PROTOCOL_HTTPS) {
        v1::ListenerCertificates& out = *e.add_certificates();
        out.set_listener(listener.name());
        uids(v1::Object::kCertificate, listener.certificates(), out.mutable_certificates());
        if (!listener.default_certificate().empty()) out.set_default_certificate(uid(v1::Object::kCertificate, listener.default_certificate()));
      }
      listener.clear_certificates();
      listener.clear_default_certificate();
    }
    for (const v1::ClientAuth& auth : spec.client_auth()) {
      v1::ClientAuthEntry& out = *e.add_client_auth();
      *out.mutable_hosts() = auth.hosts();
      out.set_mode(auth.mode());
      if (auth.has_trust()) out.set_trust(uid(v1::Object::kSecret, auth.trust().secret()));
      if (auth.has_crl()) out.set_crl(uid(v1::Object::kSecret, auth.crl().secret()));
      out.set_header(auth.header().empty() ? "x-gw-client-certificate" : auth.header());
    }
  }

  v1::ApiEntry api() const {
    const v1::ApiSpec& spec = object.api();
    auto e = named<v1::ApiEntry>();
    for (const v1::Object* gateway : gateways_of(catalog, object)) e.add_gateways(gateway->uid());
    *e.mutable_hosts() = spec.hosts();
    e.set_base_path(spec.base_path());
    e.set_allow_anonymous(auth(spec.auth(), e.mutable_auth()));
    uids(v1::Object::kPolicy, spec.policies(), e.mutable_policies());
    if (spec.has_limits()) *e.mutable_limits() = spec.limits();
    if (spec.has_timeouts()) *e.mutable_timeouts() = spec.timeouts();
    for (const v1::Object* product : products_of(catalog, object)) e.add_products(product->uid());
    std::sort(e.mutable_products()->begin(), e.mutable_products()->end());
    return e;
  }

  void target(const v1::RouteTarget& to, v1::RouteEntry& e) const {
    if (to.has_redirect()) {
      *e.mutable_redirect() = to.redirect();
    } else if (to.has_respond()) {
      *e.mutable_respond() = to.respond();
    } else if (!to.split().empty()) {
      v1::Split& split = *e.mutable_split();
      split.set_sticky_by(to.sticky_by());
      for (const v1::WeightedUpstream& arm : to.split()) {
        v1::SplitArm& out = *split.add_arms();
        out.set_upstream(uid(v1::Object::kUpstream, arm.upstream()));
        out.set_weight(arm.weight());
      }
    } else {
      e.set_upstream(uid(v1::Object::kUpstream, to.upstream()));
    }
    if (!to.has_mirror()) return;
    const v1::Mirror& from = to.mirror();
    v1::MirrorTo& mirror = *e.mutable_mirror();
    mirror.set_upstream(uid(v1::Object::kUpstream, from.upstream()));
    mirror.set_percent_ppm(from.percent_ppm());
    if (from.has_max_body_bytes()) mirror.set_max_body_bytes(from.max_body_bytes());
    if (from.has_max_in_flight()) mirror.set_max_in_flight(from.max_in_flight());
    if (from.has_timeout_ms()) mirror.set_timeout_ms(from.timeout_ms());
  }

  v1::RouteEntry route() const {
    const v1::RouteSpec& spec = object.route();
    auto e = named<v1::RouteEntry>();
    e.set_api(uid(v1::Object::kApi, spec.api()));
    *e.mutable_match() = spec.match();
    e.set_priority(spec.priority());
    if (!spec.auth().empty()) e.mutable_auth()->set_allow_anonymous(auth(spec.auth(), e.mutable_auth()->mutable_policies()));
    uids(v1::Object::kPolicy, spec.policies(), e.mutable_policies());
    if (spec.has_timeouts()) *e.mutable_timeouts() = spec.timeouts();
    if (spec.has_limits()) *e.mutable_limits() = spec.limits();
    if (spec.has_rewrite()) *e.mutable_rewrite() = spec.rewrite();
    e.set_unmetered(spec.has_metered() && !spec.metered());
    if (spec.has_websocket()) *e.mutable_websocket() = spec.websocket();
    e.set_grpc_web(spec.grpc_web());
    target(spec.to(), e);
    return e;
  }

  v1::UpstreamTlsEntry upstream_tls(const v1::UpstreamTls& spec) const {
    v1::UpstreamTlsEntry e;
    if (spec.has_ca()) e.set_ca(uid(v1::Object::kSecret, spec.ca().secret()));
    if (spec.has_client_certificate()) e.set_client_certificate(uid(v1::Object::kSecret, spec.client_certificate().secret()));
    e.set_server_name(spec.server_name());
    *e.mutable_names() = spec.names();
    *e.mutable_pins() = spec.pins();
    e.set_min_tls(spec.min_tls().empty() ? "1.2" : spec.min_tls());
    e.set_unverified(spec.has_verify() && !spec.verify());
    return e;
  }

  v1::UpstreamEntry upstream() const {
    auto e = named<v1::UpstreamEntry>();
    *e.mutable_targets() = object.upstream().targets();
    const v1::UpstreamSpec& spec = object.upstream();
    if (spec.has_timeouts()) *e.mutable_timeouts() = spec.timeouts();
    if (spec.has_balance()) *e.mutable_balance() = spec.balance();
    if (spec.has_retries()) *e.mutable_retries() = spec.retries();
    if (spec.has_health()) *e.mutable_health() = spec.health();
    if (spec.has_discovery()) *e.mutable_discovery() = spec.discovery();
    if (spec.has_circuit_breaker()) *e.mutable_circuit_breaker() = spec.circuit_breaker();
    if (object.upstream().proxy_protocol() != v1::UpstreamSpec::PROXY_PROTOCOL_NONE) {
      e.set_proxy_protocol(object.upstream().proxy_protocol());
    }
    if (spec.protocol() != v1::UpstreamSpec::PROTOCOL_UNSPECIFIED) e.set_protocol(spec.protocol());
    if (spec.has_http2()) *e.mutable_http2() = spec.http2();
    if (spec.has_tls()) *e.mutable_tls() = upstream_tls(spec.tls());
    return e;
  }

  v1::PolicyEntry policy() const {
    auto e = named<v1::PolicyEntry>();
    e.set_mode(object.policy().mode());
    e.set_on_failure(object.policy().on_failure());
    *e.mutable_config() = object.policy().config();
    return e;
  }

  v1::PlanEntry plan() const {
    const v1::PlanSpec& spec = object.plan();
    auto e = named<v1::PlanEntry>();
    if (spec.has_rate()) *e.mutable_rate() = spec.rate();
    if (spec.has_quota()) *e.mutable_quota() = spec.quota();
    uids(v1::Object::kPolicy, spec.policies(), e.mutable_policies());
    e.set_on_failure(spec.on_failure());
    return e;
  }

  v1::ConsumerEntry consumer() const {
    auto e = named<v1::ConsumerEntry>();
    e.set_suspended(object.consumer().suspended());
    return e;
  }

  v1::AppEntry app() const {
    auto e = named<v1::AppEntry>();
    e.set_consumer(uid(v1::Object::kConsumer, object.app().consumer()));
    e.set_suspended(object.app().suspended());
    e.set_live(object.app().keys() != v1::AppSpec::KEYS_TEST);
    for (const v1::AppIdentity& identity : object.app().identities()) {
      v1::AppIdentityEntry& out = *e.add_identities();
      out.set_policy(uid(v1::Object::kPolicy, identity.policy()));
      out.set_value(identity.value());
    }
    return e;
  }

  v1::SubscriptionEntry subscription() const {
    auto e = named<v1::SubscriptionEntry>();
    e.set_app(uid(v1::Object::kApp, object.subscription().app()));
    e.set_product(uid(v1::Object::kProduct, object.subscription().product()));
    e.set_plan(uid(v1::Object::kPlan, object.subscription().plan()));
    return e;
  }

  std::string secret_bytes(const std::string& name) const {
    SecretPtr value = name.empty() ? nullptr : catalog.secret(uid(v1::Object::kSecret, name));
    return value ? value->bytes : std::string();
  }

  v1::CertificateEntry certificate() const {
    const v1::CertificateSpec& spec = object.certificate();
    auto e = named<v1::CertificateEntry>();
    *e.mutable_hosts() = spec.hosts();
    for (const v1::KeyPair& pair : spec.key_pairs()) {
      v1::KeyPairData& out = *e.add_key_pairs();
      out.set_pem(secret_bytes(pair.secret()));
      if (!pair.ocsp().empty()) out.set_ocsp(from_base64(secret_bytes(pair.ocsp())).value_or(""));
    }
    e.set_min_tls(spec.min_tls().empty() ? "1.2" : spec.min_tls());
    return e;
  }

  v1::SecretEntry secret() const {
    auto e = named<v1::SecretEntry>();
    if (SecretPtr value = catalog.secret(object.uid())) e.set_value(value->bytes);
    return e;
  }

  // Nodes get a Secret by itself where a Gateway or Upstream names it; a Certificate's are in the Certificate's entry.
  bool goes_to_nodes() const {
    if (!object.has_secret()) return true;
    for (const ObjectKey& user : catalog.dependents(key_of(object))) {
      const v1::Object* found = user.kind == v1::Object::kGateway || user.kind == v1::Object::kUpstream ? catalog.find(user) : nullptr;
      if (!found) continue;
      for (const Reference& r : references_of(*found)) {
        if (r.kind == v1::Object::kSecret && catalog.referenced(*found, r.kind, r.text) == &object) return true;
      }
    }
    return false;
  }

  std::string bytes() const {
    switch (object.spec_case()) {
      case v1::Object::kGateway: return gateway().SerializeAsString();
      case v1::Object::kApi: return api().SerializeAsString();
      case v1::Object::kRoute: return route().SerializeAsString();
      case v1::Object::kUpstream: return upstream().SerializeAsString();
      case v1::Object::kPolicy: return policy().SerializeAsString();
      case v1::Object::kPlan: return plan().SerializeAsString();
      case v1::Object::kConsumer: return consumer().SerializeAsString();
      case v1::Object::kApp: return app().SerializeAsString();
      case v1::Object::kSubscription: return subscription().SerializeAsString();
      case v1::Object::kCertificate: return certificate().SerializeAsString();
      case v1::Object::kSecret: return secret().SerializeAsString();
      default: return "";
    }
  }
};

void refer(std::vector<EntryKey>& out, v1::EntryKind kind, uint64_t uid) { out.push_back({kind, uid}); }
void refer(std::vector<EntryKey>& out, v1::EntryKind kind, const Uids& uids) {
  for (uint64_t uid : uids) refer(out, kind, uid);
}

void refer_one(std::vector<EntryKey>& out, v1::EntryKind kind, uint64_t uid) {
  if (uid != 0) refer(out, kind, uid);  // 0: none
}

std::vector<EntryKey> references_of_entry(v1::EntryKind kind, const std::string& bytes) {
  std::vector<EntryKey> out;
  if (kind == v1::ENTRY_GATEWAY) {
    v1::GatewayEntry e;
    e.ParseFromString(bytes);
    refer(out, v1::ENTRY_POLICY, e.policies());
    refer(out, v1::ENTRY_POLICY, e.required());
    for (const v1::ListenerCertificates& listener : e.certificates()) {
      refer(out, v1::ENTRY_CERTIFICATE, listener.certificates());
      refer_one(out, v1::ENTRY_CERTIFICATE, listener.default_certificate());
    }
    for (const v1::ClientAuthEntry& auth : e.client_auth()) {
      refer_one(out, v1::ENTRY_SECRET, auth.trust());
      refer_one(out, v1::ENTRY_SECRET, auth.crl());
    }
  } else if (kind == v1::ENTRY_UPSTREAM) {
    v1::UpstreamEntry e;
    e.ParseFromString(bytes);
    refer_one(out, v1::ENTRY_SECRET, e.tls().ca());
    refer_one(out, v1::ENTRY_SECRET, e.tls().client_certificate());
  } else if (kind == v1::ENTRY_API) {
    v1::ApiEntry e;
    e.ParseFromString(bytes);
    refer(out, v1::ENTRY_GATEWAY, e.gateways());
    refer(out, v1::ENTRY_POLICY, e.auth());
    refer(out, v1::ENTRY_POLICY, e.policies());
  } else if (kind == v1::ENTRY_ROUTE) {
    v1::RouteEntry e;
    e.ParseFromString(bytes);
    refer(out, v1::ENTRY_API, e.api());
    refer(out, v1::ENTRY_POLICY, e.auth().policies());
    refer(out, v1::ENTRY_POLICY, e.policies());
    if (e.to_case() == v1::RouteEntry::kUpstream) refer(out, v1::ENTRY_UPSTREAM, e.upstream());
    if (e.has_mirror()) refer(out, v1::ENTRY_UPSTREAM, e.mirror().upstream());
    for (const v1::SplitArm& arm : e.split().arms()) refer(out, v1::ENTRY_UPSTREAM, arm.upstream());
  } else if (kind == v1::ENTRY_PLAN) {
    v1::PlanEntry e;
    e.ParseFromString(bytes);
    refer(out, v1::ENTRY_POLICY, e.policies());
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

}  // namespace

EntryKey entry_key(const v1::Object& object) {
  static const std::map<Kind, v1::EntryKind> kinds = {
      {v1::Object::kGateway, v1::ENTRY_GATEWAY},   {v1::Object::kApi, v1::ENTRY_API},
      {v1::Object::kRoute, v1::ENTRY_ROUTE},       {v1::Object::kUpstream, v1::ENTRY_UPSTREAM},
      {v1::Object::kPolicy, v1::ENTRY_POLICY},     {v1::Object::kPlan, v1::ENTRY_PLAN},
      {v1::Object::kConsumer, v1::ENTRY_CONSUMER}, {v1::Object::kApp, v1::ENTRY_APP},
      {v1::Object::kSubscription, v1::ENTRY_SUBSCRIPTION},
      {v1::Object::kCertificate, v1::ENTRY_CERTIFICATE}, {v1::Object::kSecret, v1::ENTRY_SECRET}};
  auto found = kinds.find(object.spec_case());
  return {found == kinds.end() ? v1::ENTRY_KIND_UNSPECIFIED : found->second, object.uid()};
}

EntryPtr make_entry(const EntryKey& key, std::string bytes, std::string object) {
  auto out = std::make_shared<EntryData>();
  out->key = key;
  out->hash = entry_hash(static_cast<uint8_t>(key.kind), key.uid, bytes);
  out->references = references_of_entry(key.kind, bytes);
  out->capabilities = capabilities_of(key.kind, bytes);
  out->bytes = std::move(bytes);
  out->object = std::move(object);
  return out;
}

EntryPtr emit(const Catalog& catalog, const v1::Object& object) {
  EntryKey key = entry_key(object);
  if (key.kind == v1::ENTRY_KIND_UNSPECIFIED) return nullptr;
  Emitter emitter{catalog, object};
  return emitter.goes_to_nodes() ? make_entry(key, emitter.bytes(), key_of(object).text()) : nullptr;
}

v1::Stream stream_of(v1::EntryKind kind) {
  if (kind >= v1::ENTRY_TICKET_KEY) return v1::STREAM_TICKETS;
  if (kind >= v1::ENTRY_CERTIFICATE) return v1::STREAM_CERTIFICATES;
  if (kind >= v1::ENTRY_ENDPOINT) return v1::STREAM_ENDPOINTS;
  if (kind >= v1::ENTRY_API_SWITCH) return v1::STREAM_SWITCHES;
  if (kind >= v1::ENTRY_SHARE) return v1::STREAM_QUOTA;
  return kind >= v1::ENTRY_CONSUMER ? v1::STREAM_DIRECTORY : v1::STREAM_CONFIG;
}

Digest digest_of(const EntryTable& entries) {
  Digest sum{};
  for (const auto& [key, entry] : entries) add(sum, entry->hash);
  return sum;
}

}  // namespace gw
