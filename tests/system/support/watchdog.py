"""The watchdog of a run: a process of its own, which undoes what a killed run leaves."""
from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path


def children(process: subprocess.Popen) -> list[int]:
    return [int(pid) for pid in Path(f'/proc/{process.pid}/task/{process.pid}/children').read_text().split()]


def watchdogs(process: subprocess.Popen) -> list[int]:
    return [pid for pid in children(process) if Path(f'/proc/{pid}/cmdline').read_bytes().startswith(b'cofre\0watchdog\0')]


def kill_with_watchdog(process: subprocess.Popen) -> int:
    """As when the machine goes down: what is left is for the next start. Returns the process's status."""
    for watchdog in watchdogs(process):
        os.kill(watchdog, signal.SIGKILL)
    process.kill()
    return process.wait()
