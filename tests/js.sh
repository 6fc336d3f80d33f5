#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# js.sh -- the tests of contrib/js, by node's own runner, four files at a time: most of their time is
# waiting. Ends with "js: N passed, M failed".
set -uo pipefail
cd "$(dirname "$0")/../contrib/js" || exit 1

outputs=$(mktemp -d)
trap 'rm -rf "$outputs"' EXIT

# shellcheck disable=SC2016
printf '%s\n' test/*.test.js | xargs -P 4 -I FILE sh -c \
    'node --test "$1" >"$2/$(basename "$1").out" 2>&1 || touch "$2/$(basename "$1").bad"' sh FILE "$outputs"

# number WORD FILE: of the summary, which versions of node write with different signs.
number() {
    grep -oE "^[^a-z0-9]+ $1 [0-9]+$" "$2" | tail -n 1 | grep -oE '[0-9]+$' || echo 0
}

passed=0
failed=0
for output in "$outputs"/*.out; do
    passed=$((passed + $(number pass "$output")))
    bad=$(number fail "$output")
    if [ -e "${output%.out}.bad" ]; then
        cat "$output"
        [ "$bad" -gt 0 ] || bad=1
    fi
    failed=$((failed + bad))
done
echo "js: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
