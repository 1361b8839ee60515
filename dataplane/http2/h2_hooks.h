// Between a Connection and nghttp2: what nghttp2 calls. Nothing here calls the owner, except begin_stream().
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "dataplane/http2/h2_connection.h"

namespace gw::http2 {

// What nghttp2 has told and the owner is to know, in order.
struct Connection::Event {
  enum class Kind : uint8_t { kHead, kData, kClosed, kDrained, kSettings, kGoaway, kPong };
  Kind kind;
  bool last = false, too_large = false, trailers = false;
  Stream* stream = nullptr;
  const char* data = nullptr;  // kData; in what is read now
  size_t first = 0;            // kHead: in fields_
  size_t count = 0;            // fields, or bytes
  uint32_t code = 0;
};

// Trailers that wait for the end of the body, with their bytes.
struct Stream::Trailers {
  explicit Trailers(const std::vector<nghttp2_nv>& from);
  std::string bytes;
  std::vector<nghttp2_nv> fields;
};

struct Hooks {
  static nghttp2_session* open(Connection& connection, bool server);
  static void submit_settings(nghttp2_session* session, const Connection::Options& options, bool server);
  // Writes how many streams there may be into the SETTINGS at the front of `out`. nghttp2 itself is told more: it would end the
  // connection for one stream too many, which is to be refused alone (RFC 9113 §5.1.2).
  static void announce_streams(char* out, size_t size, uint32_t streams);

  static ssize_t read_body(nghttp2_session* session, int32_t id, uint8_t* buffer, size_t length, uint32_t* flags,
                           nghttp2_data_source* source, void* self);
  static int send_data(nghttp2_session* session, nghttp2_frame* frame, const uint8_t* head, size_t length,
                       nghttp2_data_source* source, void* self);
  static int on_begin_headers(nghttp2_session* session, const nghttp2_frame* frame, void* self);
  static int on_header(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
                       const uint8_t* value, size_t value_size, uint8_t flags, void* self);
  static int on_invalid_header(nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
                               const uint8_t* value, size_t value_size, uint8_t flags, void* self);
  static int on_data_chunk(nghttp2_session* session, uint8_t flags, int32_t id, const uint8_t* data, size_t size, void* self);
  static int on_frame(nghttp2_session* session, const nghttp2_frame* frame, void* self);
  static int on_sent(nghttp2_session* session, const nghttp2_frame* frame, void* self);
  static int on_stream_close(nghttp2_session* session, int32_t id, uint32_t code, void* self);

 private:
  static Stream* stream_of(nghttp2_session* session, int32_t id) {
    return static_cast<Stream*>(nghttp2_session_get_stream_user_data(session, id));
  }
  static void head_done(Connection& c, const nghttp2_frame& frame);
};

}  // namespace gw::http2
