"""Run a command, take its time, and watch the memory of all its processes together."""
from __future__ import annotations

import itertools
import os
import subprocess
import threading
import time
from dataclasses import dataclass

from support import session

INTERVAL = 0.2   # s between two looks: each costs some milliseconds, which the command is missing
SHARES = 2       # one look in so many asks for shares, which walks page tables


@dataclass
class Usage:
    seconds: float
    cpu: float    # user and system time of all its processes
    busy: float   # what the processors worked meanwhile for anyone: servers on this machine, too
    rss: int      # peak of the sum over the processes, bytes: shared pages count once for each; 0 = was not watched
    pss: int      # the same, shared pages divided among those who share them: what they really take


def busy() -> float:
    """Seconds of work of all processors since the machine started (proc(5): idle and iowait are the fourth and fifth)."""
    with open('/proc/stat', encoding='ascii') as file:
        ticks = [int(word) for word in file.readline().split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf('SC_CLK_TCK')


def least(computing: Usage, carrying: Usage) -> float:
    """How many times as long as the first takes alone must take who does the work of both, were no processor ever idle."""
    return (computing.busy + carrying.busy) / os.cpu_count() / computing.seconds


class Peak:
    def __init__(self) -> None:
        self.rss = self.pss = 0
        self.over = threading.Event()

    def watch(self, process: int) -> None:
        for look in itertools.count():
            here = session.members(process)
            self.rss = max(self.rss, sum(map(session.resident, here)))
            if look % SHARES == 0:
                self.pss = max(self.pss, sum(map(session.share, here)))
            if self.over.wait(INTERVAL):
                return


def run(command: list[str], env: dict[str, str], quiet: bool = True, memory: bool = True) -> Usage:
    """Fails loudly when the command does. memory=False looks at nothing, and costs nothing, while it runs."""
    peak = Peak()
    before, busy_before = os.times(), busy()
    start = time.monotonic()
    process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, start_new_session=True,
                               stdout=subprocess.DEVNULL if quiet else None, stderr=subprocess.PIPE, text=True)
    messages: list[str] = []
    reader = threading.Thread(target=lambda: messages.append(process.stderr.read()))
    reader.start()
    watcher = threading.Thread(target=peak.watch, args=(process.pid,))
    if memory:
        watcher.start()
    process.wait()
    seconds, worked = time.monotonic() - start, busy() - busy_before
    peak.over.set()
    if memory:
        watcher.join()
    reader.join()
    after = os.times()
    if process.returncode:
        raise RuntimeError(f'{" ".join(command)}: status {process.returncode}\n{"".join(messages)[-2000:]}')
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Usage(seconds, cpu, worked, peak.rss, peak.pss)
