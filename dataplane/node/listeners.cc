#include "dataplane/node/listeners.h"

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

Listeners::Listeners(int workers, std::vector<ListenerOverride> overrides)
    : workers_(workers), overrides_(std::move(overrides)) {}

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
      for (const ListenerOverride& o : overrides_) {
        if (o.name == listener.name || o.name == gateway->name + "/" + listener.name ||
            o.name == std::string(gateway->short_name()) + "/" + listener.name) {
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
        auto socket = ListenSocket::open(address, port, workers_);
        if (!socket.ok()) {
          problems.error("GW3020", {"Gateway", gateway->name}, path, "listener " + listener.name + ": " + message_of(socket.status()))
              .set_cure("free the address, or choose another for this node with --listener " + listener.name + "=ADDRESS:PORT");
          continue;
        }
        found = open_.emplace(key, Open{next_id_++, *std::move(socket)}).first;
        opened.push_back(key);
      }
      wanted.push_back({found->second.id, gateway->uid, gateway->name, listener.name, address.to_string(), &found->second.socket});
    }
  }
  if (problems.has_errors()) {
    for (const Key& key : opened) open_.erase(key);
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
  std::erase_if(open_, [&](const auto& entry) { return !used.contains(entry.second.id); });
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
