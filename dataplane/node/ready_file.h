// ready.json in the state directory: who started the node reads there where it can be reached.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "gw/v1/config_sync.pb.h"

namespace gw {

// Puts it in place of the one before; a failure is logged.
void write_ready_file(const std::string& state_dir, const std::string& node, uint16_t admin_port, const std::vector<v1::BoundListener>& bound);

}  // namespace gw
