#include "dataplane/tls/server_context.h"

#include <algorithm>
#include <ctime>

#include "common/base/status.h"
#include "common/http/headers.h"
#include "dataplane/snapshot/tickets.h"
#include "dataplane/tls/filter_ssl.h"
#include "dataplane/tls/peer_check.h"

namespace gw {
namespace {

using Ssl = TlsFilter::Ssl;

// TLS 1.2: forward secrecy and authenticated encryption alone. TLS 1.3 has nothing else.
constexpr const char* kCiphers =
    "[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]:[ECDHE-RSA-AES128-GCM-SHA256|ECDHE-RSA-CHACHA20-POLY1305]:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";

std::string lower_host(const char* name) {
  std::string out = name != nullptr ? name : "";
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  if (!out.empty() && out.back() == '.') out.pop_back();
  return out;
}

bool host_fits(const std::string& pattern, std::string_view host) {
  if (pattern == "*") return true;
  if (pattern.rfind("*.", 0) != 0) return pattern == host;
  size_t dot = host.find('.');
  return dot != std::string_view::npos && dot > 0 && host.substr(dot) == std::string_view(pattern).substr(1);
}

// A list of 16-bit numbers behind its length of `prefix` bytes, in an extension of the hello; empty: not there.
std::vector<uint16_t> numbers(const SSL_CLIENT_HELLO* hello, uint16_t extension, int prefix) {
  std::vector<uint16_t> out;
  const uint8_t* data;
  size_t size;
  if (SSL_early_callback_ctx_extension_get(hello, extension, &data, &size) != 1) return out;
  CBS all, list;
  CBS_init(&all, data, size);
  if (!(prefix == 1 ? CBS_get_u8_length_prefixed(&all, &list) : CBS_get_u16_length_prefixed(&all, &list))) return out;
  uint16_t number;
  while (CBS_get_u16(&list, &number)) out.push_back(number);
  return out;
}

bool has(const std::vector<uint16_t>& list, uint16_t number) { return std::find(list.begin(), list.end(), number) != list.end(); }

bool has_ecdsa_cipher(const SSL_CLIENT_HELLO* hello) {
  CBS list;
  CBS_init(&list, hello->cipher_suites, hello->cipher_suites_len);
  uint16_t suite;
  while (CBS_get_u16(&list, &suite)) {
    if (suite == 0xc02b || suite == 0xc02c || suite == 0xcca9) return true;
  }
  return false;
}

// The pair that costs least of those that the client can check: ECDSA, else RSA.
std::shared_ptr<const TlsKeyPair> choose(const SSL_CLIENT_HELLO* hello, const TlsCertificate& certificate) {
  const auto& pairs = certificate.key_pairs;
  if (pairs.size() == 1) return pairs.front();
  std::vector<uint16_t> algorithms = numbers(hello, TLSEXT_TYPE_signature_algorithms, 2);
  bool tls13 = has(numbers(hello, TLSEXT_TYPE_supported_versions, 1), TLS1_3_VERSION);
  for (const auto& pair : pairs) {
    uint16_t wanted = pair->impl().signature;
    if (wanted != 0 && has(algorithms, wanted) && (tls13 || (has_ecdsa_cipher(hello) && wanted != SSL_SIGN_ED25519))) return pair;
  }
  for (const auto& pair : pairs) {
    if (pair->impl().type == EVP_PKEY_RSA) return pair;
  }
  return pairs.front();
}

// Backslash and quotation mark as in a quoted string (RFC 9110 §5.6.4).
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

std::shared_ptr<const ClientIdentity> identity_of(const CRYPTO_BUFFER* leaf, const std::string& header) {
  absl::StatusOr<CertificateFacts> facts = parse_certificate(der_of(leaf));
  if (!facts.ok()) return nullptr;
  auto out = std::make_shared<ClientIdentity>();
  // What stands in a field or is compared must be text without control bytes.
  if (is_field_value(facts->subject)) out->subject = facts->subject;
  for (std::string& name : facts->names()) {
    if (is_field_value(name)) out->names.push_back(std::move(name));
  }
  out->serial = facts->serial;
  out->sha256 = facts->sha256;
  out->header = header;
  out->text = "subject=" + quoted(out->subject);
  for (const std::string& name : out->names) out->text += ";san=" + quoted(name);
  out->text += ";serial=" + out->serial + ";sha256=" + out->sha256;
  return out;
}

class ServerInfo final : public TlsInfo {
 public:
  ServerInfo(std::shared_ptr<const TlsServerContext> context, const TlsCertificate* served, const TlsClientRule* rule)
      : context_(std::move(context)), served_(served), rule_(rule) {}

