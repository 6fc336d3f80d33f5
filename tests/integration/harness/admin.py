# SPDX-License-Identifier: BSD-2-Clause
"""The admin listener of a culvert, and what /metrics says, taken apart strictly."""

import json
import re

from .http import HttpClient
from .wait import wait_until

SAMPLE = re.compile(r'([a-z_:]+)(?:\{(.*)\})? (\S+)')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)')


def parse_labels(text):
    labels, at = {}, 0
    while at < len(text):
        match = LABEL.match(text, at)
        assert match, f"labels {text!r}"
        labels[match.group(1)] = re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], match.group(2))
        at = match.end()
    return labels


class Metrics:
    """types: of each family; get() adds up the samples of a name that have these labels."""

    def __init__(self, text):
        self.text = text
        self.types = {}
        self.samples = []
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                assert name not in self.types, f"{name} comes twice"
                self.types[name] = kind
            elif not line.startswith("#"):
                match = SAMPLE.fullmatch(line)
                assert match, line
                self.samples.append((match[1], parse_labels(match[2] or ""), float(match[3])))

    def get(self, name, **labels):
        return sum(
            value for sample, has, value in self.samples
            if sample == name and all(has.get(key) == wanted for key, wanted in labels.items())
        )


class Admin:
    def __init__(self, culvert):
        self.culvert = culvert
        line = culvert.wait_log(r" admin metrics, status and health on \S+")[0]
        text = line.rsplit(" ", 1)[1]
        host, port = (None, None) if text.startswith("unix:") else text.rsplit(":", 1)
        self.address = text[len("unix:"):] if host is None else (host.strip("[]"), int(port))

    def open(self, **options):
        return self.culvert.keep(HttpClient.open(self.address, **options))

    def ask(self, path, method="GET", **options):
        """On a connection of its own."""
        with HttpClient.open(self.address) as client:
            return client.ask(method, path, **options)

    def metrics(self):
        answer = self.ask("/metrics")
        assert answer.status == 200
        return Metrics(answer.body.decode())

    def status(self):
        return json.loads(self.ask("/status").body)

    def wait(self, wanted, name, **labels):
        """Until a figure has this value."""
        seen = []

        def same():
            seen[:] = [self.metrics().get(name, **labels)]
            return seen[0] == wanted

        try:
            wait_until(same, f"{name}{labels} to be {wanted}")
        except AssertionError as failure:
            raise AssertionError(f"{failure}; it is {seen}") from None
