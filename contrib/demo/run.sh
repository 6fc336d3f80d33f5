#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# run.sh BINARY -- culvert with conf/demo.ini, and a calculator on TCP for it to bridge to.
#
# All listens on loopback alone. CULVERT_DEMO_PORT, CULVERT_DEMO_CALC_PORT and
# CULVERT_DEMO_ADMIN_PORT choose the ports, otherwise the first free ones from 8080 and 9180 are taken.
set -euo pipefail

binary=${1:?usage: run.sh BINARY}
top=$(cd "$(dirname "$0")/../.." && pwd)
calc_pid=
culvert_pid=

listening() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# free_port FROM: the first port from there on that nobody listens on.
free_port() {
    local port
    for ((port = $1; port < $1 + 200; port++)); do
        listening "$port" || {
            echo "$port"
            return
        }
    done
    echo "run.sh: no free port from $1 on" >&2
    return 1
}

# wait_for PORT PID: until the process listens there, or has ended.
wait_for() {
    local i
    for ((i = 0; i < 100; i++)); do
        kill -0 "$2" 2>/dev/null || return 1
        ! listening "$1" || return 0
        sleep 0.05
    done
    return 1
}

cleanup() {
    # make passes on a signal that the whole group gets anyhow: it may come twice.
    trap '' INT TERM HUP
    trap - EXIT
    if [ -n "$culvert_pid" ]; then
        kill -TERM "$culvert_pid" 2>/dev/null || true
        wait "$culvert_pid" 2>/dev/null || true
    fi
    # The group: socat has a child for each connection.
    [ -z "$calc_pid" ] || kill -TERM -- "-$calc_pid" 2>/dev/null || true
}
trap cleanup EXIT
trap 'cleanup; exit 0' INT TERM HUP

export CULVERT_DEMO_PORT=${CULVERT_DEMO_PORT:-$(free_port 8080)}
export CULVERT_DEMO_ADMIN_PORT=${CULVERT_DEMO_ADMIN_PORT:-$(free_port 9180)}
export CULVERT_DEMO_CALC_PORT=${CULVERT_DEMO_CALC_PORT:-$(free_port $((CULVERT_DEMO_PORT + 1)))}

# Job control gives each its own process group, so that Ctrl-C comes here and cleanup ends them.
set -m
# A sum may be hard: a calculator gets 20 s of CPU, 256 MB and an hour.
socat "TCP-LISTEN:$CULVERT_DEMO_CALC_PORT,bind=127.0.0.1,fork,reuseaddr,max-children=32" \
    SYSTEM:'ulimit -t 20; ulimit -v 262144; BC_LINE_LENGTH=0 exec timeout 3600 bc -q -l 2>&1' &
calc_pid=$!
"$binary" -c "$top/conf/demo.ini" &
culvert_pid=$!
set +m

wait_for "$CULVERT_DEMO_CALC_PORT" "$calc_pid" || {
    echo "run.sh: the calculator did not start on port $CULVERT_DEMO_CALC_PORT" >&2
    exit 1
}
wait_for "$CULVERT_DEMO_PORT" "$culvert_pid" || {
    echo "run.sh: culvert did not start on port $CULVERT_DEMO_PORT" >&2
    exit 1
}

cat <<TEXT

  culvert is running. Open

      http://127.0.0.1:$CULVERT_DEMO_PORT/

  or connect a WebSocket client to

      ws://127.0.0.1:$CULVERT_DEMO_PORT/echo    what comes in goes back
      ws://127.0.0.1:$CULVERT_DEMO_PORT/calc    GNU bc on TCP port $CULVERT_DEMO_CALC_PORT: send 2^64 and a newline

  or look at what the pages share

      curl -NH 'Accept: text/event-stream' http://127.0.0.1:$CULVERT_DEMO_PORT/live

  What it is doing: http://127.0.0.1:$CULVERT_DEMO_ADMIN_PORT/

  Ctrl-C ends it.

TEXT

wait "$culvert_pid"
