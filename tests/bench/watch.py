"""Run a command and watch the memory of all its processes together."""
from __future__ import annotations

import os
import subprocess
import threading
import time
from dataclasses import dataclass

INTERVAL = 0.02
PAGE = os.sysconf('SC_PAGE_SIZE')


@dataclass
class Usage:
    seconds: float
    cpu: float    # user and system time of all processes
    rss: int      # peak of the sum over the processes, bytes: shared pages count once for each
    pss: int      # the same, shared pages divided among those who share them


def tree(root: int) -> list[int]:
    """root and its descendants, by what the kernel says of children."""
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        try:
            for task in os.listdir(f'/proc/{pid}/task'):
                with open(f'/proc/{pid}/task/{task}/children', encoding='ascii') as file:
                    waiting += map(int, file.read().split())
        except OSError:
            pass
    return found


def resident(pid: int) -> int:
    try:
        with open(f'/proc/{pid}/statm', encoding='ascii') as file:
            return int(file.read().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0


def proportional(pid: int) -> int:
    try:
        with open(f'/proc/{pid}/smaps_rollup', encoding='ascii') as file:
            for line in file:
                if line.startswith('Pss:'):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def run(command: list[str], env: dict[str, str], quiet: bool = True) -> Usage:
    """Fails loudly when the command does."""
    peak = [0, 0]
    before = os.times()
    start = time.monotonic()
    process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL if quiet else None, stderr=subprocess.PIPE, text=True)
    messages: list[str] = []
    reader = threading.Thread(target=lambda: messages.append(process.stderr.read()))
    reader.start()
    samples = 0
    while process.poll() is None:
        pids = tree(process.pid)
        peak[0] = max(peak[0], sum(map(resident, pids)))
        # The rollup walks page tables and slows its process down: look at it ten times less often.
        if samples % 10 == 0:
            peak[1] = max(peak[1], sum(map(proportional, pids)))
        samples += 1
        time.sleep(INTERVAL)
    seconds = time.monotonic() - start
    reader.join()
    after = os.times()
    if process.returncode:
        raise RuntimeError(f'{" ".join(command)}: status {process.returncode}\n{"".join(messages)[-2000:]}')
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Usage(seconds, cpu, peak[0], peak[1])
