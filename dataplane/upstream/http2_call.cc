#include "dataplane/upstream/http2_call.h"

namespace gw {
namespace {

constexpr size_t kPrefix = 5;  // compressed or not, and the message's size
constexpr unsigned char kServing = 1;

void put_varint(std::string& out, size_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

// False: it ends too early.
bool take_varint(std::string_view& in, uint64_t& out) {
  out = 0;
  for (int shift = 0; shift < 64 && !in.empty(); shift += 7) {
    auto byte = static_cast<unsigned char>(in.front());
    in.remove_prefix(1);
    out |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

// Behind a field's tag.
bool skip_field(std::string_view& in, unsigned wire_type) {
  uint64_t size = 0;
  switch (wire_type) {
    case 0: return take_varint(in, size);
    case 1: size = 8; break;
    case 2:
      if (!take_varint(in, size)) return false;
      break;
    case 5: size = 4; break;
    default: return false;
  }
  if (size > in.size()) return false;
  in.remove_prefix(static_cast<size_t>(size));
  return true;
}

}  // namespace

std::string grpc_health_request(std::string_view service) {
  std::string message;
  if (!service.empty()) {
    message.push_back(0x0a);  // service = 1
    put_varint(message, service.size());
    message.append(service);
  }
  std::string out(kPrefix, '\0');
  for (size_t i = 0; i < 4; ++i) out[1 + i] = static_cast<char>(message.size() >> (24 - 8 * i));
  return out + message;
}

bool grpc_says_serving(std::string_view body) {
  if (body.size() < kPrefix || body[0] != 0) return false;
  size_t size = 0;
  for (size_t i = 1; i < kPrefix; ++i) size = size << 8 | static_cast<unsigned char>(body[i]);
  body.remove_prefix(kPrefix);
  if (size != body.size()) return false;
  uint64_t status = 0, tag = 0;
  while (!body.empty()) {
    if (!take_varint(body, tag)) return false;
    bool ok = tag == 0x08 ? take_varint(body, status) : skip_field(body, tag & 7);  // status = 1
    if (!ok) return false;
  }
  return status == kServing;
}

Http2Call::Http2Call(Loop& loop, UpstreamEvents& events, const Http2Limits& limits, std::string_view target)
    : events_(events), target_(target), stream_(loop, *this), session_(loop, *this, limits) {}

void Http2Call::ask(const RequestHead* head, std::string_view body) {
  if (head == nullptr) return;
  asks_ = true;
  stream_.lease(events_, head->method);
  stream_.send_head(*head);
  if (head->has_body) stream_.send_data(body, true, nullptr);
}

void Http2Call::session_has_room(http2::ClientSession& session) {
  if (done_ || attached_) return;
  if (!asks_) {
    events_.on_upstream_drained();
    return;
  }
  attached_ = true;
  session.attach(stream_);
}

void Http2Call::session_failed(http2::ClientSession&, const ProxyError& why) {
  if (!done_) events_.on_upstream_failed(why);
}

void Http2Call::finish() {
  if (done_) return;
  done_ = true;
  if (asks_) stream_.release();
  session_.close();
}

}  // namespace gw
