#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# check.sh -- builds culvert and passes all tests, each once. `make check` has installed what they
# need.
#
#     sanitizers (build/asan)      unit tests, integration tests
#     node                         the library in contrib/js
#     libFuzzer (build/fuzz)       the corpus, replayed once
#     ThreadSanitizer (build/tsan) what crosses threads
#     release (build/release)      a browser, real servers and clients, bounds on memory
#
# The last line is "N passed, M failed"; the exit status is 0 only if M is 0. Needs neither a
# terminal nor standard input.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
exec </dev/null
unset MAKEFLAGS MFLAGS MAKELEVEL
# shellcheck source=tests/count.sh
. tests/count.sh

table=

# part NAME COMMAND…: runs it and notes what it added to the sums.
part() {
    local name=$1 passed_before=$passed failed_before=$failed from=$SECONDS
    shift
    printf '\n==== %s\n' "$name"
    "$@"
    table+=$(printf '  %-12s %5d passed %5d failed %5d s' "$name" $((passed - passed_before)) \
        $((failed - failed_before)) $((SECONDS - from)))$'\n'
}

# A build that fails is a failed test, and what needs it is not run.
build() {
    local variant=$1
    shift
    printf '\n==== building %s\n' "$variant"
    make --no-print-directory -s VARIANT="$variant" -j"$(nproc)" "$@" >/dev/null && return 0
    echo "the $variant build failed"
    failed=$((failed + 1))
    table+=$(printf '  %-12s the build failed' "$variant")$'\n'
    return 1
}

# with BINARY COMMAND…: for tests that start culvert.
with() {
    local CULVERT=$1
    shift
    export CULVERT
    "$@"
}

part lint run_script lint tests/lint.sh
if build asan binary units; then
    part unit run_script unit tests/unit/run.sh build/asan/unit
    part integration with build/asan/culvert run_pytest integration tests/integration
fi
part js run_script js tests/js.sh
part fuzz run_script fuzz tests/fuzz/run.sh 0
mapfile -t units < <(tests/tsan.sh units)
if build tsan binary "${units[@]}"; then
    part tsan run_script tsan tests/tsan.sh
fi
if build release binary; then
    part browser with build/release/culvert run_pytest browser tests/browser
fi

printf '\n%s\n%d passed, %d failed\n' "$table" "$passed" "$failed"
[ "$failed" -eq 0 ]
