#!/usr/bin/env bash
# Installs what building, testing and running Northgate needs on Debian 12: packages and BoringSSL.
# A second run finds everything in place and takes about a second.
set -euo pipefail
export LC_ALL=C.UTF-8
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

build_packages=(
  # The build.
  g++ cmake ninja-build ccache pkg-config git
  # apt over https, curl lines of the demo, test and generator scripts, `apt source` for BoringSSL.
  ca-certificates curl python3 dpkg-dev
  # RPC between the programs.
  libgrpc++-dev libprotobuf-dev libabsl-dev protobuf-compiler protobuf-compiler-grpc
  # Event loop, HTTP/1 parser (its C sources; Debian's package brings Node.js along), DNS, regexes.
  libuv1-dev node-llhttp libc-ares-dev libnghttp2-dev libre2-dev
  # Files, flags, JSON, store, log.
  libyaml-cpp-dev libcli11-dev nlohmann-json3-dev libsqlite3-dev libspdlog-dev libfmt-dev
  # Certificates of tests and of the demonstration. An upstream of tests that speaks HTTP/2.
  openssl nginx-light
  # Tests: the framework; ps and ss, by which system tests look at processes and sockets; HTTP/2 clients: nghttp and h2load, and
  # one in Python, which brings HPACK along; gRPC's clients and servers in Python.
  catch2 procps iproute2 nghttp2-client python3-h2 python3-grpcio
)
sanitizer_packages=(
  # The compiler of the presets asan, tsan, fuzz and clang; llvm-14 brings llvm-symbolizer, without
  # which reports have addresses and no names.
  clang-14 lld-14 llvm-14 libclang-rt-14-dev
)
bench_packages=(
  # Peers to compare with, load generators, slow clients, the byte relay's compiler, a profiler, certificates.
  libnginx-mod-http-lua haproxy wrk slowhttptest valgrind gcc
)
services=(nginx haproxy)  # a name of a service begins the name of its package

usage() {
  cat <<TEXT
Usage: deploy/setup.sh [--sanitizers] [--bench] [--all] [--boringssl-prefix DIR] [--no-boringssl]

Installs the packages that building and testing Northgate needs (with apt; as root, or through
sudo), and BoringSSL, built from Debian's source package. Starts no daemon. Safe to run again.

  --sanitizers            also clang 14, for the presets asan, tsan, fuzz and clang
  --bench                 also the benchmarks' peers and tools: nginx's Lua, haproxy, wrk, ...
  --all                   both
  --boringssl-prefix DIR  where BoringSSL goes (default: \$BORINGSSL_ROOT, else
                          /opt/northgate/boringssl; elsewhere, build with -DBORINGSSL_ROOT=DIR)
  --no-boringssl          leave BoringSSL out

Environment: JOBS (compile jobs; default: all cores).
TEXT
}

die() {
  printf 'setup.sh: %s\n' "$*" >&2
  exit 1
}

packages=("${build_packages[@]}")
want_boringssl=yes
prefix=${BORINGSSL_ROOT:-/opt/northgate/boringssl}
while (($#)); do
  case $1 in
    --sanitizers) packages+=("${sanitizer_packages[@]}") ;;
    --bench) packages+=("${bench_packages[@]}") ;;
    --all) packages+=("${sanitizer_packages[@]}" "${bench_packages[@]}") ;;
    --boringssl-prefix)
      [[ -n ${2:-} ]] || die "--boringssl-prefix needs a folder"
      prefix=$2
      shift
      ;;
    --boringssl-prefix=?*) prefix=${1#*=} ;;
    --no-boringssl) want_boringssl=no ;;
    -h | --help) usage; exit 0 ;;
    *) die "unknown argument: $1 (--help lists them)" ;;
  esac
  shift
done

command -v apt-get >/dev/null && command -v dpkg-query >/dev/null ||
  die "apt-get and dpkg are missing: this script knows Debian 12 only"
release=$(. /etc/os-release && echo "${ID:-unknown} ${VERSION_ID:-}")
[[ $release == "debian 12" ]] ||
  echo "setup.sh: warning: Northgate is built and tested on Debian 12; this is $release" >&2

now_ms() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }
began_ms=$(now_ms)
log=$(mktemp "${TMPDIR:-/tmp}/northgate-setup.XXXXXX")

