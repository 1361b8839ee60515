#!/usr/bin/env bash
# Builds BoringSSL from Debian's source package into a prefix: the static archives to link.
#
# Debian's binary package does not do. It is built with OPENSSL_SMALL (P-256 signatures at an eighth
# of the speed) and shared, and in a process with gRPC it captures OpenSSL's symbols. So: the same
# source, static, symbols hidden, position independent, with assembly, without OPENSSL_SMALL.
set -euo pipefail
export LC_ALL=C.UTF-8

package=android-platform-external-boringssl
prefix=${BORINGSSL_ROOT:-/opt/northgate/boringssl}
check=no
force=no
jobs=${JOBS:-$(nproc)}

usage() {
  cat <<TEXT
Usage: deploy/boringssl.sh [--prefix DIR] [--check | --force]

Builds BoringSSL from Debian's source package and installs it into DIR
(default: \$BORINGSSL_ROOT, else /opt/northgate/boringssl). Does nothing where DIR already
holds a build of the same recipe; DIR/STAMP names the source version.

  --prefix DIR   where to install
  --check        build nothing: succeed if DIR holds a current build, and say which
  --force        build again, from the newest source that apt offers (security updates)

Environment: JOBS (compile jobs; default: all cores).
TEXT
}

die() {
  printf 'boringssl.sh: %s\n' "$*" >&2
  exit 1
}

while (($#)); do
  case $1 in
    --prefix) [[ -n ${2:-} ]] || die "--prefix needs a folder"; prefix=$2; shift ;;
    --prefix=?*) prefix=${1#*=} ;;
    --check) check=yes ;;
    --force) force=yes ;;
    -h | --help) usage; exit 0 ;;
    *) die "unknown argument: $1 (--help lists them)" ;;
  esac
  shift
