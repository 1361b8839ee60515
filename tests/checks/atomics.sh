#!/bin/sh
# Shared data is const but for a listed set of atomics; a new one belongs into this list, with a reason.
set -eu
cd "${1:?usage: $0 SOURCE_DIR}"
allowed='dataplane/policy/rate_table.h
controlplane/admin/admin_service.cc'
# rate_table.h: rates are the node's, not a worker's. admin_service.cc: a flag for threads of gRPC's that wait.
found=$(grep -rlE 'std::atomic|__atomic_|__sync_' --include='*.cc' --include='*.h' common dataplane controlplane cli | sort)
for file in $found; do
  echo "$allowed" | grep -qx "$file" || { echo "$file: std::atomic in a file that tests/checks/atomics.sh does not list"; exit 1; }
done
