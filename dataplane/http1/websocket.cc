#include "dataplane/http1/websocket.h"

#include "common/crypto/websocket_key.h"
#include "dataplane/http1/writer.h"

namespace gw::http1 {
namespace {

constexpr std::string_view kKeyField = "sec-websocket-key", kVersionField = "sec-websocket-version";
constexpr std::string_view kAcceptField = "sec-websocket-accept";

ProxyError bad_handshake(const char* why) { return {Reason::kBadRequest, ProxyError::Retry::kNever, why}; }

// Members of the list fields `id`, and whether `wanted` is among them.
size_t count_members(const HeaderList& headers, HeaderId id, std::string_view wanted, bool& found) {
  size_t members = 0;
  for (const HeaderField& f : headers.fields()) {
    if (f.id != id) continue;
    for_each_list_member(f.value, [&](std::string_view member) {
      ++members;
      found = found || equals_ignore_case(member, wanted);
    });
  }
  return members;
}

}  // namespace

ProxyError take_websocket_handshake(RequestHead& head, bool http10, std::string_view& key) {
  if (http10) return bad_handshake("a WebSocket handshake needs HTTP/1.1");
  if (head.method != Method::kGet) return bad_handshake("a WebSocket handshake is a GET");
  if (head.has_body) return bad_handshake("a WebSocket handshake has no body");
  bool upgrade = false;
  count_members(head.headers, HeaderId::kConnection, "upgrade", upgrade);
  if (!upgrade) return bad_handshake("Upgrade without `Connection: Upgrade`");
  const HeaderField* version = head.headers.find(kVersionField);
  if (version == nullptr || head.headers.count(kVersionField) != 1) return bad_handshake("no Sec-WebSocket-Version, or several");
  if (version->value != "13") {
    return {Reason::kBadRequest, ProxyError::Retry::kNever, "the version of the WebSocket protocol is not 13", 426};
  }
  const HeaderField* sent = head.headers.find(kKeyField);
  if (sent == nullptr || head.headers.count(kKeyField) != 1 || !is_websocket_key(sent->value)) {
    return bad_handshake("Sec-WebSocket-Key is not 16 bytes in base64");
  }
  key = sent->value;
  head.headers.remove(kKeyField);
  head.headers.remove(kVersionField);
  head.headers.remove(kAcceptField);
  return {};
}

std::string websocket_lines(std::string_view key) {
  return "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + std::string(key) + "\r\n";
}

bool agrees_to_websocket(HeaderList& headers, std::string_view accept) {
  bool websocket = false, upgrade = false;
  size_t protocols = count_members(headers, HeaderId::kUpgrade, "websocket", websocket);
  count_members(headers, HeaderId::kConnection, "upgrade", upgrade);
  const HeaderField* value = headers.find(kAcceptField);
  bool agreed = websocket && protocols == 1 && upgrade && value != nullptr && headers.count(kAcceptField) == 1 &&
                value->value == accept;
  headers.remove(kAcceptField);
  return agreed;
}

void write_switching_head(ByteBuffer& out, const ResponseHead& head, std::string_view key) {
  out.append("HTTP/1.1 101 Switching Protocols\r\n");
  write_fields(out, head.headers);
  out.append("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ");
  out.append(websocket_accept(key));
  out.append("\r\n\r\n");
}

}  // namespace gw::http1