done
[[ $prefix == /* ]] || prefix=$PWD/$prefix
[[ $jobs =~ ^[1-9][0-9]*$ ]] || die "JOBS must be a number above 0, not '$jobs'"

case $(uname -m) in
  x86_64) assembly=linux_x86_64 ;;
  aarch64) assembly=linux_aarch64 ;;
  *) die "no assembly for $(uname -m): only x86_64 and aarch64 are supported" ;;
esac

# The recipe. Its checksum is part of the stamp, so that a change here builds anew.
recipe=$(cat <<'CMAKE'
cmake_minimum_required(VERSION 3.20)
project(boringssl C CXX ASM)
set(BORINGSSL_ROOT ${SOURCE}/)  # the list below puts it before each file
include(${SOURCE}/android-sources.cmake)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_STANDARD 17)
add_compile_options(-fvisibility=hidden -w)

add_library(crypto STATIC ${crypto_sources} ${crypto_sources_${ASSEMBLY}})
target_include_directories(crypto PUBLIC ${SOURCE}/src/include PRIVATE ${SOURCE}/src/crypto)
target_compile_definitions(crypto PRIVATE BORINGSSL_IMPLEMENTATION)
add_library(ssl STATIC ${ssl_sources})
target_link_libraries(ssl PUBLIC crypto)
target_compile_definitions(ssl PRIVATE BORINGSSL_IMPLEMENTATION)

install(TARGETS crypto ssl ARCHIVE DESTINATION lib)
install(DIRECTORY ${SOURCE}/src/include/openssl DESTINATION include)
CMAKE
)
recipe_sum=$(printf '%s\n%s\n' "$recipe" "$assembly" | sha256sum | cut -c1-16)
stamp=$prefix/STAMP

stamped() { sed -n "s/^$1: //p" "$stamp" 2>/dev/null || true; }

if [[ $force == no && $(stamped recipe) == "$recipe_sum" && -f $prefix/lib/libssl.a &&
  -f $prefix/lib/libcrypto.a && -f $prefix/include/openssl/ssl.h ]]; then
  echo "BoringSSL $(stamped version) is in $prefix"
  exit 0
fi
if [[ $check == yes ]]; then
  echo "no current build of BoringSSL in $prefix"
  exit 1
fi

for tool in apt-get dpkg-source cmake ninja g++ nm readelf; do
  command -v "$tool" >/dev/null || die "$tool is missing: run deploy/setup.sh, which installs it"
done

work=$(mktemp -d "${TMPDIR:-/tmp}/northgate-boringssl.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
log=$work/log

# Runs a command with its output in the log; shows the log's end if the command fails.
logged() {
  local what=$1
  shift
  "$@" >>"$log" 2>&1 && return
  tail -n 40 "$log" >&2
  die "$what failed (above: the end of its output)"
}

as_owner() {  # as the user who may write to the prefix
  if [[ $writable == yes ]]; then "$@"; else sudo "$@"; fi
}

# Whoever cannot write there must learn it before the build, not after.
parent=$prefix
while [[ ! -e $parent ]]; do parent=$(dirname "$parent"); done
writable=no
[[ -w $parent ]] && writable=yes
if [[ $writable == no ]]; then
  command -v sudo >/dev/null || die "cannot write to $prefix: run as root, or choose --prefix DIR"
fi

# A private apt configuration whose deb-src entries are made from the machine's own deb entries;
# nothing under /etc changes and root is not needed.
mkdir -p "$work"/apt/{lists/partial,parts,cache/archives/partial} "$work/source" "$work/recipe"
touch "$work/apt/sources.list"
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
  [[ -f $file ]] || continue
  sed -nE '/cdrom:/d; s/^deb[[:space:]]/deb-src /p' "$file" >>"$work/apt/sources.list"
done
for file in /etc/apt/sources.list.d/*.sources; do
  [[ -f $file ]] || continue
  sed 's/^Types:.*/Types: deb-src/' "$file" >"$work/apt/parts/$(basename "$file")"
done
apt=(apt-get -q -o Dir::Etc::SourceList="$work/apt/sources.list"
  -o Dir::Etc::SourceParts="$work/apt/parts" -o Dir::State::Lists="$work/apt/lists"
  -o Dir::Cache="$work/apt/cache" -o APT::Sandbox::User="$(id -un)" -o Acquire::Retries=3)

# An archive without sources among the machine's own makes update fail; what counts is whether
# the package is found afterwards.
"${apt[@]}" update >>"$log" 2>&1 || true
cd "$work/source"
logged "fetching the source of $package" "${apt[@]}" --only-source source "$package"
source=$(echo "$work/source/$package"-*/)
source=${source%/}
[[ -f $source/android-sources.cmake ]] || die "the source package has no android-sources.cmake"
version=$(sed -n 's/^Version: //p' "$work/source/$package"_*.dsc | head -n 1)
echo "building BoringSSL $version with $jobs jobs"

printf '%s\n' "$recipe" >"$work/recipe/CMakeLists.txt"
options=(-G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$prefix"
  -DCMAKE_C_COMPILER=gcc -DCMAKE_CXX_COMPILER=g++ -DSOURCE="$source" -DASSEMBLY="$assembly")
if command -v ccache >/dev/null; then
  options+=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  export CCACHE_BASEDIR=$work CCACHE_NOHASHDIR=1  # the folder's name is new each time
fi
logged "configuring BoringSSL" cmake -S "$work/recipe" -B "$work/build" "${options[@]}"
logged "building BoringSSL" cmake --build "$work/build" -j "$jobs"

# What the link relies on, seen and not assumed.
readelf -sW "$work/build/libssl.a" >"$work/symbols" 2>/dev/null
grep -qE ' GLOBAL +HIDDEN .* SSL_new$' "$work/symbols" || die "the build does not hide SSL_new"
nm "$work/build/libcrypto.a" >"$work/symbols" 2>/dev/null
grep -q ' T sha256_block_data_order' "$work/symbols" || die "the build has no assembly"
if [[ $assembly == linux_x86_64 ]]; then
  grep -q ' T ecp_nistz256_mul_mont' "$work/symbols" || die "the build has no fast P-256"
fi

# The stamp goes first and comes back last: a broken install is never taken for a whole one.
as_owner rm -f "$stamp"
as_owner rm -rf "$prefix/include/openssl"
logged "installing BoringSSL" as_owner cmake --install "$work/build"
printf 'package: %s\nversion: %s\nrecipe: %s\n' "$package" "$version" "$recipe_sum" |
  as_owner tee "$stamp" >/dev/null
echo "BoringSSL $version is in $prefix"
