// What systemd and a service say to each other: sockets that it passes (socket activation), and words on how far the service is.
// Both are small and old protocols, spoken here without its library.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/node/listeners.h"

namespace gw {

struct PassedDescriptor {
  int fd = -1;
  std::string name;  // FileDescriptorName; empty: none was said
  friend bool operator==(const PassedDescriptor&, const PassedDescriptor&) = default;
};

constexpr int kMaxPassedDescriptors = 1024;

// From LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES (null: not set): the descriptors from 3 on, if they are meant for process `pid`.
std::vector<PassedDescriptor> parse_passed(const char* pid_text, const char* count_text, const char* names_text, int pid);

// The sockets that this process was started with, and takes the variables away: call once, before any thread is made. What is
// no listening TCP socket is said in `problems` and closed.
std::vector<PassedSocket> passed_by_systemd(std::vector<std::string>& problems);

// To whoever supervises this process ($NOTIFY_SOCKET), as "READY=1\nSTATUS=…". Does nothing where nobody does. Any thread.
void notify_supervisor(std::string_view words);

}  // namespace gw
