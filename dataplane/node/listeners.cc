#include "dataplane/node/listeners.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "common/base/diagnostic.h"
#include "common/base/status.h"
#include "dataplane/snapshot/snapshot.h"

namespace gw {
namespace {

std::string authority(const IpAddress& address, uint16_t port) {
  std::string text = address.to_string();
  return (address.is_v4() ? text : "[" + text + "]") + ":" + std::to_string(port);
}

// By which flags and systemd may mean a listener.
std::vector<std::string> names_of(const GatewayConfig& gateway, const ListenerConfig& listener) {
  return {listener.name, std::string(gateway.short_name()) + "/" + listener.name, gateway.name + "/" + listener.name};
}

}  // namespace

absl::StatusOr<ListenerOverride> ListenerOverride::parse(std::string_view text) {
  auto bad = [&] { return invalid_argument("--listener " + std::string(text) + ": must be NAME=ADDRESS:PORT, as http=127.0.0.1:8080"); };
  size_t equals = text.find('='), colon = text.rfind(':');
  if (equals == std::string_view::npos || equals == 0 || colon == std::string_view::npos || colon < equals) return bad();
  ListenerOverride out;
  out.name = text.substr(0, equals);
  std::string_view host = text.substr(equals + 1, colon - equals - 1), port = text.substr(colon + 1);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  auto address = IpAddress::parse(host);
  if (!address.has_value()) return bad();
  out.address = *address;
  auto parsed = std::from_chars(port.data(), port.data() + port.size(), out.port);
  if (parsed.ec != std::errc() || parsed.ptr != port.data() + port.size()) return bad();
  return out;
}

Listeners::Listeners(int workers, std::vector<ListenerOverride> overrides, std::vector<PassedSocket> passed)
    : workers_(workers), overrides_(std::move(overrides)) {
  for (PassedSocket& socket : passed) {
    std::string where = authority(socket.socket.address(), socket.socket.port());
    if (!socket.key.empty()) {
      std::string key = socket.key;
      open_.emplace(std::move(key), Open{next_id_++, std::move(socket)});
      continue;
    }
    bool known = std::any_of(open_.begin(), open_.end(), [&](const auto& entry) {
      const ListenSocket& other = entry.second.from.socket;
      return other.address() == socket.socket.address() && other.port() == socket.socket.port();
    });
    if (known) continue;
    spdlog::info("passed socket {} on {}: kept for the listener that fits it", socket.name.empty() ? "without a name" : socket.name, where);
    waiting_.push_back(std::move(socket));
  }
}

void Listeners::each(const std::function<void(const Lent&)>& lend) const {
  for (const auto& [key, open] : open_) lend({key, open.from.name, open.from.kept, open.from.socket});
  static const std::string kNoKey;
  for (const PassedSocket& socket : waiting_) lend({kNoKey, socket.name, socket.kept, socket.socket});
}

// A name is the operator's word and comes first; the address fits where none was said.
absl::StatusOr<PassedSocket> Listeners::find_or_open(const Wish& wish) {
  auto named = [&](const PassedSocket& s) { return std::find(wish.names.begin(), wish.names.end(), s.name) != wish.names.end(); };
  auto there = [&](const PassedSocket& s) { return wish.port != 0 && s.socket.port() == wish.port && s.socket.address() == wish.address; };
  auto found = std::find_if(waiting_.begin(), waiting_.end(), named);
  if (found == waiting_.end()) found = std::find_if(waiting_.begin(), waiting_.end(), there);
  if (found != waiting_.end()) {
    PassedSocket out = std::move(*found);
    waiting_.erase(found);
    spdlog::info("listener {}: takes the passed socket {} on {}", wish.names.back(), out.name, authority(out.socket.address(), out.socket.port()));
    return out;
  }
  auto socket = ListenSocket::open(wish.address, wish.port, workers_);
  if (!socket.ok()) return socket.status();
  return PassedSocket{.key = {}, .name = {}, .kept = false, .socket = *std::move(socket)};
}

absl::Status Listeners::prepare(const Snapshot& snapshot) {
  std::vector<Active> wanted;
  std::vector<Key> opened;
  std::set<Key> taken;
  DiagnosticList problems;
  for (const auto& gateway : snapshot.gateways()) {
    for (size_t i = 0; i < gateway->listeners.size(); ++i) {
      const ListenerConfig& listener = gateway->listeners[i];
      IpAddress address = listener.address;
      uint16_t port = static_cast<uint16_t>(listener.port);
      const std::vector<std::string> names = names_of(*gateway, listener);
      for (const ListenerOverride& o : overrides_) {
        if (names.end() != std::find(names.begin(), names.end(), o.name)) {
          address = o.address;
          port = o.port;
        }
      }
      Key key = authority(address, port);
      if (port == 0) key += " " + gateway->name + "/" + listener.name;
      std::string path = "spec.listeners[" + std::to_string(i) + "].port";
      if (!taken.insert(key).second) {
        problems.error("GW3021", {"Gateway", gateway->name}, path, "two listeners of this node want " + authority(address, port))
            .set_cure("give them different ports, or start the node with --listener " + listener.name + "=ADDRESS:PORT");
        continue;
      }
      auto found = open_.find(key);
      if (found == open_.end()) {
        auto socket = find_or_open({address, port, names});
        if (!socket.ok()) {
          problems.error("GW3020", {"Gateway", gateway->name}, path, "listener " + listener.name + ": " + message_of(socket.status()))
              .set_cure("free the address, or choose another for this node with --listener " + listener.name + "=ADDRESS:PORT");
          continue;
        }
        found = open_.emplace(key, Open{next_id_++, *std::move(socket)}).first;
        opened.push_back(key);
      }
      wanted.push_back({found->second.id, gateway->uid, gateway->name, listener.name, found->second.from.socket.address().to_string(), &found->second.from.socket});
    }
  }
  if (problems.has_errors()) {
    for (const Key& key : opened) close(open_.find(key));
    return to_status(problems, absl::StatusCode::kFailedPrecondition);
  }
  prepared_ = std::move(wanted);
  return absl::OkStatus();
}

void Listeners::activate() {
  active_ = std::move(prepared_);
  prepared_.clear();
}

void Listeners::abandon() {
  prepared_.clear();
  close_unused();
}

void Listeners::close_unused() {
  std::set<uint32_t> used;
  for (const Active& a : active_) used.insert(a.id);
  for (auto at = open_.begin(); at != open_.end();) {
    auto next = std::next(at);
    if (!used.contains(at->second.id)) close(at);
    at = next;
  }
}

void Listeners::close(std::map<Key, Open>::iterator at) {
  if (at->second.from.kept) {
    at->second.from.key.clear();
    waiting_.push_back(std::move(at->second.from));
  }
  open_.erase(at);
}

std::vector<v1::BoundListener> Listeners::bound() const {
  std::vector<v1::BoundListener> out;
  for (const Active& a : active_) {
    v1::BoundListener b;
    b.set_gateway(a.gateway);
    b.set_name(a.name);
    b.set_address(a.address);
    b.set_port(a.socket->port());
    out.push_back(std::move(b));
  }
  return out;
}

}  // namespace gw
