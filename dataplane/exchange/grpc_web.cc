#include "dataplane/exchange/grpc_web.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "common/base/text.h"
#include "common/crypto/base64.h"

namespace gw {
namespace {

constexpr uint8_t kNoDigit = 0xff;

constexpr std::array<uint8_t, 256> base64_digits() {
  std::array<uint8_t, 256> out{};
  for (auto& d : out) d = kNoDigit;
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < kDigits.size(); ++i) out[static_cast<unsigned char>(kDigits[i])] = static_cast<uint8_t>(i);
  return out;
}
constexpr std::array<uint8_t, 256> kBase64Digits = base64_digits();

constexpr uint8_t kCompressed = 0x01, kTrailersFlag = 0x80;
constexpr uint8_t kFrameHead = 5;

std::string_view typed(Arena& arena, std::string_view type, std::string_view suffix) {
  char* out = arena.allocate(type.size() + suffix.size() + 1);
  std::memcpy(out, type.data(), type.size());
  if (!suffix.empty()) std::memcpy(out + type.size(), suffix.data(), suffix.size());
  return {out, type.size() + suffix.size()};
}

void set_content_type(HeaderList& headers, std::string_view type) {
  if (HeaderField* field = headers.find(HeaderId::kContentType)) field->value = type;
}

}  // namespace

bool Base64Reader::read(std::string_view text, bool last, std::string& out) {
  for (char c : text) {
    if (c == '=') {
      // Only where two or three digits make whole bytes.
      if (digits_ < 2 || ++padding_ + digits_ > 4) return false;
      if (padding_ + digits_ < 4) continue;
      size_t bytes = digits_ - 1u;
      uint32_t group = bits_ << (6 * (4 - digits_));
      if ((group & (bytes == 1 ? 0xffffu : 0xffu)) != 0) return false;  // bits that belong to no byte
      for (size_t i = 0; i < bytes; ++i) out += static_cast<char>(group >> (16 - 8 * i));
      bits_ = digits_ = padding_ = 0;
      continue;
    }
    uint8_t digit = kBase64Digits[static_cast<unsigned char>(c)];
    if (digit == kNoDigit || padding_ > 0) return false;
    bits_ = bits_ << 6 | digit;
    if (++digits_ < 4) continue;
    const char bytes[] = {static_cast<char>(bits_ >> 16), static_cast<char>(bits_ >> 8), static_cast<char>(bits_)};
    out.append(bytes, sizeof bytes);
    bits_ = digits_ = 0;
  }
  return !last || (digits_ == 0 && padding_ == 0);
}

bool GrpcFrames::walk(std::string_view piece) {
  while (!piece.empty()) {
    if (head_ < kFrameHead) {
      unsigned char byte = static_cast<unsigned char>(piece.front());
      piece.remove_prefix(1);
      if (head_ == 0 && byte > kCompressed) return broken_ = true, false;
      if (head_ > 0) left_ = left_ << 8 | byte;
      if (++head_ == kFrameHead && left_ == 0) head_ = 0;  // a message without bytes
      continue;
    }
    size_t taken = std::min<size_t>(left_, piece.size());
    piece.remove_prefix(taken);
    left_ -= static_cast<uint32_t>(taken);
    if (left_ == 0) head_ = 0;
  }
  return true;
}

GrpcWeb::GrpcWeb(const GrpcType& type, const RequestHead& request)
    : suffix_(type.suffix), text_request_(type.kind == GrpcType::Kind::kWebText), text_response_(text_request_) {
  if (!request.headers.maybe_has(HeaderId::kAccept)) return;
  // The first of the two that is named.
  bool named = false;
  for (const HeaderField& f : request.headers.fields()) {
    if (f.id != HeaderId::kAccept) continue;
    for_each_list_member(f.value, [&](std::string_view member) {
      GrpcType::Kind kind = grpc_type(member).kind;
      if (named || (kind != GrpcType::Kind::kWeb && kind != GrpcType::Kind::kWebText)) return;
      named = true;
      text_response_ = kind == GrpcType::Kind::kWebText;
    });
  }
}

void GrpcWeb::translate(RequestHead& request, Arena& arena) {
  set_content_type(request.headers, typed(arena, "application/grpc", suffix_));
  request.headers.remove("x-grpc-web");
  request.headers.remove(HeaderId::kAccept);
  request.wants_trailers = true;
  if (text_request_) request.content_length = -1;
}

std::string_view GrpcWeb::content_type(Arena& arena) const {
  return typed(arena, text_response_ ? "application/grpc-web-text" : "application/grpc-web", suffix_);
}

bool GrpcWeb::decode(std::string_view piece, bool last, std::string_view& out) {
  decoded_.clear();
  if (!reader_.read(piece, last, decoded_)) return false;
  out = decoded_;
  return true;
}

void GrpcWeb::begin(ResponseHead& response, Arena& arena) {
  GrpcType type = grpc_type(response.headers.get(HeaderId::kContentType));
  if (type.kind != GrpcType::Kind::kGrpc) return;
  begun_ = true;
  if (!type.suffix.empty()) suffix_ = type.suffix;
  set_content_type(response.headers, content_type(arena));
  response.content_length = -1;
  response.has_body = true;
}

// In text each piece is a group of its own: nothing of it waits for the next one.
void GrpcWeb::put(std::string_view bytes) {
  if (text_response_) {
    encoded_ += to_base64(bytes);
  } else {
    encoded_.append(bytes);
  }
}

bool GrpcWeb::encode(std::string_view piece, std::string_view& out) {
  if (!frames_.walk(piece)) return false;
  if (!text_response_) {
    out = piece;
    return true;
  }
  encoded_.clear();
  put(piece);
  out = encoded_;
  return true;
}

bool GrpcWeb::finish(std::string_view piece, const HeaderList& trailers, std::string_view& out) {
  if (!frames_.walk(piece) || !frames_.between()) return false;
  encoded_.clear();
  if (!piece.empty()) put(piece);
  put(grpc_web_trailers(trailers));
  out = encoded_;
  return true;
}

std::string grpc_web_trailers(const HeaderList& trailers) {
  std::string out(kFrameHead, '\0');
  for (const HeaderField& f : trailers.fields()) {
    if (f.id == HeaderId::kRemoved) continue;
    out.append(ascii_lower(f.name)).append(": ").append(f.value).append("\r\n");
  }
  size_t size = out.size() - kFrameHead;
  out[0] = static_cast<char>(kTrailersFlag);
  for (size_t i = 1; i < kFrameHead; ++i) out[i] = static_cast<char>(size >> (8 * (kFrameHead - 1 - i)));
  return out;
}

}  // namespace gw
