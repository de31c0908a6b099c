"""Run a command, take its time, and watch the memory of all its processes together."""
from __future__ import annotations

import os
import subprocess
import threading
import time
from dataclasses import dataclass

from support import session

INTERVAL = 0.05  # s between two looks: each costs some milliseconds, which the command is missing
SHARES = 8       # one look in so many asks for shares, which walks page tables


@dataclass
class Usage:
    seconds: float
    cpu: float    # user and system time of all processes
    rss: int      # peak of the sum over the processes, bytes: shared pages count once for each; 0 = was not watched
    pss: int      # the same, shared pages divided among those who share them: what they really take


def run(command: list[str], env: dict[str, str], quiet: bool = True, memory: bool = True) -> Usage:
    """Fails loudly when the command does. memory=False looks at nothing, and costs nothing, while it runs."""
    rss = pss = looks = 0
    before = os.times()
    start = time.monotonic()
    process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, start_new_session=True,
                               stdout=subprocess.DEVNULL if quiet else None, stderr=subprocess.PIPE, text=True)
    messages: list[str] = []
    reader = threading.Thread(target=lambda: messages.append(process.stderr.read()))
    reader.start()
    while memory and process.poll() is None:
        here = session.members(process.pid)
        rss = max(rss, sum(map(session.resident, here)))
        if looks % SHARES == 0:
            pss = max(pss, sum(map(session.share, here)))
        looks += 1
        time.sleep(INTERVAL)
    process.wait()
    seconds = time.monotonic() - start
    reader.join()
    after = os.times()
    if process.returncode:
        raise RuntimeError(f'{" ".join(command)}: status {process.returncode}\n{"".join(messages)[-2000:]}')
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Usage(seconds, cpu, rss, pss)
