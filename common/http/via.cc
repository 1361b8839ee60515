#include "common/http/via.h"

namespace gw {
namespace {

constexpr std::string_view kViaPrefix = "northgate-";

// `received-by` of one member: what follows the protocol and white space, up to a comment.
std::string_view received_by(std::string_view member) {
  size_t space = member.find_first_of(" \t");
  if (space == std::string_view::npos) return {};
  size_t from = member.find_first_not_of(" \t", space);
  if (from == std::string_view::npos) return {};
  member.remove_prefix(from);
  return member.substr(0, member.find_first_of(" \t("));
}

}  // namespace

std::string via_pseudonym(uint64_t gateway_uid) {
  std::string out(kViaPrefix);
  for (int shift = 60; shift >= 0; shift -= 4) out += "0123456789abcdef"[(gateway_uid >> shift) & 15];
  return out;
}

ViaReading read_via(const HeaderList& headers, std::string_view pseudonym) {
  ViaReading out;
  for (const HeaderField& f : headers.fields()) {
    if (f.id != HeaderId::kVia) continue;
    for_each_list_member(f.value, [&](std::string_view member) {
      std::string_view by = received_by(member);
      if (by.size() < kViaPrefix.size() || !equals_ignore_case(by.substr(0, kViaPrefix.size()), kViaPrefix)) return;
      if (equals_ignore_case(by, pseudonym)) {
        out.own = true;
      } else {
        ++out.others;
      }
    });
  }
  return out;
}

}  // namespace gw
