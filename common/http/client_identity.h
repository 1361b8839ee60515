// Whom a client's certificate names, for policies and for the header field that tells the upstream.
#pragma once

#include <string>
#include <vector>

namespace gw {

struct ClientIdentity {
  std::string subject;             // RFC 4514
  std::vector<std::string> names;  // `dns:…`, `uri:…`, `email:…`, `ip:…`
  std::string serial;              // hex
  std::string sha256;              // hex, of the certificate
  std::string header;              // name of the field upstream
  std::string text;                // its value
};

}  // namespace gw
