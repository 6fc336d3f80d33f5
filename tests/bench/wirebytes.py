# SPDX-License-Identifier: BSD-2-Clause
"""What a message takes on the wire, as the kernel counted it on the load's sockets."""

from servers import Culvert, Missing
from stream_servers import Bare, Nchan, NchanPoll, NodeSse, Session, SessionPoll, SessionSse

HEAD = ["", "", "up", "down", "of it POST up", "POST down", "segments up", "down", ""]

ROWS = (
    ("echo", "echo", [], (Culvert, Session, SessionSse, SessionPoll)),
    ("lines down", "lines", ["-slines"], (Session, SessionSse, SessionPoll, Bare, Nchan, NchanPoll, NodeSse)),
)


def run_wire(bench):
    """After a warm-up, in which the handshakes and the heads of streams are."""
    rows = []
    for name, role, options, kinds in ROWS:
        for kind in kinds:
            try:
                server = bench.server(kind)
            except Missing as error:
                rows.append([name, kind.name, "missing", "", "", "", "", "", str(error)])
                continue
            got = bench.load(server, role, [*options, "-c64", "-w4000", "-u16000", "-t4"])
            up, down, segments_up, segments_down, post_up, post_down, post_segments_up, post_segments_down = (
                got.get(f"{post}{what}", 0) / got["units"] for post in ("", "post_")
                for what in ("up", "down", "segments_up", "segments_down"))
            posts = [f"{post_up:.0f}", f"{post_down:.0f}"] if post_down else ["", ""]
            label = "WebSocket" if kind is Culvert else kind.name
            rows.append([name, label, f"{up + post_up:.0f}", f"{down + post_down:.0f}", *posts,
                         f"{segments_up + post_segments_up:.2f}", f"{segments_down + post_segments_down:.2f}", ""])
    return rows
