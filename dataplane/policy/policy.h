// A policy decides about requests. It is immutable, built with the snapshot, and shared by all workers: whatever it
// remembers of one exchange lies in the exchange's arena (PolicyContext::slot), whatever it remembers across exchanges in
// NodeState, keyed by the object's uid, so that it survives swaps.
//
// Adding a policy: a message and a oneof line in proto/gw/v1/policies.proto, one .cc here, one test, one line in registry.cc.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/http/address.h"
#include "common/http/client_identity.h"
#include "common/http/message.h"
#include "dataplane/policy/decision.h"

namespace gw {

struct AppRecord;           // snapshot/directory.h
struct SubscriptionRecord;  // snapshot/directory.h
struct PlanConfig;          // snapshot/config.h
class Route;                // snapshot/config.h
struct GatewayConfig;       // snapshot/snapshot.h
struct Tables;              // snapshot/tables.h
class Policy;
class RateTable;            // policy/rate_table.h

// Fixed order of a request's policies; see the plan in README.md.
enum class Phase : uint8_t { kConnection, kCors, kWaf, kAuthentication, kAuthorization, kRate, kValidation, kTransform, kCache };

// How lists of several levels combine: every level's runs, outer first; or the nearest replaces the farther.
enum class Combine : uint8_t { kAll, kNearest };

enum class BodyMode : uint8_t { kNone, kInspect, kCollect, kTransform };

// Who calls, once authentication has passed. Pointers are into the directory that the exchange pins.
struct Identity {
  const AppRecord* app = nullptr;                    // null: anonymous
  const SubscriptionRecord* subscription = nullptr;  // covers the Api; null where none is needed
  const PlanConfig* plan = nullptr;                  // of the subscription
  std::string_view key_id;                           // never the key
};

// An exchange outside the call stack: a late answer finds another generation and is dropped.
struct ExchangeRef {
  uint32_t slot = 0;
  uint32_t generation = 0;
};

// What a policy may ask of its worker. All calls are from the worker's thread; answers come later as resume(), never inline.
class Services {
 public:
  virtual ~Services() = default;
  virtual const Clock& clock() const = 0;
  virtual FastRandom& random() = 0;
  // Calls fn on the worker's loop after `ms`, unless the exchange is gone by then. At most 8 live ones per exchange.
  virtual void after(ExchangeRef ref, int64_t ms, std::function<void()> fn) = 0;
  // Continues a paused exchange with `d` (kNext or kRespond). Harmless when the exchange is gone or not paused.
  virtual void resume(ExchangeRef ref, Decision d) = 0;
};

// Notes for `explain-request`: null on live traffic.
class ExplainSink {
 public:
  virtual ~ExplainSink() = default;
  // verdict: ok, pass, answers, refused, observe, skipped, unknown. By a policy about itself; where it says nothing the pipeline
  // says `pass` or `refused` for it.
  virtual void note(const Policy& policy, std::string_view verdict, std::string_view detail, Reason reason) = 0;
  // What is no policy: anonymous, subscription, plan. `object` is owner/name or empty.
  virtual void step(std::string_view phase, std::string_view object, std::string_view verdict, std::string_view detail,
                    Reason reason) = 0;
  // The caller that is asked about, in place of a credential; null: none.
  virtual const AppRecord* as_app() const = 0;
};

// Everything about one exchange that policies see. Owned by the exchange; lives until on_done.
struct PolicyContext {
  RequestHead* request = nullptr;
  const Tables* tables = nullptr;  // pinned by the exchange
  const GatewayConfig* gateway = nullptr;
  const Route* route = nullptr;    // null: none matched
  Arena* arena = nullptr;
  Services* services = nullptr;
  RateTable* rates = nullptr;
  ExchangeRef ref;
  IpAddress client;       // after trusted proxies
  bool peer_trusted = false;
  bool over_tls = false;
  const ClientIdentity* certificate = nullptr;  // of the client's TLS; null: none was shown
  int64_t now_ns = 0;     // monotonic, read once at the request's head
  int64_t wall_ns = 0;
  Identity identity;
  ExplainSink* explain = nullptr;  // set: evaluate, spend nothing
  // The request is a CORS preflight (RouteResult::preflight).
  bool preflight = false;
  // Set by the pipeline while a policy runs: a pointer that stays with this policy and exchange, null at first.
  void** slot = nullptr;
};

class Policy {
 public:
  struct Info {
    uint64_t uid = 0;
    std::string owner, name;
    std::string_view type;  // "apiKey"
    bool observe = false;
    uint32_t index = 0;  // dense, for metrics; survives swaps
  };

  explicit Policy(Info info) : info_(std::move(info)), full_name_(info_.owner + "/" + info_.name) {}
  virtual ~Policy() = default;
  Policy(const Policy&) = delete;
  Policy& operator=(const Policy&) = delete;

  const Info& info() const { return info_; }
  const std::string& full_name() const { return full_name_; }  // owner/name
  virtual Phase phase() const = 0;
  virtual Combine combine() const = 0;

  // In phase order; for kAuthentication see Authenticator.
  virtual Decision on_request(PolicyContext&) const { return Decision::next(); }
  // In reverse order, for upstream's answers; for the gateway's own answers only those of the Gateway's policies with
  // `on_local_responses()`.
  virtual void on_response(PolicyContext&, ResponseHead&) const {}
  virtual bool on_local_responses() const { return false; }
  // Exactly once for each exchange whose on_request ran, also when the client hung up.
  virtual void on_done(PolicyContext&) const {}

  // Whether on_response or on_done do anything: routes without either skip the walk.
  virtual bool has_response() const { return false; }
  virtual bool has_done() const { return false; }

  // kInspect: sees each piece and may answer instead. kCollect: sees the whole, up to body_limit(); beyond it 413 (request)
  // or 502 (response). kTransform: may replace pieces. With kNone bytes are passed on unseen.
  virtual BodyMode request_body_mode() const { return BodyMode::kNone; }
  virtual BodyMode response_body_mode() const { return BodyMode::kNone; }
  virtual size_t body_limit() const { return 65536; }
  // `piece` is valid during the call. With kTransform what is to be sent instead goes into `out` (cleared before).
  virtual Decision on_request_body(PolicyContext&, std::string_view /*piece*/, bool /*last*/, std::string* /*out*/) const {
    return Decision::next();
  }
  virtual Decision on_response_body(PolicyContext&, std::string_view /*piece*/, bool /*last*/, std::string* /*out*/) const {
    return Decision::next();
  }

 private:
  const Info info_;
  const std::string full_name_;
};

// Policies of phase kAuthentication say more than next or respond, because a list of them needs only one to pass.
class Authenticator : public Policy {
 public:
  using Policy::Policy;

  enum class Outcome : uint8_t {
    kAbsent,  // no credential of this kind in the request
    kPassed,  // ctx.identity.app is set
    kFailed,  // present and wrong: 401, even where anonymous is allowed
    kPaused,
  };
  // On kFailed `detail` says why, for the caller. After kPaused and a resume with kNext it is called again and finds its
  // answer in its slot; a resume with kRespond refuses with that response. Sets ctx.identity.app and key_id only.
  virtual Outcome authenticate(PolicyContext& ctx, std::string_view& detail) const = 0;
  // Value of WWW-Authenticate, or empty.
  virtual std::string_view challenge() const { return {}; }
  // Whether the credential is removed before the request goes upstream: called when it passed.
  virtual void hide(PolicyContext&) const {}

  Phase phase() const final { return Phase::kAuthentication; }
  Combine combine() const final { return Combine::kNearest; }
};

}  // namespace gw
