#include "common/http/method.h"

#include <llhttp.h>

#include <algorithm>
#include <iterator>

namespace gw {
namespace {
constexpr std::string_view kNames[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "_OTHER"};
// What the parser of HTTP/1 knows.
#define GW_TEXT(number, name, text) #text,
constexpr std::string_view kKnownMethods[] = {HTTP_METHOD_MAP(GW_TEXT)};
#undef GW_TEXT
}  // namespace

Method parse_method(std::string_view text) {
  if (text == "GET") return Method::kGet;
  for (unsigned i = 1; i < 9; ++i) {
    if (text == kNames[i]) return static_cast<Method>(i);
  }
  return Method::kOther;
}

bool is_known_method(std::string_view text) {
  return std::find(std::begin(kKnownMethods), std::end(kKnownMethods), text) != std::end(kKnownMethods);
}

std::string_view method_name(Method method) { return kNames[static_cast<unsigned>(method)]; }

bool is_idempotent(Method method) {
  switch (method) {
    case Method::kGet:
    case Method::kHead:
    case Method::kPut:
    case Method::kDelete:
    case Method::kOptions:
    case Method::kTrace:
      return true;
    default:
      return false;
  }
}

}  // namespace gw
