#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# run.sh DIR [NAME...] -- runs the unit test programs of a build, as many at a time as there are CPUs, and counts
# their tests.
#
# Programs that fail are printed in full. A program that dies, hangs, is missing or passes without having run all
# that it planned counts as one failure more. With names (test_mask) only those programs run.

set -u
dir=${1:?usage: run.sh DIR [NAME...]}
shift
time_limit=${UNIT_TIME_LIMIT:-300}
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
passed=0
failed=0

if [ $# -eq 0 ]; then
    for program in "$dir"/test_*; do
        [ -x "$program" ] && set -- "$@" "${program##*/}"
    done
fi

# shellcheck disable=SC2016
printf '%s\n' "$@" | CMOCKA_MESSAGE_OUTPUT=TAP xargs -P "$(nproc)" -I '{}' sh -c '
    timeout "$1" "$2/$4" >"$3/$4.log" 2>&1
    echo $? >"$3/$4.status"' sh "$time_limit" "$dir" "$logs" '{}'

count() {
    log=$logs/$1.log
    status=$(cat "$logs/$1.status")
    good=$(grep -c '^ok ' "$log")
    skipped=$(grep -c '^not ok .*# SKIP' "$log")
    bad=$(($(grep -c '^not ok ' "$log") - skipped))
    planned=$(sed -n 's/^1\.\.\([0-9]*\)$/\1/p' "$log" | awk '{ n += $1 } END { print n + 0 }')
    ran=$((good + bad + skipped))
    if [ "$bad" -eq 0 ] && { [ "$status" -ne 0 ] || [ "$ran" -ne "$planned" ] || [ "$ran" -eq 0 ]; }; then
        bad=1
    fi
    passed=$((passed + good))
    failed=$((failed + bad))
    [ "$bad" -eq 0 ] && return
    printf '== %s: %d passed, %d failed, exit status %d\n' "$dir/$1" "$good" "$bad" "$status"
    cat "$log"
}

for name in "$@"; do
    count "$name"
done

printf 'unit: %d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
