// gRPC-Web (doc/PROTOCOL-WEB.md of gRPC): requests and answers of browsers, translated to and from gRPC as they stream.
//
// Binary bodies are gRPC's own frames, text ones the same in base64, which may be padded anywhere. Behind the answer's messages
// its trailers follow as one more frame, so that nothing is lost where a page cannot read trailers. Pieces go through as they
// come: what is kept is at most three bytes. It belongs to a GrpcCall. Worker's thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/arena.h"
#include "common/http/message.h"
#include "dataplane/exchange/grpc.h"

namespace gw {

// Base64 in pieces, split anywhere; `=` ends a group of four and another may follow.
class Base64Reader {
 public:
  // Appends what is decoded. False: it is no base64; nothing more may be given. `last`: the text and its group end here.
  bool read(std::string_view text, bool last, std::string& out);

 private:
  uint32_t bits_ = 0;
  uint8_t digits_ = 0;  // of the group
  uint8_t padding_ = 0;
};

// Where a stream of gRPC messages stands.
class GrpcFrames {
 public:
  // False: a frame that is no message of gRPC.
  bool walk(std::string_view piece);
  // No message is begun and unfinished. Never again behind a frame that is none.
  bool between() const { return !broken_ && left_ == 0 && head_ == 0; }

 private:
  uint32_t left_ = 0;
  uint8_t head_ = 0;  // bytes of a frame's head that have come
  bool broken_ = false;
};

class GrpcWeb {
 public:
  // Reads of the request what the answer is to be.
  GrpcWeb(const GrpcType& type, const RequestHead& request);

  // The request's fields as gRPC has them; the text's length is not known any more.
  void translate(RequestHead& request, Arena& arena);
  // The type of answers without messages, which the gateway makes.
  std::string_view content_type(Arena& arena) const;
  bool decodes() const { return text_request_; }
  // The request's next piece, good until the next call. False: it is no base64.
  bool decode(std::string_view piece, bool last, std::string_view& out);

  // The answer's head. An answer that is not gRPC's goes on as it is.
  void begin(ResponseHead& response, Arena& arena);
  bool begun() const { return begun_; }
  // The answer's next piece in the client's form, good until the next call. False: the upstream's frames are malformed.
  bool encode(std::string_view piece, std::string_view& out);
  // The same with the end of the answer: `trailers` in a frame of their own. False: the answer ends within a message.
  bool finish(std::string_view piece, const HeaderList& trailers, std::string_view& out);
  bool may_finish() const { return frames_.between(); }

 private:
  void put(std::string_view bytes);

  std::string_view suffix_;
  bool text_request_, text_response_;
  bool begun_ = false;
  Base64Reader reader_;
  GrpcFrames frames_;
  std::string decoded_, encoded_;
};

// The frame of trailers: its flag, its length, `name: value` lines.
std::string grpc_web_trailers(const HeaderList& trailers);

}  // namespace gw
