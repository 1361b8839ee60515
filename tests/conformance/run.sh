#!/usr/bin/env bash
# Bytes that a gateway must refuse, or pass on in one meaning only. See README.md. Programs from $GW_BUILD_DIR.
exec python3 -B "$(dirname "${BASH_SOURCE[0]}")/conform.py" "$@"
