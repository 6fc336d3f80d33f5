#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# install-deps.sh build|demo|test|bench -- installs what a set needs and is missing.
#
# Each set holds the ones before it. Silent and quick when all is there. Needs Debian's apt-get, as
# root or with sudo, only when something is missing; no service is left running or enabled that was
# not before.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$here")

# One package per word; "a|b" is satisfied by either, and a is what gets installed.
build="gcc make pkg-config|pkgconf libev-dev libssl-dev libinih-dev libc-ares-dev libhttp-parser-dev libjansson-dev libpaho-mqtt-dev"
demo="socat bc"
test="libcmocka-dev python3-pytest python3-pytest-xdist python3-websockets python3-paho-mqtt openssl curl ca-certificates chromium
    redis-server mosquitto ngircd dnsmasq-base faketime tigervnc-standalone-server xauth xterm x11-utils clang-14 libclang-rt-14-dev
    clang-format-14|clang-format cppcheck shellcheck procps iproute2 strace man-db prometheus
    novnc nginx libnginx-mod-stream haproxy squid python3-yaml systemd openssh-client"
bench="websockify valgrind libnginx-mod-nchan pushpin"

# Services that packages above would start and enable.
services="redis-server mosquitto haproxy nginx ngircd prometheus squid pushpin zurl"

fail() {
    echo "install-deps: $*" >&2
    exit 1
}

case "${1:-}" in
build) wanted="$build" ;;
demo) wanted="$build $demo" ;;
test) wanted="$build $demo $test" ;;
bench) wanted="$build $demo $test $bench" ;;
*)
    echo "usage: install-deps.sh build|demo|test|bench" >&2
    exit 2
    ;;
esac

# ---- what is missing ----

# Whether the libraries are there although no package manager of Debian's knows: a link test.
links() {
    local flags
    flags=$(pkg-config --cflags --libs libcares libssl libcrypto jansson 2>/dev/null) || return 1
    # shellcheck disable=SC2086
    printf '#include <ev.h>\n#include <ini.h>\n#include <ares.h>\n#include <http_parser.h>\n#include <jansson.h>\n#include <MQTTAsync.h>\n%s\n' \
        'int main(void) { return 0; }' |
        "${CC:-cc}" -x c -o /dev/null - $flags -lev -linih -lhttp_parser -lpaho-mqtt3as >/dev/null 2>&1
}

node_is_there() {
    command -v npm >/dev/null 2>&1 &&
        node -e 'process.exit(parseInt(process.versions.node) >= 18 ? 0 : 1)' 2>/dev/null
}

# Sets the array missing.
find_missing() {
    local installed word name found
    declare -A have=()

    installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' 2>/dev/null || true)
    while read -r status name; do
        [ "$status" != installed ] || have[$name]=1
    done <<<"$installed"
    missing=()
    for word in $wanted; do
        found=
        for name in ${word//|/ }; do
            [ -z "${have[$name]:-}" ] || found=1
        done
        # A compiler or a tool may come from elsewhere.
        case "$word" in
        gcc | make | socat | bc | curl | openssl) ! command -v "$word" >/dev/null || found=1 ;;
        esac
        [ -n "$found" ] || missing+=("${word%%|*}")
    done
    case "$1" in
    test | bench) node_is_there || missing+=(nodejs npm) ;;
    esac
}

# ---- installing ----

run_as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif [ -t 0 ]; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

log=
policy=/usr/sbin/policy-rc.d
kept=
fresh=()

# Package scripts ask policy-rc.d before they start a service: ours says no for those in $services
# and leaves the rest to the one that was there.
hold_services() {
    local name body

    for name in $services; do
        dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null | grep -qx installed ||
            fresh+=("$name")
    done
    [ ${#fresh[@]} -gt 0 ] || return 0
    if [ -e "$policy" ]; then
        kept="$policy.culvert-kept"
        run_as_root mv "$policy" "$kept"
    fi
    body="#!/bin/sh
case ' ${fresh[*]} ' in *\" \${1%.service} \"*) exit 101 ;; esac"
    [ -z "$kept" ] || body+="
exec $kept \"\$@\""
    printf '%s\nexit 0\n' "$body" | run_as_root tee "$policy" >/dev/null
    run_as_root chmod 755 "$policy"
}

release_services() {
    local name

    [ ${#fresh[@]} -gt 0 ] || return 0
    run_as_root rm -f "$policy"
    [ -z "$kept" ] || run_as_root mv "$kept" "$policy"
    for name in "${fresh[@]}"; do
        [ ! -e "/etc/init.d/$name" ] || run_as_root update-rc.d "$name" disable >/dev/null 2>&1 || true
    done
    fresh=()
}

cleanup() {
    release_services
    [ -z "$log" ] || rm -f "$log"
}

apt() {
    run_as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=600 "$@" \
        >>"$log" 2>&1 </dev/null
}

install_missing() {
    if ! command -v apt-get >/dev/null 2>&1 || ! command -v dpkg-query >/dev/null 2>&1; then
        fail "this is no Debian; install what corresponds to: ${missing[*]}"
    fi
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null 2>&1 ||
            fail "neither root nor sudo; let somebody run: apt-get install ${missing[*]}"
        [ -t 0 ] || sudo -n true 2>/dev/null ||
            fail "sudo asks for a password; run: sudo apt-get install ${missing[*]}"
    fi
    echo "install-deps: installing ${missing[*]}" >&2
    log=$(mktemp)
    trap cleanup EXIT
    trap 'exit 130' INT TERM
    apt update || echo "install-deps: apt-get update failed, trying with what is known" >&2
    hold_services
    apt install --no-install-recommends "${missing[@]}" || {
        tail -n 30 "$log" >&2
        fail "apt-get could not install: ${missing[*]}"
    }
    release_services
}

# Packages for the tests in a browser: as the lock file says, again whenever that changes.
install_node_modules() {
    local dir="$top/tests/browser"
    local stamp="$dir/node_modules/.culvert-lock"

    [ -e "$dir/package-lock.json" ] || return 0
    ! cmp -s "$dir/package-lock.json" "$stamp" || return 0
    echo "install-deps: installing the packages of tests/browser/package-lock.json" >&2
    npm ci --prefix "$dir" --ignore-scripts --no-audit --no-fund --loglevel=error >&2 </dev/null ||
        fail "npm could not install the packages of tests/browser"
    cp "$dir/package-lock.json" "$stamp"
}

if ! command -v dpkg-query >/dev/null 2>&1 && [ "$1" = build ] && links; then
    exit 0
fi
find_missing "$1"
if [ ${#missing[@]} -gt 0 ]; then
    # Two at a time would keep each other's policy: the second waits, and finds nothing missing.
    mkdir -p "$top/build"
    exec 9>"$top/build/.install-deps.lock"
    flock 9
    find_missing "$1"
    [ ${#missing[@]} -eq 0 ] || install_missing
fi
case "$1" in
test | bench) install_node_modules ;;
esac
