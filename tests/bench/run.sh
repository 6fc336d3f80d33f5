#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# run.sh [--quick] [--alone] [--only NAME] [--peer NAME] -- builds what the bench needs, and runs it.
#
# CULVERT is the binary that is measured (default build/release/culvert, which is built).
set -euo pipefail
cd "$(dirname "$0")/../.."

jobs=$(nproc)
if [ -z "${CULVERT:-}" ]; then
    make --no-print-directory -s VARIANT=release -j"$jobs" binary
fi
make --no-print-directory -s -f tests/bench/bench.mk -j"$jobs" bench-tools
exec "${PYTHON:-/usr/bin/python3}" tests/bench/bench.py "$@"
