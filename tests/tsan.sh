#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# tsan.sh [units] -- the tests that cross threads, in the ThreadSanitizer build: of the unit tests those of the
# mailbox, the log, the limits and buses, of the integration tests those marked tsan. Ends with "tsan: N passed,
# M failed".
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

units=(test_loop test_log test_limits test_topic_threads test_bus_mqtt test_bus_mqtt_faults)

# With an argument: which of them are to be built.
if [ "${1:-}" = units ]; then
    printf 'build/tsan/unit/%s\n' "${units[@]}"
    exit
fi

# shellcheck source=tests/count.sh
. tests/count.sh

# Libraries are not instrumented; what happens inside of them is not ours to judge.
export TSAN_OPTIONS="ignore_noninstrumented_modules=1 halt_on_error=0 exitcode=66"
export CULVERT=build/tsan/culvert

run_script unit tests/unit/run.sh build/tsan/unit "${units[@]}"
run_pytest tsan -m tsan tests/integration
echo "tsan: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