  bool covers(std::string_view host) const override {
    if (host == server_name) return true;
    if (context_->rule_for(host) != rule_) return false;
    const TlsCertificate* own = context_->certificate_for(host);
    // Who has named no host, and gets the fallback, may ask for whatever no other certificate is for.
    return own == served_ || (own == nullptr && server_name.empty());
  }

 private:
  std::shared_ptr<const TlsServerContext> context_;
  const TlsCertificate* served_;
  const TlsClientRule* rule_;
};

}  // namespace

struct TlsServerContext::Impl {
  bssl::UniquePtr<SSL_CTX> context;
};

struct TlsServerContext::Callbacks {
  static const TlsServerContext& context_of(const SSL* ssl) {
    return *static_cast<const TlsServerContext*>(Ssl::of(ssl).context.get());
  }

  static ssl_select_cert_result_t select(const SSL_CLIENT_HELLO* hello) {
    SSL* ssl = hello->ssl;
    Ssl& state = Ssl::of(ssl);
    const TlsServerContext& self = context_of(ssl);
    state.server_name = lower_host(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
    state.served = state.server_name.empty() ? nullptr : self.certificate_for(state.server_name);
    if (state.served == nullptr) state.served = self.config_.fallback.get();
    if (state.served == nullptr) {
      Ssl::filter_of(ssl).fail(TlsFilter::Failure::kNoHost, state.server_name.empty() ? "the client names no host"
                                                                                      : "no certificate covers " + state.server_name);
      return ssl_select_cert_success;  // server_name() tells the client why
    }
    if (state.served->tls13_only) SSL_set_min_proto_version(ssl, TLS1_3_VERSION);
    state.key = choose(hello, *state.served);
    const TlsKeyPair::Impl& key = state.key->impl();
    bool elsewhere = key.type == EVP_PKEY_RSA && self.config_.signer != nullptr;
    if (SSL_set_chain_and_key(ssl, key.chain_view.data(), key.chain_view.size(), elsewhere ? nullptr : key.key.get(),
                              elsewhere ? &signing() : nullptr) != 1) {
      return ssl_select_cert_error;
    }
    if (!key.ocsp.empty()) SSL_set_ocsp_response(ssl, reinterpret_cast<const uint8_t*>(key.ocsp.data()), key.ocsp.size());
    state.rule = self.rule_for(state.server_name);
    if (state.rule != nullptr && state.rule->mode != TlsClientRule::Mode::kNone) ask_client(ssl, *state.rule);
    return ssl_select_cert_success;
  }

  // Every connection shows its certificate anew, so that one that was revoked is not resumed into.
  static void ask_client(SSL* ssl, const TlsClientRule& rule) {
    bool required = rule.mode == TlsClientRule::Mode::kRequire;
    SSL_set_custom_verify(ssl, required ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT : SSL_VERIFY_PEER, verify);
    bssl::UniquePtr<STACK_OF(CRYPTO_BUFFER)> names(sk_CRYPTO_BUFFER_dup(rule.trust->impl().names.get()));
    for (CRYPTO_BUFFER* name : names.get()) CRYPTO_BUFFER_up_ref(name);
    SSL_set0_client_CAs(ssl, names.release());
    SSL_set_options(ssl, SSL_OP_NO_TICKET);
  }

  static int server_name(SSL* ssl, int* alert, void*) {
    if (Ssl::filter_of(ssl).failure() != TlsFilter::Failure::kNoHost) return SSL_TLSEXT_ERR_OK;
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }

  static int alpn(SSL* ssl, const uint8_t** out, uint8_t* out_size, const uint8_t* in, unsigned size, void*) {
    static constexpr std::string_view kHttp2 = "h2", kHttp1 = "http/1.1";
    bool http1 = false;
    CBS offered, name;
    CBS_init(&offered, in, size);
    while (CBS_get_u8_length_prefixed(&offered, &name)) {
      std::string_view text(reinterpret_cast<const char*>(CBS_data(&name)), CBS_len(&name));
      if (text == kHttp2 && context_of(ssl).config_.http2) {
        *out = CBS_data(&name);
        *out_size = static_cast<uint8_t>(CBS_len(&name));
        return SSL_TLSEXT_ERR_OK;
      }
      http1 = http1 || text == kHttp1;
    }
    if (!http1) {
      Ssl::filter_of(ssl).fail(TlsFilter::Failure::kNoAlpn, "the client speaks no protocol that the listener has");
      return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = reinterpret_cast<const uint8_t*>(kHttp1.data());
    *out_size = static_cast<uint8_t>(kHttp1.size());
    return SSL_TLSEXT_ERR_OK;
  }

  static ssl_verify_result_t verify(SSL* ssl, uint8_t* alert) {
    Ssl& state = Ssl::of(ssl);
    PeerVerdict verdict = check_peer(ssl, {.trust = state.rule->trust.get(), .server = false, .names = {}, .pins = nullptr});
    if (!verdict.ok) {
      *alert = verdict.alert;
      Ssl::filter_of(ssl).fail(TlsFilter::Failure::kCertificate, "the client's certificate does not hold: " + verdict.why);
      return ssl_verify_invalid;
    }
    state.client = identity_of(sk_CRYPTO_BUFFER_value(SSL_get0_peer_certificates(ssl), 0), state.rule->header);
    return ssl_verify_ok;
  }

  static int ticket(SSL* ssl, uint8_t* name, uint8_t* iv, EVP_CIPHER_CTX* cipher, HMAC_CTX* hmac, int encrypt) {
    const TicketKeys& keys = *Ssl::of(ssl).tickets;
    int64_t now_s = std::time(nullptr);
    const TicketKey* sealing = keys.sealing(now_s);
    const TicketKey* key = sealing;
    if (encrypt != 0) {
      if (key == nullptr || RAND_bytes(iv, EVP_CIPHER_iv_length(EVP_aes_256_cbc())) != 1) return -1;
      std::copy(key->name.begin(), key->name.end(), name);
    } else {
      key = keys.opening({reinterpret_cast<const char*>(name), SSL_TICKET_KEY_NAME_LEN}, now_s);
      if (key == nullptr) return 0;
    }
    if (EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key->secret.data(), iv, encrypt) != 1) return -1;
    if (HMAC_Init_ex(hmac, key->secret.data() + 32, 32, EVP_sha256(), nullptr) != 1) return -1;
    return key == sealing ? 1 : 2;
  }

  static const SSL_PRIVATE_KEY_METHOD& signing() {
    static const SSL_PRIVATE_KEY_METHOD method = {sign, decrypt, complete};
    return method;
  }

  static ssl_private_key_result_t sign(SSL* ssl, uint8_t*, size_t*, size_t, uint16_t algorithm, const uint8_t* in, size_t size) {
    Ssl& state = Ssl::of(ssl);
    auto job = std::make_shared<SignJob>();
    job->filter = &Ssl::filter_of(ssl);
    job->key = state.key;
    job->algorithm = algorithm;
    job->in.assign(reinterpret_cast<const char*>(in), size);
    state.signing = job;
    Loop* loop = &job->filter->loop();
    context_of(ssl).config_.signer->run([job, loop] {
      make_signature(*job);
      loop->post([job] {
        job->done = true;
        if (job->filter != nullptr) job->filter->unblock();
      });
    });
    return ssl_private_key_retry;
  }

  static void make_signature(SignJob& job) {
    bssl::ScopedEVP_MD_CTX context;
    EVP_PKEY_CTX* options = nullptr;
    const EVP_MD* digest = SSL_get_signature_algorithm_digest(job.algorithm);
    if (EVP_DigestSignInit(context.get(), &options, digest, nullptr, job.key->impl().key.get()) != 1) return;
    if (SSL_is_signature_algorithm_rsa_pss(job.algorithm) != 0 &&
        (EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) != 1 || EVP_PKEY_CTX_set_rsa_pss_saltlen(options, -1) != 1)) {
      return;
    }
    const auto* in = reinterpret_cast<const uint8_t*>(job.in.data());
    size_t size = 0;
    if (EVP_DigestSign(context.get(), nullptr, &size, in, job.in.size()) != 1) return;
    job.out.resize(size);
    job.ok = EVP_DigestSign(context.get(), reinterpret_cast<uint8_t*>(job.out.data()), &size, in, job.in.size()) == 1;
    job.out.resize(size);
  }

