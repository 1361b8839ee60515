#include "dataplane/node/ready_file.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdio>

namespace gw {
namespace {

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) >= 0x20) out += c;
  }
  return out + "\"";
}

}  // namespace

void write_ready_file(const std::string& state_dir, const std::string& node, uint16_t admin_port, const std::vector<v1::BoundListener>& bound) {
  std::string text = "{\"node\":" + json_string(node) + ",\"pid\":" + std::to_string(getpid()) +
                     ",\"admin\":" + std::to_string(admin_port) + ",\"listeners\":[";
  bool first = true;
  for (const v1::BoundListener& b : bound) {
    if (!first) text += ",";
    first = false;
    text += "{\"gateway\":" + json_string(b.gateway()) + ",\"name\":" + json_string(b.name()) +
            ",\"address\":" + json_string(b.address()) + ",\"port\":" + std::to_string(b.port()) + "}";
  }
  text += "]}\n";
  std::string path = state_dir + "/ready.json", temporary = path + ".new";
  FILE* file = std::fopen(temporary.c_str(), "w");
  bool ok = file != nullptr && std::fwrite(text.data(), 1, text.size(), file) == text.size();
  if (file != nullptr) ok = std::fclose(file) == 0 && ok;
  if (!ok || std::rename(temporary.c_str(), path.c_str()) != 0) spdlog::warn("cannot write {}", path);
}

}  // namespace gw
