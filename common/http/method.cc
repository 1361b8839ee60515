#include "common/http/method.h"

#include <algorithm>
#include <iterator>

namespace gw {
namespace {
constexpr std::string_view kNames[] = {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "_OTHER"};
// What llhttp knows beyond those.
constexpr std::string_view kOthers[] = {"COPY",  "LOCK",   "MKCOL",      "MOVE",     "PROPFIND", "PROPPATCH", "SEARCH",    "UNLOCK",      "BIND",
                                        "REBIND", "UNBIND", "ACL",        "REPORT",   "MKACTIVITY", "CHECKOUT", "MERGE",     "M-SEARCH",    "NOTIFY",
                                        "SUBSCRIBE", "UNSUBSCRIBE", "PURGE", "MKCALENDAR", "LINK",  "UNLINK",    "SOURCE"};
}  // namespace

Method parse_method(std::string_view text) {
  if (text == "GET") return Method::kGet;
  for (unsigned i = 1; i < 9; ++i) {
    if (text == kNames[i]) return static_cast<Method>(i);
  }
  return Method::kOther;
}

bool is_known_method(std::string_view text) {
  return parse_method(text) != Method::kOther || std::find(std::begin(kOthers), std::end(kOthers), text) != std::end(kOthers);
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
