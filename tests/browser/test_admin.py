# SPDX-License-Identifier: BSD-2-Clause
"""The page of the admin listener in Chromium."""

import json

from harness.admin import Admin
from harness.peers import Echo


def cells(chromium, table):
    """The rows of a table of the page, as lists of texts."""
    return chromium.evaluate(code=f"[...document.querySelectorAll('#{table} tbody tr')]"
                                  ".map((row) => [...row.cells].map((cell) => cell.textContent))")


def test_the_page_shows_live_figures(culvert, peer, chromium, tmp_path):
    c = culvert(f"[server]\nadmin = 127.0.0.1:0\nworkers = 2\n[route /x]\ntarget = {peer(Echo).url}\n"
                "[route /<b>odd]\ntarget = echo:\n")
    host, port = Admin(c).address
    assert chromium.goto(url=f"http://{host}:{port}/") == 200
    chromium.wait_for("document.getElementById('state').textContent === 'ready'", "the page to show the state")
    assert [row[0] for row in cells(chromium, "routes")] == ["/x", "/<b>odd"]
    assert [row[:2] for row in cells(chromium, "workers")] == [["1", "yes"], ["2", "yes"]]
    clients = [c.ws("/x") for _ in range(3)]
    for ws in clients:
        ws.send_binary(bytes(4096))
        ws.recv_bytes(4096)
    chromium.wait_for("document.querySelector('#routes tbody tr').cells[8].textContent === '3'", "messages to show")
    row = cells(chromium, "routes")[0]
    assert row[1:6] == ["3", "3", "0", "12.0\u202fKiB", "12.0\u202fKiB"]
    chromium.screenshot(path=str(tmp_path / "admin.png"))
    c.close_clients()
    chromium.wait_for("document.querySelector('#routes tbody tr').cells[1].textContent === '0'", "clients to be gone")
    # Another site's script in it would be refused, as the policy names no source but the page's own.
    refused = chromium.evaluate(code="(() => { const s = document.createElement('script'); s.textContent = 'window.bad = 1';"
                                     " document.body.append(s); return window.bad === undefined; })()")
    assert json.dumps(refused) == "true"
