// The request target, and the path rule `reject`: whatever two readers could understand differently is refused, so that
// what is matched is what is forwarded. Nothing is normalised then; the forwarded bytes are the client's. The other rules
// are path_normal.h's: under each of them head.path and head.target are what is matched and what is forwarded.
//
// All functions are pure; views point into the inputs or the arena. No allocation but from the arena.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/arena.h"
#include "common/http/message.h"
#include "common/http/path_normal.h"

namespace gw {

// Splits `raw_target` (origin, absolute or asterisk form; head.method must be set) and the Host field's value into
// head.authority, host, target, path, query and has_query. The authority of an absolute-form target replaces Host.
// `host` nullopt: the request has no Host field (HTTP/1.0); head.host stays empty and only `*` claims match.
// Host fields that stand twice are the caller's to refuse. False: answer 400; `why` is a literal for the client.
bool parse_target(RequestHead& head, Arena& arena, std::string_view raw_target, std::optional<std::string_view> host,
                  std::string_view& why, PathRule rule = PathRule::kReject);

// Host or authority: `name`, `name:port`, `[v6]`, `[v6]:port`. Fills host: lower case, no port, no brackets, no trailing
// dot (copied into the arena only where the bytes change). Port -1 where there is none. At most 255 bytes.
bool parse_authority(std::string_view text, Arena& arena, std::string_view& host, int& port, std::string_view& why);

// The path rule alone, for paths that people write: null when it holds, else what is wrong (a literal).
const char* path_problem(std::string_view path);

// `path` with its percent escapes decoded: the form in which paths are compared. The path itself when it has none.
// REQUIRES: the path rule holds (so no escape hides a slash).
std::string_view decoded_path(std::string_view path, Arena& arena);
// The form in which a request's path is compared: decoded, or, under the path rule `raw`, as it stands.
inline std::string_view matched_path(const RequestHead& head, Arena& arena) {
  return head.raw_path ? head.path : decoded_path(head.path, arena);
}
std::string decoded_path(std::string_view path);

// Bytes of `path` that a decoded `prefix` ("/a/b", no slash at its end; "" for "/") takes, on a segment boundary; npos
// when it does not lie below the prefix. `raw`: the path's escapes stand for themselves.
size_t prefix_length(std::string_view path, std::string_view prefix, bool raw = false);

// First value of the query parameter `name`, percent-decoded ('+' is a space; a bad escape stays as it is). `count`, if
// not null, gets how often the parameter stands there. False: it does not.
bool query_find(std::string_view query, std::string_view name, Arena& arena, std::string_view& value,
                size_t* count = nullptr);
// The query without every parameter `name`; the query itself where it has none.
std::string_view query_without(std::string_view query, std::string_view name, Arena& arena);

// First value of the cookie `name` in the Cookie fields of `headers`; empty where there is none.
std::string_view cookie_find(const HeaderList& headers, std::string_view name);

}  // namespace gw