seconds_since() {
  local ms=$(($(now_ms) - $1))
  printf '%d.%d s' $((ms / 1000)) $((ms % 1000 / 100))
}

# step TEXT COMMAND...: says what is done and how long it took; the output is shown only on failure.
step() {
  local text=$1 start_ms
  start_ms=$(now_ms)
  shift
  printf '==> %s ...\n' "$text"
  if ! "$@" >"$log" 2>&1 </dev/null; then
    tail -n 40 "$log" >&2
    die "failed after $(seconds_since "$start_ms"): $text (above: the end of its output)"
  fi
  printf '    done in %s\n' "$(seconds_since "$start_ms")"
}

as_root() {
  if ((EUID == 0)); then "$@"; else sudo "$@"; fi
}

# While packages are installed, policy-rc.d answers "forbidden" to every start of a service. What
# stood there before is put aside and back; the mark finds what a killed run left.
policy=/usr/sbin/policy-rc.d
policy_aside=$policy.before-northgate
policy_is_ours=no
policy_mark="# northgate: no service starts while deploy/setup.sh installs"

restore_policy() {
  if grep -qsF "$policy_mark" "$policy"; then as_root rm -f "$policy"; fi
  if [[ -e $policy_aside || -L $policy_aside ]]; then as_root mv "$policy_aside" "$policy"; fi
  policy_is_ours=no
}

forbid_services() {
  policy_is_ours=yes
  if [[ -e $policy || -L $policy ]]; then as_root mv "$policy" "$policy_aside"; fi
  printf '#!/bin/sh\n%s\nexit 101\n' "$policy_mark" | as_root tee "$policy" >/dev/null
  as_root chmod 755 "$policy"
}

# A service that this run brought must not come up at the next boot either.
new_services=()
disable_new_services() {
  local service
  for service in "${new_services[@]}"; do
    [[ ! -e /etc/init.d/$service ]] || as_root update-rc.d "$service" disable
  done
  new_services=()
}

cleanup() {
  trap '' INT TERM HUP
  rm -f "$log"
  disable_new_services || echo "setup.sh: could not disable ${new_services[*]}" >&2
  [[ $policy_is_ours == no ]] || restore_policy ||
    echo "setup.sh: could not put $policy back: see $policy_aside" >&2
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

installed() {  # the names among the arguments whose package is installed
  dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null |
    sed -n 's/^installed //p' || true
}

missing_packages() {
  comm -13 <(installed "${packages[@]}" | sort -u) <(printf '%s\n' "${packages[@]}" | sort -u)
}

apt() {
  as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -q -y \
    -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 \
    -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@"
}

install_packages() {
  local missing service
  mapfile -t missing < <(missing_packages)
  if ((${#missing[@]} == 0)); then
    echo "==> packages: all ${#packages[@]} are installed"
    return
  fi
  if ((EUID != 0)) && ! command -v sudo >/dev/null; then
    die "not root and no sudo; as root, run: apt-get install --no-install-recommends ${missing[*]}"
  fi
  for service in "${services[@]}"; do
    if [[ " ${missing[*]} " == *" $service"* && ! -e /etc/init.d/$service ]]; then
      new_services+=("$service")
    fi
  done
  forbid_services
  step "reading package lists" apt update
  step "installing ${#missing[@]} packages (${missing[*]})" \
    apt install --no-install-recommends "${missing[@]}"
  if ((${#new_services[@]})); then
    step "keeping ${new_services[*]} from starting at boot" disable_new_services
  fi
  restore_policy
  mapfile -t missing < <(missing_packages)
  ((${#missing[@]} == 0)) || die "still not installed: ${missing[*]}"
}

# One set-up at a time on a machine: the lock is on a folder, held by a descriptor, leaves nothing.
exec {lock}</var/lib/dpkg
if ! flock -n "$lock"; then
  echo "==> waiting for another run of setup.sh ..."
  flock -w 3600 "$lock" || die "another run of setup.sh has held the lock for an hour"
fi

restore_policy  # a killed run may have left its own
install_packages
if [[ $want_boringssl == yes ]]; then
  if version=$("$here/boringssl.sh" --prefix "$prefix" --check); then
    echo "==> $version"
  else
    step "building BoringSSL into $prefix (one to two minutes)" \
      "$here/boringssl.sh" --prefix "$prefix"
  fi
fi
echo "==> set-up complete in $(seconds_since "$began_ms")"
