#include <openssl/bytestring.h>

#include <ctime>

#include "common/base/status.h"
#include "common/crypto/certificates.h"
#include "common/crypto/hex.h"

namespace gw {
namespace {

constexpr unsigned kContext0 = CBS_ASN1_CONTEXT_SPECIFIC | CBS_ASN1_CONSTRUCTED | 0;
// id-pkix-ocsp-basic, 1.3.6.1.5.5.7.48.1.1
constexpr uint8_t kBasic[] = {0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01};

// YYYYMMDDHHMMSSZ, as RFC 5280 has it.
bool generalized_time(CBS* in, int64_t& out) {
  CBS text;
  if (!CBS_get_asn1(in, &text, CBS_ASN1_GENERALIZEDTIME) || CBS_len(&text) != 15) return false;
  std::string digits(reinterpret_cast<const char*>(CBS_data(&text)), 15);
  if (digits.back() != 'Z' || digits.find_first_not_of("0123456789") != 14) return false;
  auto number = [&](size_t at, size_t size) { return std::atoi(digits.substr(at, size).c_str()); };
  std::tm time{};
  time.tm_year = number(0, 4) - 1900;
  time.tm_mon = number(4, 2) - 1;
  time.tm_mday = number(6, 2);
  time.tm_hour = number(8, 2);
  time.tm_min = number(10, 2);
  time.tm_sec = number(12, 2);
  out = timegm(&time);
  return true;
}

bool single_response(CBS* in, OcspFacts& out) {
  CBS single, id, serial, ignored, next;
  if (!CBS_get_asn1(in, &single, CBS_ASN1_SEQUENCE) || !CBS_get_asn1(&single, &id, CBS_ASN1_SEQUENCE) ||
      !CBS_get_asn1(&id, &ignored, CBS_ASN1_SEQUENCE) || !CBS_get_asn1(&id, &ignored, CBS_ASN1_OCTETSTRING) ||
      !CBS_get_asn1(&id, &ignored, CBS_ASN1_OCTETSTRING) || !CBS_get_asn1(&id, &serial, CBS_ASN1_INTEGER)) {
    return false;
  }
  while (CBS_len(&serial) > 1 && CBS_data(&serial)[0] == 0) CBS_skip(&serial, 1);
  out.serial = to_hex({reinterpret_cast<const char*>(CBS_data(&serial)), CBS_len(&serial)});
  unsigned status = 0;
  if (!CBS_get_any_asn1(&single, &ignored, &status) || !generalized_time(&single, out.this_update)) return false;
  out.good = status == (CBS_ASN1_CONTEXT_SPECIFIC | 0);
  int present = 0;
  if (!CBS_get_optional_asn1(&single, &next, &present, kContext0)) return false;
  return !present || generalized_time(&next, out.next_update);
}

}  // namespace

absl::StatusOr<OcspFacts> parse_ocsp(std::string_view der) {
  absl::Status unreadable = invalid_argument("it is not an OCSP response (DER)");
  CBS in, response, status, outer, bytes, type, basic_octets, basic, data, ignored, responses;
  CBS_init(&in, reinterpret_cast<const uint8_t*>(der.data()), der.size());
  if (!CBS_get_asn1(&in, &response, CBS_ASN1_SEQUENCE) || CBS_len(&in) != 0 ||
      !CBS_get_asn1(&response, &status, CBS_ASN1_ENUMERATED) || CBS_len(&status) != 1) {
    return unreadable;
  }
  if (CBS_data(&status)[0] != 0) return invalid_argument("the OCSP responder did not answer the question (status " + std::to_string(CBS_data(&status)[0]) + ")");
  if (!CBS_get_asn1(&response, &outer, kContext0) || !CBS_get_asn1(&outer, &bytes, CBS_ASN1_SEQUENCE) ||
      !CBS_get_asn1(&bytes, &type, CBS_ASN1_OBJECT) || !CBS_mem_equal(&type, kBasic, sizeof kBasic) ||
      !CBS_get_asn1(&bytes, &basic_octets, CBS_ASN1_OCTETSTRING) || !CBS_get_asn1(&basic_octets, &basic, CBS_ASN1_SEQUENCE) ||
      !CBS_get_asn1(&basic, &data, CBS_ASN1_SEQUENCE)) {
    return unreadable;
  }
  OcspFacts out;
  int64_t produced = 0;
  if (!CBS_get_optional_asn1(&data, &ignored, nullptr, kContext0) || !CBS_get_any_asn1(&data, &ignored, nullptr) ||
      !generalized_time(&data, produced) || !CBS_get_asn1(&data, &responses, CBS_ASN1_SEQUENCE) || !single_response(&responses, out)) {
    return unreadable;
  }
  return out;
}

}  // namespace gw
