# SPDX-License-Identifier: BSD-2-Clause
"""What the bench finds and does not depend on time: that it runs, and what an idle connection holds."""

import os
import re
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def bench(*arguments):
    done = subprocess.run(
        ["tests/bench/run.sh", "--quick", "--alone", *arguments],
        cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
        env={**os.environ, "CULVERT": os.path.abspath(os.environ["CULVERT"])},
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_an_idle_connection_takes_less_than_a_kibibyte_and_16_with_tls():
    rows = dict(re.findall(r"^  (idle|idle-tls) +culvert +\d+ +([\d,]+) ", bench("--only", "idle"), re.M))
    assert 200 < int(rows["idle"].replace(",", "")) <= 1024
    assert 2000 < int(rows["idle-tls"].replace(",", "")) <= 16384


def test_the_table_has_a_row_for_the_floor():
    row = re.search(r"^  echo +us/message +([\d.]+) +relay +([\d.]+) +([\d.]+) \[", bench("--only", "echo"), re.M)
    assert row and all(float(value) > 0 for value in row.groups())


def test_a_topic_fans_out_and_nothing_is_lost_on_the_way():
    out = bench("--only", "fanout-ws-100", "--peer", "bare send()")
    row = re.search(r"^  fanout-ws-100 +culvert +([\d.]+) .* (\d+)$", out, re.M)
    assert row and float(row.group(1)) > 0 and row.group(2) == "0", out
    assert re.search(r"^  fanout-ws-100 +bare send\(\) +[\d.]+ +[\d.]+ \[", out, re.M), out


def test_a_burst_comes_to_polls_as_a_whole():
    out = bench("--only", "fanout-poll-100-burst", "--peer", "bare send()")
    row = re.search(r"^  fanout-poll-100-burst +culvert +([\d.]+) .* (\d+)$", out, re.M)
    assert row and row.group(2) == "0", out


def test_mqtt_through_culvert_and_the_broker_comes_whole_in_both_directions():
    for name in ("mqtt-publish", "mqtt-subscribe"):
        out = bench("--only", name, "--peer", "culvert tcp")
        rows = re.findall(rf"^  {name} +culvert( tcp)? +([\d.]+) .* (\d+)$", out, re.M)
        assert len(rows) == 2 and all(float(cost) > 0 and lost == "0" for _, cost, lost in rows), out
