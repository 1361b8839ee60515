// The programs' own log: one JSON line per event on stderr, through spdlog (spdlog::info, …; thread-safe).
#pragma once

#include <string>

namespace gw {

// Makes the default logger write `{"ts":…,"level":…,"program":…,"message":…}`. Call once, before threads are started.
void init_log(const std::string& program);

}  // namespace gw
