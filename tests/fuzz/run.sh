#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# run.sh SECONDS [TARGET...] -- builds the fuzz targets and replays their corpus and regressions; then, unless SECONDS is 0,
# fuzzes each for so long, two at a time.
#
# New finds, and what makes a target fail, go to build/fuzz/found/TARGET. A failure's input belongs, once understood, into
# tests/fuzz/regressions/TARGET. TARGET.dict, if there is one, is the dictionary.

set -u
cd "$(dirname "$0")/../.." || exit 1
seconds=${1:?usage: run.sh SECONDS [TARGET...]}
shift
bin=build/fuzz/fuzz
found=build/fuzz/found

max_len() {
    case $1 in
    fuzz_http1) echo 12000 ;; # longer than the longest target
    fuzz_map_file) echo 12000 ;; # and than the longest line
    *) echo 4096 ;;
    esac
}

# Leaves a file TARGET.failed if the target fails.
run_target() {
    target=$1
    log=$found/$target.log
    limits="-rss_limit_mb=1024 -timeout=20 -artifact_prefix=$found/$target/"
    mkdir -p "$found/$target"
    set --
    for file in "tests/fuzz/corpus/$target"/* "tests/fuzz/regressions/$target"/*; do
        [ -f "$file" ] && set -- "$@" "$file"
    done
    # shellcheck disable=SC2086 # the limits are words
    if ! "$bin/$target" $limits "${@:--runs=1}" >"$log" 2>&1; then
        touch "$found/$target.failed"
        return
    fi
    [ "$seconds" -eq 0 ] && return
    set -- "$found/$target"
    for dir in "tests/fuzz/corpus/$target" "tests/fuzz/regressions/$target"; do
        [ -d "$dir" ] && set -- "$@" "$dir"
    done
    [ -f "tests/fuzz/$target.dict" ] && set -- "-dict=tests/fuzz/$target.dict" "$@"
    # shellcheck disable=SC2086
    "$bin/$target" $limits -max_len="$(max_len "$target")" -max_total_time="$seconds" \
        -print_final_stats=1 "$@" >"$log" 2>&1 || touch "$found/$target.failed"
}

if ! log=$(make --no-print-directory fuzz-build 2>&1); then
    printf '%s\nfuzz: 0 passed, 1 failed\n' "$log"
    exit 1
fi
if [ $# -eq 0 ]; then
    for source in tests/fuzz/fuzz_*.c; do
        set -- "$@" "$(basename "$source" .c)"
    done
fi
mkdir -p "$found"
for target; do
    rm -f "$found/$target.failed"
done

# Two at a time: pairs, as a shell waits for all or for one that it names.
first=
for target; do
    run_target "$target" &
    if [ -z "$first" ]; then
        first=$!
        continue
    fi
    wait "$first" $!
    first=
done
wait

passed=0
failed=0
for target; do
    if [ ! -e "$found/$target.failed" ]; then
        passed=$((passed + 1))
        continue
    fi
    failed=$((failed + 1))
    printf '== %s\n' "$target"
    tail -n 100 "$found/$target.log"
done
printf 'fuzz: %d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
