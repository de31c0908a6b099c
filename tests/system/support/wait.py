"""Waiting for what happens in its own time, instead of sleeping for as long as it takes on an idle machine."""
from __future__ import annotations

import time


def wait_until(true, what: str, seconds: float = 60) -> None:
    """Until true() is; what: that which it is waited for."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f'{what}: not after {seconds} s'
        time.sleep(0.02)
