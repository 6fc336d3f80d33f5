# SPDX-License-Identifier: BSD-2-Clause
"""Fixtures for all folders of tests: import them in a conftest.py."""

import os

import pytest

from .certs import Certificates
from .culvert import BINARY, Culvert


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Puts the logs of culvert into the report of a test that failed, at its end too."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for number, culvert in enumerate(getattr(item, "culverts", [])):
            title = f"log of culvert {number} ({call.when})"
            lines = [line for line in culvert.log_text().split("\n") if " stats live_bytes=" not in line]
            report.sections.append((title, "\n".join(lines)[-20000:]))


@pytest.fixture
def culvert(request, tmp_path):
    """
    Starts culvert: culvert('''configuration'''), or culvert(args=[...]). At the end of the test
    each one must stop on TERM with status 0, without a word from a sanitizer and without lines of
    level error that the test did not expect.
    """
    assert os.path.exists(BINARY), f"{BINARY} is missing: run make first, or set CULVERT"
    started = request.node.culverts = []

    def start(text=None, ready=True, **options):
        folder = tmp_path / f"culvert{len(started)}"
        folder.mkdir()
        one = Culvert(folder, text, **options)
        started.append(one)
        return one.start(ready)

    yield start
    failures = []
    for one in started:
        try:
            one.stop()
        except AssertionError as failure:
            failures.append(str(failure))
    assert not failures, "\n".join(failures)


@pytest.fixture
def peer(culvert):
    """Makes targets: peer(Echo), peer(Pourer, total=…). They are closed before culvert is stopped."""
    made = []

    def make(kind, *args, **options):
        made.append(kind(*args, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="session")
def certs(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))
