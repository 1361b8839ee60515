// Any bytes as the bodies of gRPC-Web, in any pieces: for the fuzz target `grpc_web` and the unit test that walks its corpus.
//
// An input is a byte, which says how it is split, and a body. What comes out must not depend on the split.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/crypto/base64.h"
#include "dataplane/exchange/grpc_web.h"

namespace gw::fuzz {

// Pieces whose sizes follow from `seed`, empty ones among them.
inline std::vector<std::string_view> split_by(std::string_view text, uint32_t seed) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    seed = seed * 1664525 + 1013904223;
    size_t size = std::min<size_t>((seed >> 24) % 9, text.size());
    out.push_back(text.substr(0, size));
    text.remove_prefix(size);
  }
  out.push_back({});
  return out;
}

inline GrpcWeb web_of(std::string_view accept, GrpcType::Kind kind) {
  RequestHead head;
  head.headers.add("accept", accept);
  return GrpcWeb({kind, "+proto"}, head);
}

// The request's body as gRPC gets it; nothing: it is refused.
inline std::optional<std::string> decode_web(const std::vector<std::string_view>& pieces) {
  GrpcWeb web = web_of("*/*", GrpcType::Kind::kWebText);
  std::string all;
  for (size_t i = 0; i < pieces.size(); ++i) {
    std::string_view out;
    if (!web.decode(pieces[i], i + 1 == pieces.size(), out)) return std::nullopt;
    all += out;
  }
  return all;
}

// The answer's body as the client gets it, decoded where it is text; nothing: it is malformed.
inline std::optional<std::string> encode_web(const std::vector<std::string_view>& pieces, bool text) {
  GrpcWeb web = web_of(text ? "application/grpc-web-text" : "application/grpc-web", GrpcType::Kind::kWeb);
  HeaderList trailers;
  trailers.add("grpc-status", "0");
  std::string all;
  for (size_t i = 0; i < pieces.size(); ++i) {
    std::string_view out;
    bool last = i + 1 == pieces.size();
    if (last ? !web.finish(pieces[i], trailers, out) : !web.encode(pieces[i], out)) return std::nullopt;
    all += out;
  }
  if (!text) return all;
  std::string decoded;
  Base64Reader reader;
  return reader.read(all, true, decoded) ? std::optional(decoded) : std::optional<std::string>("what is no base64");
}

// What does not hold, or null.
inline const char* check_grpc_web(std::string_view input) {
  if (input.empty()) return nullptr;
  auto pieces = split_by(input.substr(1), static_cast<unsigned char>(input[0]));
  std::string_view body = input.substr(1);
  auto decoded = decode_web({body});
  if (decoded != decode_web(pieces)) return "a request's body that depends on how it is split";
  if (decoded && decode_web({to_base64(*decoded)}) != decoded) return "a request's body that is not read as it was written";
  auto binary = encode_web({body}, false);
  if (binary != encode_web(pieces, false)) return "an answer's body that depends on how it is split";
  if (binary != encode_web(pieces, true)) return "text that says something else than the binary";
  if (binary && binary->substr(0, body.size()) != body) return "messages that were changed";
  return nullptr;
}

}  // namespace gw::fuzz
