// Checks of texts with a host in them. Internal to common/config. Thread-safe.
#pragma once

#include "common/config/formats.h"

namespace gw {

std::optional<FormatFault> check_host_pattern(
    std::string_view text);  // example.com, *.example.com, *
std::optional<FormatFault> check_host_name(
    std::string_view text);  // example.com, example.com:8443, [::1]:80
std::optional<FormatFault> check_target_url(std::string_view text);  // http://host:port
std::optional<FormatFault> check_dns_name(std::string_view text);    // _http._tcp.orders.internal
std::optional<FormatFault> check_server_address(std::string_view text);  // 10.0.0.2, [::1]:53
std::optional<FormatFault> check_origin(std::string_view text);      // https://example.com, *

}  // namespace gw
