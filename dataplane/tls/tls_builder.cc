#include "dataplane/tls/tls_builder.h"

#include "common/base/status.h"
#include "common/base/text.h"

namespace gw {

absl::StatusOr<std::shared_ptr<const TlsCertificate>> TlsBuilder::certificate(uint64_t uid, const CertificateTable& table) {
  std::shared_ptr<const CertificateData> data = table.certificate(uid);
  if (data == nullptr) return not_found("a Certificate has not come to this node");
  auto& known = read_[data.get()];
  if (known.second != nullptr) return known.second;
  auto out = std::make_shared<TlsCertificate>();
  out->name = data->name;
  for (const std::string& host : data->hosts) out->hosts.push_back(ascii_lower(host));
  out->tls13_only = data->min_tls == "1.3";
  for (const CertificateData::KeyPair& pair : data->key_pairs) {
    auto read = TlsKeyPair::parse(pair.pem, pair.ocsp);
    if (!read.ok()) return invalid_argument("Certificate " + data->name + ": " + message_of(read.status()));
    out->key_pairs.push_back(*std::move(read));
  }
  known = {std::move(data), out};
  return known.second;
}

absl::StatusOr<TlsBuilder::Trust> TlsBuilder::trust(uint64_t ca, uint64_t crl, const CertificateTable& table) {
  std::shared_ptr<const SecretData> authorities = table.secret(ca);
  std::shared_ptr<const SecretData> revoked = crl != 0 ? table.secret(crl) : nullptr;
  if (authorities == nullptr || (crl != 0 && revoked == nullptr)) return not_found("a Secret has not come to this node");
  Trust& known = trusted_[{authorities, revoked}];
  if (known != nullptr) return known;
  auto read = TrustStore::parse(authorities->value, revoked != nullptr ? std::string_view(revoked->value) : std::string_view());
  if (!read.ok()) return invalid_argument("Secret " + authorities->name + ": " + message_of(read.status()));
  known = *std::move(read);
  return known;
}

absl::StatusOr<std::shared_ptr<const TlsServerContext>> TlsBuilder::server(const GatewayConfig& gateway,
                                                                           const ListenerConfig& listener,
                                                                           const CertificateTable& table) {
  TlsServerConfig config;
  for (uint64_t uid : listener.tls.certificates) {
    GW_ASSIGN_OR_RETURN(auto one, certificate(uid, table));
    config.certificates.push_back(std::move(one));
  }
  if (listener.tls.default_certificate != 0) {
    GW_ASSIGN_OR_RETURN(config.fallback, certificate(listener.tls.default_certificate, table));
  }
  for (const ClientAuthConfig& entry : gateway.client_auth) {
    TlsClientRule& rule = config.clients.emplace_back();
    rule.hosts = entry.hosts;
    rule.header = entry.header;
    if (entry.mode == v1::ClientAuth::MODE_REQUEST) rule.mode = TlsClientRule::Mode::kRequest;
    if (entry.mode == v1::ClientAuth::MODE_REQUIRE) rule.mode = TlsClientRule::Mode::kRequire;
    if (rule.mode == TlsClientRule::Mode::kNone) continue;
    GW_ASSIGN_OR_RETURN(rule.trust, trust(entry.trust, entry.crl, table));
  }
  config.http2 = listener.http2;
  config.tickets = listener.tls.session_tickets;
  config.early_data = listener.tls.early_data;
  config.signer = signer_;
  return TlsServerContext::make(std::move(config));
}

absl::StatusOr<std::shared_ptr<const TlsClientContext>> TlsBuilder::client(const UpstreamConfig& upstream,
                                                                           const CertificateTable& table) {
  const UpstreamTlsConfig& tls = *upstream.tls;
  Client& known = clients_[upstream.uid];
  Client next{upstream.shared_from_this(), table.secret(tls.ca), table.secret(tls.client_certificate), nullptr};
  if (known.context != nullptr && known.config == next.config && known.ca == next.ca && known.key_pair == next.key_pair) {
    return known.context;
  }
  TlsClientConfig config;
  config.server_name = tls.server_name;
  config.names = tls.names;
  config.pins = tls.pins;
  config.tls13_only = tls.tls13_only;
  config.verify = tls.verify;
  if (tls.verify && tls.ca != 0) {
    GW_ASSIGN_OR_RETURN(config.trust, trust(tls.ca, 0, table));
  } else if (tls.verify) {
    if (system_ == nullptr) {
      GW_ASSIGN_OR_RETURN(system_, TrustStore::system());
    }
    config.trust = system_;
  }
  if (tls.client_certificate != 0) {
    if (next.key_pair == nullptr) return not_found("the Secret of tls.clientCertificate has not come to this node");
    auto pair = TlsKeyPair::parse(next.key_pair->value, {});
    if (!pair.ok()) return invalid_argument("Secret " + next.key_pair->name + ": " + message_of(pair.status()));
    config.key_pair = *std::move(pair);
  }
  GW_ASSIGN_OR_RETURN(next.context, TlsClientContext::make(std::move(config)));
  known = std::move(next);
  return known.context;
}

std::shared_ptr<const TlsClients> TlsBuilder::clients(const Snapshot& snapshot, const CertificateTable& table, const Problem& problem) {
  auto out = std::make_shared<TlsClients>();
  for (const auto& upstream : snapshot.upstreams()) {
    if (upstream == nullptr || !upstream->tls) continue;
    auto context = client(*upstream, table);
    if (context.ok()) {
      out->emplace(upstream->uid, *std::move(context));
    } else {
      problem(*upstream, context.status());
    }
  }
  std::erase_if(clients_, [&](const auto& entry) { return !out->contains(entry.first); });
  return out;
}

void TlsBuilder::keep_only(const CertificateTable& table) {
  std::erase_if(read_, [&](const auto& entry) {
    const auto& data = entry.second.first;
    return data == nullptr || table.certificate(data->uid) != data;
  });
  auto gone = [&](const std::shared_ptr<const SecretData>& secret) { return secret != nullptr && table.secret(secret->uid) != secret; };
  std::erase_if(trusted_, [&](const auto& entry) { return gone(entry.first.first) || gone(entry.first.second); });
}

}  // namespace gw
