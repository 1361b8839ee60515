#include "common/crypto/tls_failure.h"

namespace gw {

TlsFailure tls_failure_of(std::string_view message) {
  struct Words {
    std::string_view text;
    TlsFailure what;
  };
  static constexpr Words kWords[] = {
      {"certificate verify failed", TlsFailure::kUntrusted},
      {"CERTIFICATE_VERIFY_FAILED", TlsFailure::kUntrusted},
      {"is not in peer certificate", TlsFailure::kWrongName},
      {"Hostname Verification Check failed", TlsFailure::kWrongName},
      {"wrong version number", TlsFailure::kPlainText},
      {"WRONG_VERSION_NUMBER", TlsFailure::kPlainText},
      {"packet length too long", TlsFailure::kPlainText},
      {"tlsv1 alert", TlsFailure::kRefused},
      {"sslv3 alert", TlsFailure::kRefused},
      {"tlsv13 alert", TlsFailure::kRefused},
      {"Socket closed", TlsFailure::kCut},
      {"Connection reset by peer", TlsFailure::kCut},
      {"Broken pipe", TlsFailure::kCut},
  };
  for (const Words& words : kWords) {
    if (message.find(words.text) != std::string_view::npos) return words.what;
  }
  return TlsFailure::kNone;
}

}  // namespace gw
