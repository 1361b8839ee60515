#!/usr/bin/env bash
# Runs a command of this repository in a bare Debian 12, to prove that it needs nothing else:
# a minbase root made by debootstrap, with /proc and /dev mounted and a fresh clone inside.
#
# The command runs in its own mount and process namespaces: when it ends, or this script is killed,
# the kernel takes the mounts and whatever still runs with it.
set -euo pipefail
export LC_ALL=C.UTF-8
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
suite=bookworm
source_dir=/src/northgate  # where the clone is inside the root

usage() {
  cat <<TEXT
Usage: deploy/check-bare.sh [--keep] [--root DIR] [--mirror URL] [--] COMMAND [ARG...]

Makes a bare Debian 12 root (minbase), clones this repository's HEAD into it and runs COMMAND in
the clone, as root. Ends with the command's exit code. Needs root and debootstrap.

  --keep        leave the root in place and say where it is
  --root DIR    make the root at DIR, or use the one that --keep left there (clones anew)
  --mirror URL  Debian mirror (default: the one in this machine's apt sources)

Examples:
  deploy/check-bare.sh deploy/setup.sh
  deploy/check-bare.sh tests/run.sh --fast
  deploy/check-bare.sh sh -c 'deploy/setup.sh && deploy/setup.sh'

Environment: JOBS is passed on.
TEXT
}

die() {
  printf 'check-bare.sh: %s\n' "$*" >&2
  exit 1
}

keep=no root='' mirror=''
while (($#)); do
  case $1 in
    --keep) keep=yes ;;
    --root) [[ -n ${2:-} ]] || die "--root needs a folder"; root=$2 keep=yes; shift ;;
    --mirror) [[ -n ${2:-} ]] || die "--mirror needs a URL"; mirror=$2; shift ;;
    -h | --help) usage; exit 0 ;;
    --) shift; break ;;
    -*) die "unknown argument: $1 (--help lists them)" ;;
    *) break ;;
  esac
  shift
done
(($#)) || die "no command given (--help shows examples)"
((EUID == 0)) || die "must run as root: it makes a root file system and mounts"
for tool in debootstrap unshare chroot git; do
  command -v "$tool" >/dev/null ||
    die "$tool is missing: apt-get install debootstrap util-linux git"
done
git -C "$repo" rev-parse -q --verify HEAD >/dev/null || die "$repo has no commit to clone"

if [[ -n $root ]]; then
  mkdir -p "$root"
  root=$(cd "$root" && pwd)
  [[ $root != / ]] || die "--root must not be /"
else
  root=$(mktemp -d "${TMPDIR:-/tmp}/northgate-bare.XXXXXX")
fi
log=$root.log

child=''
cleanup() {
  trap '' INT TERM HUP
  if [[ -n $child ]] && kill -KILL "$child" 2>/dev/null; then wait "$child" 2>/dev/null || true; fi
  rm -f "$log"
  if [[ $keep == yes ]]; then
    echo "==> kept: $root"
  else
    rm -rf --one-file-system "$root"
  fi
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

own_mirror() {  # the first place from which this machine's apt takes the suite
  apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
    awk -v suite="$suite" '$1 == suite && !found { print $2; found = 1 }'
}

# The machine's way to its mirror: sources of Debian with their keys, proxies and other settings of
# the download. Without them the root would ask Debian's own servers.
copy_apt_configuration() {
  local file
  mkdir -p "$root"/etc/apt/{sources.list.d,apt.conf.d,trusted.gpg.d,keyrings}
  rm -f "$root/etc/apt/sources.list"
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [[ -f $file ]] || continue
    { grep -E "^deb .*[[:space:]]$suite" "$file" || true; } >"$root$file"
  done
  for file in /etc/apt/sources.list.d/*.sources; do
    if [[ -f $file ]] && grep -qE "^Suites:.*$suite" "$file"; then cp "$file" "$root$file"; fi
  done
  cp -a /etc/apt/trusted.gpg.d/. "$root/etc/apt/trusted.gpg.d/"
  if [[ -d /etc/apt/keyrings ]]; then cp -a /etc/apt/keyrings/. "$root/etc/apt/keyrings/"; fi
  apt-config dump |
    grep -E '^Acquire::(http|https|Check-|Retries|ForceIPv|Languages)' \
      >"$root/etc/apt/apt.conf.d/90machine" || true
}

make_root() {
  local start=$SECONDS options=(--variant=minbase)
  if [[ -x $root/usr/bin/apt-get && -f $root/etc/debian_version ]]; then
    echo "==> using the root at $root"
    return
  fi
  [[ -n $mirror ]] || mirror=$(own_mirror)
  [[ -n $mirror ]] || die "apt's sources name no mirror of $suite: give --mirror URL"
  # apt speaks https only with certificates, which minbase lacks.
  if [[ $mirror == https:* ]]; then options+=(--include=ca-certificates); fi
  echo "==> making a bare Debian $suite root ..."
  if ! debootstrap "${options[@]}" "$suite" "$root" "$mirror" >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    die "debootstrap failed (above: the end of its output)"
  fi
  copy_apt_configuration
  echo "    done in $((SECONDS - start)) s"
}

copy_source() {
  rm -rf --one-file-system "${root:?}$source_dir"
  mkdir -p "$(dirname "$root$source_dir")"
  git clone -q --no-hardlinks "$repo" "$root$source_dir"
  echo "==> cloned $(git -C "$root$source_dir" log -1 --format='%h %s')"
  if [[ -n $(git -C "$repo" status --porcelain) ]]; then
    echo "    (the work tree has changes that are not committed: they are not in the clone)"
  fi
}

# Runs as process 1 of the namespaces made for it; $1 is the root, $2 the folder inside, the rest
# the command. A minbase root has /dev/pts and /dev/shm as folders at most.
# shellcheck disable=SC2016
inside='set -eu
root=$1 dir=$2; shift 2
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
exec chroot "$root" sh -c "cd \"\$0\" && \"\$@\"" "$dir" "$@"'

run_command() {
  local environment=(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
    TERM="${TERM:-dumb}" LANG=C.UTF-8)
  local name
  for name in JOBS http_proxy https_proxy no_proxy; do
    if [[ -n ${!name:-} ]]; then environment+=("$name=${!name}"); fi
  done
  # In the background, for a shell takes a signal only between commands; and never outliving it.
  env -i "${environment[@]}" setpriv --pdeathsig KILL \
    unshare --mount --propagation private --pid --fork --kill-child \
    sh -c "$inside" sh "$root" "$source_dir" "$@" <&0 &
  child=$!
  wait "$child"
}

make_root
copy_source
echo "==> running in the bare root: $*"
start=$SECONDS
code=0
run_command "$@" || code=$?
child=''
echo "==> exit code $code after $((SECONDS - start)) s"
exit "$code"
