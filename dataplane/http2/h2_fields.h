// A head on its way out, in nghttp2's form: for the .cc files of this folder.
#pragma once

#include <nghttp2/nghttp2.h>

#include <charconv>
#include <cstdint>
#include <string_view>
#include <vector>

#include "common/base/arena.h"

namespace gw::http2 {

// Names and values are views; names are in lower case. One that is made is used again for the next head (head_fields()).
class HeadFields {
 public:
  void clear() { fields_.clear(); }
  void add(std::string_view name, std::string_view value) { add(name, value, NGHTTP2_NV_FLAG_NONE); }
  // Not to be kept in the compression's table: it will not come again, or nobody may guess it (RFC 7541 §7.1.3).
  void add_unindexed(std::string_view name, std::string_view value) { add(name, value, NGHTTP2_NV_FLAG_NO_INDEX); }
  // The digits lie in `arena`.
  void add(std::string_view name, int64_t value, Arena& arena) {
    constexpr size_t kDigits = 20;
    char* text = arena.allocate(kDigits);
    add(name, {text, static_cast<size_t>(std::to_chars(text, text + kDigits, value).ptr - text)});
  }

 private:
  friend class Connection;
  void add(std::string_view name, std::string_view value, uint8_t flags) {
    constexpr uint8_t kViews = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE;
    auto bytes = [](std::string_view text) { return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data())); };
    fields_.push_back({bytes(name), bytes(value), name.size(), value.size(), static_cast<uint8_t>(flags | kViews)});
  }

  std::vector<nghttp2_nv> fields_;
};

// The thread's own, empty.
HeadFields& head_fields();
// `name`, or a copy of it in `arena` without capital letters.
std::string_view lower_case_name(std::string_view name, Arena& arena);

}  // namespace gw::http2