  // Of key exchanges that are not offered.
  static ssl_private_key_result_t decrypt(SSL*, uint8_t*, size_t*, size_t, const uint8_t*, size_t) { return ssl_private_key_failure; }

  static ssl_private_key_result_t complete(SSL* ssl, uint8_t* out, size_t* out_size, size_t room) {
    Ssl& state = Ssl::of(ssl);
    if (!state.signing->done) return ssl_private_key_retry;
    std::shared_ptr<SignJob> job = std::move(state.signing);
    if (!job->ok || job->out.size() > room) return ssl_private_key_failure;
    std::copy(job->out.begin(), job->out.end(), out);
    *out_size = job->out.size();
    return ssl_private_key_success;
  }

  static std::shared_ptr<TlsInfo> describe(Ssl& state) {
    auto context = std::static_pointer_cast<const TlsServerContext>(state.context);
    auto info = std::make_shared<ServerInfo>(std::move(context), state.served, state.rule);
    info->server_name = state.server_name;
    info->version = SSL_get_version(state.ssl.get());
    info->resumed = SSL_session_reused(state.ssl.get()) == 1;
    info->client = std::move(state.client);
    state.key.reset();
    return info;
  }
};

TlsServerContext::TlsServerContext() : impl_(std::make_unique<Impl>()) {}
TlsServerContext::~TlsServerContext() = default;

void TlsServerContext::add(const std::shared_ptr<const TlsCertificate>& certificate) {
  for (const std::string& host : certificate->hosts) {
    bool wild = host.rfind("*.", 0) == 0;
    (wild ? wildcard_ : exact_).emplace(wild ? host.substr(1) : host, certificate.get());
  }
}

absl::StatusOr<std::shared_ptr<const TlsServerContext>> TlsServerContext::make(TlsServerConfig config) {
  std::shared_ptr<TlsServerContext> self(new TlsServerContext);
  self->config_ = std::move(config);
  for (const auto& certificate : self->config_.certificates) self->add(certificate);
  for (const TlsClientRule& rule : self->config_.clients) {
    if (rule.mode != TlsClientRule::Mode::kNone && rule.trust == nullptr) return invalid_argument("clientAuth needs `trust`");
  }
  SSL_CTX* context = SSL_CTX_new(TLS_with_buffers_method());
  self->impl_->context.reset(context);
  if (context == nullptr || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
      SSL_CTX_set_strict_cipher_list(context, kCiphers) != 1) {
    return internal_error("TLS cannot be set up: " + take_tls_error());
  }
  SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE | (self->config_.tickets ? 0u : SSL_OP_NO_TICKET));
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 1);
  SSL_CTX_set_early_data_enabled(context, self->config_.early_data && self->config_.tickets);
  SSL_CTX_set_select_certificate_cb(context, Callbacks::select);
  SSL_CTX_set_tlsext_servername_callback(context, Callbacks::server_name);
  SSL_CTX_set_alpn_select_cb(context, Callbacks::alpn, nullptr);
  SSL_CTX_set_tlsext_ticket_key_cb(context, Callbacks::ticket);
  // Sessions of one control plane's nodes are each other's; what is asked of clients is not part of them: see ask_client().
  static constexpr uint8_t kSessions[] = {'n', 'o', 'r', 't', 'h', 'g', 'a', 't', 'e'};
  SSL_CTX_set_session_id_context(context, kSessions, sizeof kSessions);
  return std::shared_ptr<const TlsServerContext>(std::move(self));
}

