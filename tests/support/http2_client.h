// HTTP/2 clients for tests: one on nghttp2 that does everything in due form, and frames made by hand for what it would not send.
// Blocking, one thread, every wait capped.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/net.h"

struct nghttp2_session;

namespace gw::test {

using Http2Fields = std::vector<std::pair<std::string, std::string>>;

struct Http2Answer {
  int status = 0;  // 0: no head yet
  std::vector<int> interim;
  Http2Fields fields, trailers;
  std::string body;
  size_t received = 0;  // bytes of the body
  bool ended = false;   // the server has ended its side
  bool closed = false;
  uint32_t code = 0;    // of the end
  std::string field(std::string_view name) const;
};

class Http2Client {
 public:
  struct Options {
    bool consume = true;      // gives windows back for what comes
    uint32_t window = 65535;  // of a stream, for bodies of answers
    uint32_t connection_window = 65535;
  };
  explicit Http2Client(uint16_t port) : Http2Client(port, Options()) {}
  Http2Client(uint16_t port, const Options& options);
  ~Http2Client();
  Http2Client(const Http2Client&) = delete;

  // Fields without the pseudo fields :method (GET, or POST with a body), :scheme, :authority (x) and :path stand in `more`; those
  // with one replace them. Sent at the next run.
  int32_t request(const std::string& path, const Http2Fields& more = {}, const std::string& body = "",
                  const Http2Fields& trailers = {});
  // A body follows by send().
  int32_t open(const std::string& path, const Http2Fields& more = {});
  void send(int32_t id, const std::string& piece, bool last = false);
  // Bytes of the body that could not go yet.
  size_t unsent(int32_t id);
  void reset(int32_t id, uint32_t code);
  void ping();
  void settings_again();
  void goaway();
  void priority_update(int32_t id, const std::string& value);
  void window_update(int32_t id, uint32_t bytes);

  // Sends what is to be sent and reads until `done()`. False: the connection has ended, or the cap.
  bool run(const std::function<bool()>& done);
  Http2Answer& answer(int32_t id) { return answers_[id]; }
  // Runs until the stream has closed.
  Http2Answer& finish(int32_t id);
  // Runs until the server has closed the connection.
  bool run_to_end();

  int pongs() const { return pongs_; }
  // Last stream ids of the GOAWAYs that came, and the last one's code.
  const std::vector<int32_t>& goaways() const { return goaways_; }
  uint32_t goaway_code() const { return goaway_code_; }
  // Of the server's SETTINGS; -1: it has not said.
  int64_t setting(int32_t id) const;
  bool settled() const { return settled_; }

 private:
  friend struct Http2ClientHooks;
  struct Body {
    std::string bytes;
    size_t at = 0;
    bool last = false;
    bool deferred = false;
    Http2Fields trailers;
  };
  int32_t submit(const std::string& path, const Http2Fields& more, bool has_body);
  bool flush();

  Connection socket_;
  nghttp2_session* session_ = nullptr;
  Options options_;
  std::map<int32_t, Http2Answer> answers_;
  std::map<int32_t, Body> bodies_;
  std::vector<int32_t> goaways_;
  std::map<int32_t, uint32_t> settings_;
  uint32_t goaway_code_ = 0;
  int pongs_ = 0;
  bool settled_ = false;
};

// Frames by hand.
inline constexpr std::string_view kHttp2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
std::string http2_frame(uint8_t type, uint8_t flags, int32_t stream, std::string_view payload);
// A field that stands in no table and goes into none.
std::string http2_literal(std::string_view name, std::string_view value);
std::string http2_literals(const Http2Fields& fields);
// HEADERS with GET http://x/PATH.
std::string http2_get(int32_t stream, const std::string& path = "/", bool last = true);
struct Http2Frame {
  uint8_t type = 0xff;  // 0xff: the connection has ended
  uint8_t flags = 0;
  int32_t stream = 0;
  std::string payload;
  // Of RST_STREAM and GOAWAY.
  uint32_t code() const;
};
Http2Frame read_http2_frame(Connection& connection);
// Frames until one of `type` on `stream` (-1: any); its type is 0xff where the connection ended before.
Http2Frame read_http2_until(Connection& connection, uint8_t type, int32_t stream = -1);

}  // namespace gw::test
