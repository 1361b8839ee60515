#!/usr/bin/env bash
# A control plane and nodes from the built tree, on loopback: up, env, down. --help tells more.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
command -v python3 >/dev/null || { echo "local.sh: python3 is missing; run deploy/setup.sh" >&2; exit 2; }
exec python3 -B "$here/local/local.py" "$@"
