"""Run a command, take its time, and watch the memory of all its processes together."""
from __future__ import annotations

import os
import subprocess
import threading
import time
from dataclasses import dataclass

from support import session

INTERVAL = 0.05  # s between two looks: each costs some milliseconds, which the command is missing


@dataclass
class Usage:
    seconds: float
    cpu: float    # user and system time of all processes
    rss: int      # peak of the sum over the processes, bytes: shared pages count once for each; 0 = was not watched


def run(command: list[str], env: dict[str, str], quiet: bool = True, memory: bool = True) -> Usage:
    """Fails loudly when the command does. memory=False looks at nothing, and costs nothing, while it runs."""
    peak = 0
    before = os.times()
    start = time.monotonic()
    process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, start_new_session=True,
                               stdout=subprocess.DEVNULL if quiet else None, stderr=subprocess.PIPE, text=True)
    messages: list[str] = []
    reader = threading.Thread(target=lambda: messages.append(process.stderr.read()))
    reader.start()
    while memory and process.poll() is None:
        peak = max(peak, sum(map(session.resident, session.members(process.pid))))
        time.sleep(INTERVAL)
    process.wait()
    seconds = time.monotonic() - start
    reader.join()
    after = os.times()
    if process.returncode:
        raise RuntimeError(f'{" ".join(command)}: status {process.returncode}\n{"".join(messages)[-2000:]}')
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Usage(seconds, cpu, peak)
