#include "controlplane/snapshot/compiler.h"

#include <algorithm>
#include <cstring>

#include "controlplane/snapshot/emit.h"
#include "controlplane/snapshot/references.h"

namespace gw {
namespace {

// What others see of an object: when it stays the same, nothing but the object itself has to be looked at again.
std::string visible_part(const v1::Object& object) {
  v1::Object seen;
  seen.set_uid(object.uid());
  *seen.mutable_metadata()->mutable_share_with() = object.metadata().share_with();
  switch (object.spec_case()) {
    case v1::Object::kTeam:
    case v1::Object::kUpstream:
    case v1::Object::kConsumer:
    case v1::Object::kApp:
    case v1::Object::kSubscription:
      break;
    case v1::Object::kPolicy: {
      v1::PolicySpec& policy = *seen.mutable_policy();
      policy.set_on_failure(object.policy().on_failure());
      policy.set_reason(type_name(object.policy()));
      break;
    }
    case v1::Object::kPlan:
      seen.mutable_plan()->set_on_failure(object.plan().on_failure());
      break;
    case v1::Object::kApi:
      *seen.mutable_api() = object.api();
      seen.mutable_api()->clear_title();
      seen.mutable_api()->clear_version();
      break;
    default:
      seen = object;
      seen.set_generation(0);
      break;
  }
  return seen.SerializeAsString();
}

bool is_tls_record(Kind kind) { return kind == v1::Object::kSecret || kind == v1::Object::kCertificate; }

bool visibly_changed(const v1::Object* before, const v1::Object* after) {
  if (!before || !after) return before != after;
  return visible_part(*before) != visible_part(*after);
}

}  // namespace

void Compiler::load(const std::vector<ObjectPtr>& objects, const std::map<uint64_t, SecretPtr>& secrets, EntryTable entries) {
  for (const ObjectPtr& object : objects) catalog_.put(object);
  for (const auto& [uid, value] : secrets) catalog_.put_secret(uid, value);
  entries_ = std::move(entries);
  for (Kind kind : {v1::Object::kCertificate, v1::Object::kSecret}) {
    catalog_.for_each(kind, [&](const v1::Object& object) {
      if (EntryPtr entry = emit(catalog_, object)) entries_[entry->key] = entry;
    });
  }
}

void Compiler::put(const ObjectChange& change) {
  ObjectPtr before = change.after ? catalog_.put(change.after) : catalog_.erase(change.key);
  if (before) matches_.forget(before->uid());
  if (before && (!change.after || change.after->uid() != before->uid())) put_secret(before->uid(), nullptr);
  if (change.secret && change.after) put_secret(change.after->uid(), change.secret);
  journal_.objects.emplace_back(change.key, std::move(before));
}

void Compiler::put_secret(uint64_t uid, SecretPtr value) {
  if (!value && !catalog_.secret(uid)) return;
  journal_.secrets.emplace_back(uid, catalog_.put_secret(uid, std::move(value)));
}

void Compiler::rollback() {
  for (auto at = journal_.objects.rbegin(); at != journal_.objects.rend(); ++at) {
    ObjectPtr undone = at->second ? catalog_.put(at->second) : catalog_.erase(at->first);
    if (undone) matches_.forget(undone->uid());
  }
  for (auto at = journal_.secrets.rbegin(); at != journal_.secrets.rend(); ++at) catalog_.put_secret(at->first, at->second);
  for (auto at = journal_.entries.rbegin(); at != journal_.entries.rend(); ++at) {
    if (at->second) {
      entries_[at->first] = at->second;
    } else {
      entries_.erase(at->first);
    }
  }
  journal_ = {};
}

// The closure over who depends on what: references backwards, Gateways to the Apis that they serve by default, Products to
// their Apis, and new or former claims' neighbours (which check_claims looks at by itself).
std::set<ObjectKey> Compiler::touched() {
  std::set<ObjectKey> out;
  std::vector<ObjectKey> open;
  auto reach = [&](const ObjectKey& key) {
    if (out.insert(key).second) open.push_back(key);
  };
  for (const auto& [key, before] : journal_.objects) {
    out.insert(key);
    const v1::Object* now = catalog_.find(key);
    if (key.kind == v1::Object::kProduct) {
      for (const v1::Object* side : {before.get(), now}) {
        if (!side) continue;
        for (const std::string& name : side->product().apis()) {
          if (const v1::Object* api = catalog_.referenced(*side, v1::Object::kApi, name)) out.insert(key_of(*api));
        }
      }
    }
    if (is_tls_record(key.kind)) {
      touch_users(key, out);
      continue;
    }
    for (const v1::Object* side : {before.get(), now}) {
      if (side) touch_secrets(*side, out);
    }
    if (visibly_changed(before.get(), now)) open.push_back(key);
  }
  for (size_t at = 0; at < open.size(); ++at) {
    ObjectKey key = open[at];
    for (const ObjectKey& user : catalog_.dependents(key)) reach(user);
    if (key.kind != v1::Object::kGateway) continue;
    catalog_.for_each(v1::Object::kApi, [&](const v1::Object& api) {
      if (api.api().gateways().empty()) reach(key_of(api));
    });
  }
  return out;
}

// A Secret's or Certificate's users see whether it is there and what it holds; what these say to others stays the same.
void Compiler::touch_users(const ObjectKey& key, std::set<ObjectKey>& out) const {
  for (const ObjectKey& user : catalog_.dependents(key)) {
    out.insert(user);
    if (user.kind != v1::Object::kCertificate) continue;
    for (const ObjectKey& gateway : catalog_.dependents(user)) out.insert(gateway);
  }
}

// Whether a Secret is sent to nodes depends on who names it.
void Compiler::touch_secrets(const v1::Object& user, std::set<ObjectKey>& out) const {
  if (!user.has_gateway() && !user.has_upstream()) return;
  for (const Reference& r : references_of(user)) {
    const v1::Object* secret = r.kind == v1::Object::kSecret ? catalog_.referenced(user, r.kind, r.text) : nullptr;
    if (secret) out.insert(key_of(*secret));
  }
}

void Compiler::check(const CheckContext& c, const std::set<ObjectKey>& keys) {
  check_limits(c);
  std::set<const v1::Object*> overlaps, loopbacks;
  for (const ObjectKey& key : keys) {
    const v1::Object* object = catalog_.find(key);
    if (!object) continue;
    check_references(c, *object);
    switch (key.kind) {
      case v1::Object::kGateway:
        check_gateway(c, *object);
        check_gateway_tls(c, *object);
        break;
      case v1::Object::kUpstream:
        check_upstream(c, *object);
        check_upstream_tls(c, *object);
        if (c.changed.contains(key)) loopbacks.insert(object);
        break;
      case v1::Object::kPolicy: check_policy(c, *object); break;
      case v1::Object::kPlan: check_plan(c, *object); break;
      case v1::Object::kApi:
        check_api(c, *object);
        check_claims(c, *object);
        overlaps.insert(object);
        break;
      case v1::Object::kRoute: {
        check_route(c, *object);
        const v1::Object* api = catalog_.referenced(*object, v1::Object::kApi, object->route().api());
        if (api) overlaps.insert(api);
        for (const Reference& r : references_of(*object)) {
          const v1::Object* target = r.kind == v1::Object::kUpstream ? catalog_.referenced(*object, r.kind, r.text) : nullptr;
          if (target && c.changed.contains(key)) loopbacks.insert(target);
        }
        break;
      }
      case v1::Object::kProduct: check_product(c, *object); break;
      case v1::Object::kSubscription: check_subscription(c, *object); break;
      case v1::Object::kApp: check_identities(c, *object); break;
      case v1::Object::kCertificate: check_certificate(c, *object); break;
      default: break;
    }
  }
  auto in_order = [](const std::set<const v1::Object*>& objects) {
    std::map<ObjectKey, const v1::Object*> out;
    for (const v1::Object* o : objects) out[key_of(*o)] = o;
    return out;
  };
  for (const auto& [key, api] : in_order(overlaps)) check_overlaps(c, *api);
  for (const auto& [key, upstream] : in_order(loopbacks)) warn_loopback(c, *upstream);
}

void Compiler::set_entry(const EntryKey& key, EntryPtr entry, Compilation& out) {
  auto found = entries_.find(key);
  EntryPtr before = found == entries_.end() ? nullptr : found->second;
  if (before && entry && before->bytes == entry->bytes) return;
  if (!before && !entry) return;
  journal_.entries.emplace_back(key, before);
  v1::Stream stream = stream_of(key.kind);
  EntryDelta& delta = stream == v1::STREAM_CONFIG ? out.config : stream == v1::STREAM_CERTIFICATES ? out.certificates : out.directory;
  if (entry) {
    entries_[key] = entry;
    delta.upserts.push_back(std::move(entry));
  } else {
    entries_.erase(found);
    delta.removals.push_back(key);
  }
}

void Compiler::emit_all(const std::set<ObjectKey>& keys, Compilation& out) {
  // First what is gone: an object that was deleted and made anew in one change has another uid.
  for (const auto& [name, before] : journal_.objects) {
    const v1::Object* now = catalog_.find(name);
    if (!before || (now && now->uid() == before->uid())) continue;
    EntryKey key = entry_key(*before);
    if (key.kind != v1::ENTRY_KIND_UNSPECIFIED) set_entry(key, nullptr, out);
  }
  for (const ObjectKey& key : keys) {
    const v1::Object* object = catalog_.find(key);
    if (!object) continue;
    ++out.objects_compiled;
    EntryPtr entry = emit(catalog_, *object);
    if (entry || is_tls_record(key.kind)) set_entry(entry_key(*object), std::move(entry), out);
  }
}

Compilation Compiler::apply(const std::vector<ObjectChange>& changes, const CompileOptions& options) {
  Compilation out;
  std::set<ObjectKey> changed;
  for (const ObjectChange& change : changes) {
    put(change);
    changed.insert(change.key);
  }
  std::set<ObjectKey> keys = touched();
  check({catalog_, options, changed, matches_, out.diagnostics}, keys);
  if (out.diagnostics.has_errors()) {
    rollback();
    return out;
  }
  emit_all(keys, out);
  return out;
}

Compiled compile(const std::vector<v1::Object>& objects, const CompileOptions& options) {
  std::vector<ObjectChange> changes;
  uint64_t next_uid = 1;
  for (const v1::Object& object : objects) {
    auto copy = std::make_shared<v1::Object>(object);
    if (copy->uid() == 0) copy->set_uid(next_uid++);
    ObjectKey key = key_of(*copy);
    SecretPtr secret;
    if (copy->has_secret() && !copy->secret().value().empty()) {
      secret = SecretValue::make(copy->secret().value(), options.now_ms, "");
      copy->mutable_secret()->clear_value();
    }
    changes.push_back({std::move(key), nullptr, std::move(copy), std::move(secret)});
  }
  Compiler compiler;
  Compilation result = compiler.apply(changes, options);
  Compiled out;
  out.diagnostics = std::move(result.diagnostics);
  if (out.diagnostics.has_errors()) return out;
  for (const auto& [key, entry] : compiler.entries()) {
    v1::Stream stream = stream_of(key.kind);
    (stream == v1::STREAM_CONFIG ? out.config : stream == v1::STREAM_CERTIFICATES ? out.certificates : out.directory).emplace(key, entry);
  }
  out.catalog = compiler.catalog();
  return out;
}

v1::Offer whole_offer(v1::Stream stream, const EntryTable& entries, uint64_t version, const Lineage& lineage) {
  v1::Offer out;
  out.set_stream(stream);
  out.set_version(version);
  out.set_lineage(std::string(lineage.begin(), lineage.end()));
  for (const auto& [key, entry] : entries) {
    v1::Entry& e = *out.add_upserts();
    e.set_kind(key.kind);
    e.set_uid(key.uid);
    e.set_body(entry->bytes);
  }
  Digest digest = digest_of(entries);
  out.set_digest(digest.data(), digest.size());
  out.set_activate(true);
  return out;
}

}  // namespace gw
