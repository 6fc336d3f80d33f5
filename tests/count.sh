# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
#
# count.sh -- for the other scripts: runs a part of the tests and counts it.

passed=0
failed=0

# run_bounded COMMAND…: no input, and an end to it. INT lets pytest clean up.
run_bounded() {
    timeout --foreground --signal=INT --kill-after=60 "${CHECK_TIMEOUT:-1800}" "$@" </dev/null
}

# count_word WORD TEXT: the number in front of WORD, or 0.
count_word() {
    local number
    number=$(grep -oE "[0-9]+ $1" <<<"$2" | tail -n 1 | grep -oE '^[0-9]+')
    echo "${number:-0}"
}

# count PASSED FAILED STATUS NAME: adds them up. No test at all, or a bad status without a failed
# test, is one failure.
count() {
    local good=$1 bad=$2 status=$3 name=$4

    if [ "$bad" -eq 0 ] && [ "$status" -ne 0 ]; then
        echo "$name: ended with status $status"
        bad=1
    elif [ "$((good + bad))" -eq 0 ]; then
        echo "$name: no test has run"
        bad=1
    fi
    passed=$((passed + good))
    failed=$((failed + bad))
}

# run_pytest NAME ARGUMENT…
run_pytest() {
    local name=$1 output summary status
    shift
    output=$(mktemp)
    run_bounded "${PYTHON:-/usr/bin/python3}" -m pytest -q --color=no -p no:cacheprovider "$@" 2>&1 |
        tee "$output"
    status=${PIPESTATUS[0]}
    summary=$(grep -E '^(=+ )?[0-9]+ (passed|failed|error|skipped|deselected).* in [0-9.]+s' "$output" | tail -n 1)
    rm -f "$output"
    count "$(count_word passed "$summary")" \
        $(($(count_word failed "$summary") + $(count_word 'errors?' "$summary"))) "$status" "$name"
}

# run_script NAME COMMAND…: for what ends with "NAME: N passed, M failed".
run_script() {
    local name=$1 output summary status
    shift
    output=$(mktemp)
    run_bounded "$@" 2>&1 | tee "$output"
    status=${PIPESTATUS[0]}
    summary=$(grep -E "^$name: [0-9]+ passed, [0-9]+ failed" "$output" | tail -n 1)
    rm -f "$output"
    count "$(count_word passed "$summary")" "$(count_word failed "$summary")" "$status" "$name"
}
