# SPDX-License-Identifier: BSD-2-Clause
"""Sessions of pages/session.html, and the routes that it needs."""

import json
import os

from chromium import HERE
from harness.culvert import ROOT

PAGES = f"""
[route /js/]
target = files:{os.path.join(ROOT, 'contrib/js')}
[route /]
target = files:{os.path.join(HERE, 'pages')}
"""
# A session whose page is gone is not waited for when culvert stops.
SERVER = "[server]\ndrain_timeout = 100ms\n"
ECHO = f"{SERVER}[route /echo]\ntarget = echo:\n{PAGES}"

# What takes a part of this on a quiet machine may take all of it on a busy one.
SETTLED = 20000  # ms


class Page:
    """The page, and its sockets by name."""

    def __init__(self, chromium, base):
        self.chromium = chromium
        assert chromium.goto(url=f"{base}session.html") == 200
        chromium.wait_for("window.ready", "the page's module")

    def open(self, name="one", path="echo", **options):
        self.chromium.evaluate(code=f"openSession({json.dumps(name)}, {json.dumps(path)}, {json.dumps(options)})")

    def seen(self, name="one"):
        return self.chromium.evaluate(code=f"seen[{json.dumps(name)}]")

    def since(self, at, name="one"):
        """ms since a time that was seen."""
        return self.chromium.evaluate(code=f"performance.now() - seen[{json.dumps(name)}].began - {at}")

    def say(self, word, name="one"):
        """ms until it was back."""
        return self.chromium.evaluate(code=f"say({json.dumps(name)}, {json.dumps(word)})")

    def pour(self, length, seed, name="one"):
        """Begins to send so many bytes, and to compare what comes back."""
        self.chromium.evaluate(code=f"pour({json.dumps(name)}, {length}, {seed})")

    def offline(self, is_offline):
        """What the browser is told, and tells the page; not what the network does."""
        self.chromium.evaluate(code=f"dispatchEvent(new Event('{'offline' if is_offline else 'online'}'))")

    def wait(self, condition, name="one"):
        """Until it holds; `seen` and `socket` in it are those of that name. What was seen then."""
        key = json.dumps(name)
        code = f"((seen, socket) => {condition})(window.seen[{key}], window.sockets[{key}])"
        try:
            self.chromium.wait_for(code, f"{condition} of {name}")
        except AssertionError as failure:
            raise AssertionError(f"{failure}; seen: {self.seen(name)}") from None
        return self.seen(name)

    def wait_settled(self, transport, name="one"):
        """Until it is on that transport, and has been on no other."""
        seen = self.wait("seen.transports.length > 0 || seen.closed", name)
        assert not seen["closed"], seen
        assert [kind for kind, _ in seen["transports"]] == [transport], seen
        assert seen["transports"][0][1] < SETTLED, seen
        return seen