std::unique_ptr<TlsFilter> TlsServerContext::open(Loop& loop, std::shared_ptr<const TicketKeys> tickets) const {
  auto state = std::make_unique<Ssl>();
  state->ssl.reset(SSL_new(impl_->context.get()));
  if (state->ssl == nullptr) return nullptr;
  SSL_set_accept_state(state->ssl.get());
  if (tickets == nullptr || tickets->sealing(std::time(nullptr)) == nullptr) SSL_set_options(state->ssl.get(), SSL_OP_NO_TICKET);
  state->context = shared_from_this();
  state->tickets = std::move(tickets);
  state->describe = Callbacks::describe;
  return std::make_unique<TlsFilter>(loop, std::move(state));
}

const TlsCertificate* TlsServerContext::certificate_for(std::string_view host) const {
  if (auto it = exact_.find(std::string(host)); it != exact_.end()) return it->second;
  size_t dot = host.find('.');
  if (dot == std::string_view::npos || dot == 0) return nullptr;
  auto it = wildcard_.find(std::string(host.substr(dot)));
  return it != wildcard_.end() ? it->second : nullptr;
}

const TlsClientRule* TlsServerContext::rule_for(std::string_view host) const {
  for (const TlsClientRule& rule : config_.clients) {
    if (std::any_of(rule.hosts.begin(), rule.hosts.end(), [&](const std::string& pattern) { return host_fits(pattern, host); })) {
      return &rule;
    }
  }
  return nullptr;
}

}  // namespace gw
