#!/usr/bin/env bash
# The one test command: sets the machine up, builds, runs every ring, closes with
# `N passed, N failed[, N skipped]`. tests/run_cases.py runs one group of tests and counts cases.
set -euo pipefail
export LC_ALL=C.UTF-8
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

all_groups=(unit checks integration system conformance asan tsan)
fast_groups=(unit checks integration system)
jobs=${JOBS:-$(nproc)}

usage() {
  cat <<TEXT
Usage: tests/run.sh [--fast | --only LIST] [--jobs N] [--no-setup]

Installs what is missing (deploy/setup.sh), builds, runs the tests, and ends with a line
\`N passed, N failed\` (\`, N skipped\` may follow). Exit code 0 if tests ran and none failed.

  unit         build/release, no sockets, clock or random
  checks       build/release, what ctest knows beside the rings: exported symbols and the like
  integration  build/release, node and control plane in process
  system       build/release, the built programs as processes: tests/system/*_test.py
  conformance  build/release, tests/conformance/run.sh
  asan         unit and integration again under AddressSanitizer and UndefinedBehaviorSanitizer
  tsan         unit and integration again under ThreadSanitizer

  --only LIST  only these groups, separated by commas
  --fast       the same as --only unit,checks,integration,system
  --jobs N     compile and test jobs (default: \$JOBS, else all cores)
  --no-setup   take the machine as it is

Logs are in build/test-logs. BORINGSSL_ROOT names another BoringSSL than /opt/northgate/boringssl.
TEXT
}

die() {
  printf 'run.sh: %s\n' "$*" >&2
  exit 2
}

groups=("${all_groups[@]}")
setup=yes
while (($#)); do
  case $1 in
    --only) IFS=, read -ra groups <<<"${2:-}"; shift ;;
    --only=*) IFS=, read -ra groups <<<"${1#*=}" ;;
    --fast) groups=("${fast_groups[@]}") ;;
    --jobs) jobs=${2:-}; shift ;;
    --jobs=*) jobs=${1#*=} ;;
    --no-setup) setup=no ;;
    -h | --help) usage; exit 0 ;;
    *) die "unknown argument: $1 (--help lists them)" ;;
  esac
  (($#)) && shift
done
[[ $jobs =~ ^[1-9][0-9]*$ ]] || die "--jobs must be a number above 0, not '$jobs'"
((${#groups[@]})) || die "--only needs a list of: ${all_groups[*]}"
for group in "${groups[@]}"; do
  [[ " ${all_groups[*]} " == *" $group "* ]] || die "no group '$group'; there are: ${all_groups[*]}"
done

wanted() {  # whether one of the arguments is among the groups to run
  local group
  for group in "$@"; do
    [[ " ${groups[*]} " != *" $group "* ]] || return 0
  done
  return 1
}

logs=$root/build/test-logs
rm -rf "$logs"
mkdir -p "$logs"
counts=$logs/counts  # one line "passed failed skipped" per group that ran
: >"$counts"
summary=()

finish() {
  local code=$? passed=0 failed=0 skipped=0 p f s line
  trap '' INT TERM HUP
  while read -r p f s; do
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
  done <"$counts"
  if ((code != 0)); then
    echo "run.sh: ended early (exit code $code)"
    failed=$((failed + 1))
  fi
  printf '\n%-15s seconds\n' stage
  for line in "${summary[@]}"; do echo "$line"; done
  if ((passed + failed == 0)); then
    echo "run.sh: no test ran" >&2
    code=1
  fi
  if ((failed && code == 0)); then code=1; fi
  line="$passed passed, $failed failed"
  if ((skipped)); then line+=", $skipped skipped"; fi
  echo "$line"
  exit "$code"
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# stage NAME COMMAND...: runs a step, notes its time and whether it failed.
stage() {
  local name=$1 start=$SECONDS code=0 verdict=''
  shift
  printf '\n=== %s\n' "$name"
  "$@" || code=$?
  if ((code)); then verdict=FAILED; fi
  summary+=("$(printf '%-15s %7d  %s' "$name" $((SECONDS - start)) "$verdict")")
  return "$code"
}

count_failure() {
  printf 'FAILED %s\n' "$*"
  echo "0 1 0" >>"$counts"
}

build() {  # build PRESET: configures and builds it; the output goes to a log
  local preset=$1 log=$logs/build-$1.log
  local options=()
  if [[ -n ${BORINGSSL_ROOT:-} ]]; then options+=("-DBORINGSSL_ROOT=$BORINGSSL_ROOT"); fi
  if cmake --preset "$preset" "${options[@]}" >"$log" 2>&1 &&
    cmake --build --preset "$preset" -j "$jobs" >>"$log" 2>&1; then
    return 0
  fi
  { grep -E -A 15 'error:|Error|FAILED:|undefined reference' "$log" || tail -n 40 "$log"; } |
    head -n 80 || true
  count_failure "build of preset $preset (all of it in $log)"
  return 1
}

# cases NAME ARGUMENTS...: one group, run and counted by run_cases.py
cases() {
  local name=$1
  shift
  # It counts its own failures; should it end without a count, that is a failure too.
  local before after code=0
  before=$(wc -l <"$counts")
  tests/run_cases.py --name "$name" --log "$logs/${name//\//-}.log" --counts "$counts" \
    --jobs "$jobs" "$@" || code=$?
  after=$(wc -l <"$counts")
  if ((after == before)); then count_failure "$name: tests/run_cases.py, exit code $code"; fi
  return "$code"
}

run_unit() { cases unit --case-timeout 60 catch build/release/tests/gw_unit_tests; }
run_checks() { cases checks --case-timeout 300 ctest build/release; }
run_integration() {
  cases integration --case-timeout 120 catch build/release/tests/gw_integration_tests
}

run_system() {
  local tests test result=0
  local -x GW_BUILD_DIR=$root/build/release
  mapfile -t tests < <(compgen -G 'tests/system/*_test.py' | sort)
  if ((${#tests[@]} == 0)); then echo "there is no tests/system/*_test.py"; fi
  for test in "${tests[@]}"; do
    cases "system/$(basename "$test" .py)" --timeout 900 unittest "$test" || result=1
  done
  return $result
}

run_conformance() {
  local -x GW_BUILD_DIR=$root/build/release
  cases conformance --timeout 1200 lines tests/conformance/run.sh
}

run_sanitizer() {
  local preset=$1 ring result=0
  for ring in unit integration; do
    cases "$preset/$ring" --preset "$preset" --fixed-addresses --case-timeout 600 \
      catch "build/$preset/tests/gw_${ring}_tests" || result=1
  done
  return $result
}

if [[ $setup == yes ]]; then
  setup_options=()
  if wanted asan tsan; then setup_options+=(--sanitizers); fi
  stage "set-up" env JOBS="$jobs" deploy/setup.sh "${setup_options[@]}" || exit 1
fi

if wanted unit checks integration system conformance; then
  if stage "build release" build release; then
    for group in unit checks integration system conformance; do
      if wanted "$group"; then stage "$group" "run_$group" || true; fi
    done
  fi
fi
for preset in asan tsan; do
  wanted "$preset" || continue
  if stage "build $preset" build "$preset"; then
    stage "$preset" run_sanitizer "$preset" || true
  fi
done
