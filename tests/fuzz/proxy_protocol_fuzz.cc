// Any bytes as the begin of a connection: a PROXY protocol header is read the same whole and in pieces, within its bounds, and
// what it says survives being written and read again.
#include <cstdint>
#include <cstdlib>

#include "common/http/proxy_protocol.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using gw::ProxyHeader;
  using Result = gw::ProxyHeaderResult;
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  ProxyHeader whole, again;
  Result result = gw::parse_proxy_header(bytes, whole);
  if (result == Result::kMore && size >= ProxyHeader::kMaxV2) std::abort();
  for (size_t n = 0; n < size && n < ProxyHeader::kMaxV2; ++n) {
    Result part = gw::parse_proxy_header(bytes.substr(0, n), again);
    if (part == Result::kDone && (result != Result::kDone || again.size != whole.size || n < whole.size)) std::abort();
    if (part == Result::kBad && result != Result::kBad) std::abort();
  }
  if (result != Result::kDone) return 0;
  if (whole.size > size) std::abort();
  if (!whole.has_addresses) return 0;
  char out[ProxyHeader::kMaxV1];
  for (auto* write : {gw::write_proxy_v1, gw::write_proxy_v2}) {
    if (gw::parse_proxy_header({out, write(whole, out)}, again) != Result::kDone || again.source != whole.source ||
        again.destination != whole.destination || again.source_port != whole.source_port) {
      std::abort();
    }
  }
  return 0;
}
