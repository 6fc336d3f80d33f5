#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# lint.sh -- what can be checked without running culvert: format, layers, cppcheck, shellcheck.
#
# Ends with "lint: N passed, M failed"; each check counts once. Long files and functions are
# reported, and do not fail.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

passed=0
failed=0

# check NAME COMMAND…: passes if the command succeeds; its output is shown if not.
check() {
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then
        passed=$((passed + 1))
        echo "ok    $name"
    else
        failed=$((failed + 1))
        echo "FAIL  $name"
        head -n 80 <<<"$output" | sed 's/^/      /'
    fi
}

# Files of the project that match the patterns, also those that are not added yet; without git, as
# in a source archive, all that are there.
files() {
    local pattern file
    local names=(-false)

    for pattern in "$@"; do
        names+=(-o -path "./$pattern")
    done
    { git ls-files -co --exclude-standard -- "$@" 2>/dev/null ||
        find . \( -name node_modules -o -path ./build \) -prune -o \( "${names[@]}" \) -print; } |
        while IFS= read -r file; do
            [ ! -f "$file" ] || printf '%s\n' "${file#./}"
        done | sort -u
}

mapfile -t c_files < <(files '*.c' '*.h')
mapfile -t scripts < <(files '*.sh' .ci/run)
mapfile -t pages < <(files 'contrib/man/*.[1-9]')
mapfile -t own_c < <(printf '%s\n' "${c_files[@]}" | grep -E '^(src|include)/')

# ---- format ----

format() {
    local tool=clang-format-14
    command -v $tool >/dev/null || tool=clang-format
    $tool --dry-run -Werror "${c_files[@]}"
}

licences() {
    local file bad=0
    for file in "${c_files[@]}" "${scripts[@]}"; do
        head -n 3 "$file" | grep -q 'SPDX-License-Identifier: BSD-2-Clause' ||
            { echo "$file: no SPDX line at its head" && bad=1; }
    done
    return $bad
}

# ---- layers ----

# A folder includes headers of itself and of folders before it; the interface that client, target
# and topic implement is the exception.
layers() {
    awk '
    BEGIN {
        n = split("base conf event net proto client target topic guard bridge admin", names, " ")
        for (i = 1; i <= n; i++) order[names[i]] = i
    }
    FNR == 1 { split(FILENAME, part, "/"); here = part[2] }
    /^[ \t]*#[ \t]*include[ \t]*"/ {
        split($0, quoted, "\"")
        split(quoted[2], header, "/")
        there = header[1]
        if (!(there in order)) {
            bad(quoted[2] " lies in no folder of include/")
        } else if (here in order && order[there] > order[here] &&
                   !(quoted[2] == "bridge/endpoint.h" && here ~ /^(client|target|topic)$/)) {
            bad(here "/ may not include " quoted[2])
        }
    }
    function bad(why) { printf "%s:%d: %s\n", FILENAME, FNR, why; failed = 1 }
    END { exit failed }' "${own_c[@]}"
}

# Each library is known to one place.
libraries() {
    awk '
    BEGIN {
        home["ini.h"] = "^(src|include)/conf/"
        home["ev.h"] = "^(src|include)/(event|net)/"
        home["http_parser.h"] = "^(src|include)/proto/"
        home["ares.h"] = "^(src|include)/net/"
        home["MQTTAsync.h"] = "^(src|include)/topic/bus_mqtt"
        home["openssl"] = "^(src|include)/(net/|proto/ws_handshake)"
    }
    /^[ \t]*#[ \t]*include[ \t]*</ {
        header = $0
        sub(/^[^<]*</, "", header)
        sub(/>.*/, "", header)
        if (header == "openssl/types.h") next
        key = header ~ /^openssl\// ? "openssl" : header
        # main prints the versions of the libraries
        if (key in home && FILENAME !~ home[key] && FILENAME != "src/main.c") {
            printf "%s:%d: <%s> is not for this folder\n", FILENAME, FNR, header
            failed = 1
        }
    }
    END { exit failed }' "${own_c[@]}"
}

# The guard of a header is its path.
guards() {
    local file guard bad=0
    for file in "${own_c[@]}"; do
        [[ $file == include/* ]] || continue
        guard=${file#include/}
        guard=CULVERT_$(tr 'a-z/.' 'A-Z__' <<<"$guard")
        grep -qx "#ifndef $guard" "$file" || { echo "$file: no guard $guard" && bad=1; }
    done
    return $bad
}

# ---- tools ----

# readdir() is for one thread for each directory that is open, which is all that is asked of it (glibc manual).
run_cppcheck() {
    cppcheck --quiet --error-exitcode=1 --std=c11 --library=posix -j "$(nproc)" \
        --enable=warning,performance,portability --suppress=missingIncludeSystem --suppress=readdirCalled \
        -D_GNU_SOURCE -Iinclude src
}

manuals() {
    local page warnings bad=0
    for page in "${pages[@]}"; do
        warnings=$(MANWIDTH=100 LC_ALL=C.UTF-8 man --warnings -E UTF-8 -l "$page" 2>&1 >/dev/null)
        [ -z "$warnings" ] || { echo "$page: $warnings" && bad=1; }
    done
    return $bad
}

# The lock file names packages and their checksums, not where they come from.
lock_file() {
    ! grep -nE '"resolved"|https?://' tests/browser/package-lock.json
}

python_syntax() {
    local file bad=0
    while IFS= read -r file; do
        /usr/bin/python3 - "$file" <<'PYTHON' || bad=1
import ast, sys
ast.parse(open(sys.argv[1], encoding="utf-8").read(), sys.argv[1])
PYTHON
    done < <(files '*.py')
    return $bad
}

javascript_syntax() {
    local file folder bad=0
    folder=$(mktemp -d)
    while IFS= read -r file; do
        # All are modules; older versions of node believe that of the ending .mjs alone.
        cp "$file" "$folder/module.mjs"
        node --check "$folder/module.mjs" 2>&1 | sed "s#.*/module.mjs#$file#"
        [ "${PIPESTATUS[0]}" -eq 0 ] || bad=1
    done < <(files '*.js' '*.mjs')
    rm -r "$folder"
    return $bad
}

# ---- hints ----

long_ones() {
    local file
    for file in "${c_files[@]}"; do
        awk 'END { if (NR > 500) printf "hint  %s: %d lines\n", FILENAME, NR }' "$file"
        awk '
        /^{/ { from = FNR; name = before }
        /^}/ && from { if (FNR - from - 1 > 60) printf "hint  %s:%d: %d lines in %s\n",
                                                      FILENAME, from, FNR - from - 1, name
                       from = 0 }
        /^[a-z_][a-z0-9_]*\(/ { before = $0; sub(/\(.*/, "()", before) }' "$file"
    done
}

check "clang-format, ${#c_files[@]} files" format
check "licence lines" licences
check "layers" layers
check "libraries in their places" libraries
check "include guards" guards
check "cppcheck" run_cppcheck
check "shellcheck, ${#scripts[@]} scripts" shellcheck -x "${scripts[@]}"
check "manual pages" manuals
check "python syntax" python_syntax
check "javascript syntax" javascript_syntax
check "lock file" lock_file
long_ones

echo "lint: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
