# SPDX-License-Identifier: BSD-2-Clause
"""What the tests share: culvert as a process, clients and targets of every temper."""
