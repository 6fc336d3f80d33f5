#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# js.sh -- the tests of contrib/js, by node's own runner. Ends with "js: N passed, M failed".
set -uo pipefail
cd "$(dirname "$0")/../contrib/js" || exit 1

output=$(mktemp)
node --test test/*.test.js >"$output" 2>&1
status=$?

# number WORD: of the summary, which versions of node write with different signs.
number() {
    grep -oE "^[^a-z0-9]+ $1 [0-9]+$" "$output" | tail -n 1 | grep -oE '[0-9]+$' || echo 0
}

passed=$(number pass)
failed=$(number fail)
if [ "$status" -ne 0 ]; then
    cat "$output"
    [ "$failed" -gt 0 ] || failed=1
fi
rm -f "$output"
echo "js: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
