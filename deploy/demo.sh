#!/usr/bin/env bash
# Northgate in a few minutes: sets this machine up, builds, starts a control plane and two nodes, and tells a story with
# them. No account, nothing to edit. Stays until Ctrl-C.
#
#   deploy/demo.sh [--once] [--fresh] [--state DIR] [--no-setup] [--no-build]
#
#   --once      ends by itself          --fresh      throws the state of an earlier run away
#   --state     where state is kept (build/demo)
#   --no-setup  takes the machine as it is (no packages)      --no-build  takes the programs as they are
set -euo pipefail
export LC_ALL=C.UTF-8
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

setup=yes build=yes arguments=()
while (($#)); do
  case $1 in
    --no-setup) setup=no ;;
    --no-build) setup=no build=no ;;
    --state) arguments+=("$1" "${2:?--state needs a folder}"); shift ;;
    --once | --fresh | --state=*) arguments+=("$1") ;;
    -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) echo "demo.sh: unknown argument: $1 (--help lists them)" >&2; exit 2 ;;
  esac
  shift
done

if [[ $setup == yes ]]; then
  echo "== Setting up: packages and BoringSSL"
  deploy/setup.sh
fi
if [[ $build == yes ]]; then
  echo "== Building (preset release)"
  flags=()
  if [[ -n ${BORINGSSL_ROOT:-} ]]; then flags+=("-DBORINGSSL_ROOT=$BORINGSSL_ROOT"); fi
  cmake --preset release "${flags[@]}" >build-release.log 2>&1 || { cat build-release.log >&2; exit 1; }
  rm -f build-release.log
  cmake --build build/release --target gwctl gw-controlplane gw-dataplane -- -j "${JOBS:-$(nproc)}"
fi
exec python3 -B deploy/demo/demo.py "${arguments[@]}"
