// What libuv holds pointers to, for tcp_stream.cc and splice.cc alone. Freed in the close callback; `owner` is null once the
// stream is closed.
#pragma once

#include <string>

#include "dataplane/loop/tcp_stream.h"

namespace gw {

struct TcpStream::Box {
  uv_poll_t handle;
  int fd = -1;
  TcpStream* owner = nullptr;
  int polled = 0;      // events that libuv watches now
  std::string queue;   // not yet taken by the kernel
  size_t sent = 0;     // of the queue
  bool connecting = false;
  bool failed = false;
  bool shutdown_wanted = false;
  bool reset = false;
};

}  // namespace gw
