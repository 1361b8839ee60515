#include "dataplane/loop/send_batch.h"

#include "dataplane/loop/tcp_stream.h"

namespace gw {

uint32_t SendBatch::add(TcpStream& stream, std::string_view a, std::string_view b, std::string_view c) {
  const size_t size = a.size() + b.size() + c.size();
  held_.push_back({&stream, static_cast<uint32_t>(bytes_.size()), static_cast<uint32_t>(size)});
  bytes_.reserve(size);
  bytes_.put(a);
  bytes_.put(b);
  bytes_.put(c);
  return static_cast<uint32_t>(held_.size() - 1);
}

std::string_view SendBatch::take(uint32_t place) {
  Held& held = held_[place];
  held.stream = nullptr;
  return bytes_.view().substr(held.begin, held.size);
}

void SendBatch::flush() {
  for (size_t i = 0; i < held_.size(); ++i) {  // more may come meanwhile
    if (TcpStream* stream = held_[i].stream; stream != nullptr) stream->send_held();
  }
  held_.clear();
  bytes_.clear();
}

}  // namespace gw
