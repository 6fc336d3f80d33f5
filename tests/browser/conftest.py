# SPDX-License-Identifier: BSD-2-Clause
"""Tests of the release build: in Chromium, with clients from npm, and bounds on real memory."""

import os
import sys

os.environ.setdefault("CULVERT", "build/release/culvert")
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "integration"))

import pytest  # noqa: E402
from chromium import Chromium  # noqa: E402
from harness.fixtures import certs, culvert, peer, pytest_runtest_makereport  # noqa: E402, F401


@pytest.fixture
def chromium(tmp_path, culvert):  # noqa: F811
    """A page of a fresh Chromium, which is closed before culvert is stopped."""
    with Chromium(tmp_path / "chromium") as page:
        yield page


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Chromium(tmp_path_factory.mktemp("browser") / "chromium") as page:
        yield page


@pytest.fixture
def tab(browser, culvert):  # noqa: F811
    """A fresh tab, closed before culvert is stopped, of a Chromium that the tests of a file share: it starts slowly."""
    browser.renew()
    yield browser
    browser.renew()
