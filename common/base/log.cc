#include "common/base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <ctime>
#include <memory>

namespace gw {
namespace {

void escape(std::string_view text, spdlog::memory_buf_t& out) {
  for (char c : text) {
    unsigned char u = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (u < 0x20) {
      char escaped[8];
      int n = std::snprintf(escaped, sizeof escaped, "\\u%04x", u);
      out.append(escaped, escaped + n);
    } else {
      out.push_back(c);
    }
  }
}

class JsonFormatter final : public spdlog::formatter {
 public:
  explicit JsonFormatter(std::string program) : program_(std::move(program)) {}

  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    using namespace std::chrono;
    auto since = message.time.time_since_epoch();
    std::time_t seconds = duration_cast<std::chrono::seconds>(since).count();
    std::tm utc;
    gmtime_r(&seconds, &utc);
    char text[64];
    size_t n = std::strftime(text, sizeof text, "{\"ts\":\"%Y-%m-%dT%H:%M:%S", &utc);
    n += static_cast<size_t>(std::snprintf(text + n, sizeof text - n, ".%03dZ\"", static_cast<int>(duration_cast<milliseconds>(since).count() % 1000)));
    auto put = [&](std::string_view s) { out.append(s.data(), s.data() + s.size()); };
    put({text, n});
    put(",\"level\":\"");
    put({spdlog::level::to_string_view(message.level).data(), spdlog::level::to_string_view(message.level).size()});
    put("\",\"program\":\"");
    escape(program_, out);
    put("\",\"message\":\"");
    escape({message.payload.data(), message.payload.size()}, out);
    put("\"}\n");
  }
  std::unique_ptr<spdlog::formatter> clone() const override { return std::make_unique<JsonFormatter>(program_); }

 private:
  std::string program_;
};

}  // namespace

void init_log(const std::string& program) {
  auto logger = std::make_shared<spdlog::logger>(program, std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_formatter(std::make_unique<JsonFormatter>(program));
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace gw
