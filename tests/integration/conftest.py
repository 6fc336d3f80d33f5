# SPDX-License-Identifier: BSD-2-Clause
from harness.fixtures import certs, culvert, peer, pytest_runtest_makereport  # noqa: F401
