#!/bin/sh
# BoringSSL's symbols must stay inside: in a process with gRPC they would take the place of OpenSSL's.
set -eu
program=${1:?usage: $0 PROGRAM}
[ -x "$program" ] || { echo "$program is not built" >&2; exit 1; }
found=$(nm -D --defined-only "$program" | awk '{print $3}' | grep -E '^(SSL_|SSL3_|TLS_|CRYPTO_|EVP_|SHA[0-9]|RSA_|EC_|BN_|X509|BIO_|ERR_|OPENSSL_|AES_|RAND_|ASN1_|bssl)' || true)
[ -z "$found" ] || { echo "$program exports:"; echo "$found"; exit 1; }
