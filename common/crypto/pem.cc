#include "common/crypto/pem.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/pem.h>

#include "common/base/status.h"
#include "common/crypto/sealed.h"

namespace gw {

PemBlock::~PemBlock() { wipe(der.data(), der.size()); }

absl::StatusOr<std::vector<PemBlock>> read_pem(std::string_view text) {
  bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  std::vector<PemBlock> out;
  for (;;) {
    char *label = nullptr, *header = nullptr;
    uint8_t* data = nullptr;
    long size = 0;
    ERR_clear_error();
    if (PEM_read_bio(bio.get(), &label, &header, &data, &size) != 1) {
      uint32_t error = ERR_peek_last_error();
      ERR_clear_error();
      if (ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE) return out;
      return invalid_argument("PEM block " + std::to_string(out.size() + 1) + " is damaged");
    }
    PemBlock& block = out.emplace_back();
    block.label = label;
    block.encrypted = std::string_view(header).find("ENCRYPTED") != std::string_view::npos;
    block.der.assign(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
    OPENSSL_free(label);
    OPENSSL_free(header);
    OPENSSL_free(data);
  }
}

}  // namespace gw
