"""Something that is done while a command is at work: at a moment that is the same each time."""
from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from .cli import CLEAN, Result, World


def beside(world: World, path: Path, nth: int, act, *words: object) -> Result:
    """The process stops each time that it looks at this file (stat: when its directory is listed, and once more when it is open),
    and after the nth time act() is called before it goes on. It prints little: nobody reads until it has ended."""
    trace = world.base / 'stops'
    trace.touch()
    # Through a pipe each line is written at once; to a file when there is much of it. `when` would count for each thread.
    command = ['strace', '-f', '-qq', '-o', f"|cat >'{trace}'", '-P', path.name, '-P', str(path), '-e', 'trace=newfstatat',
               '-e', 'inject=newfstatat:signal=SIGSTOP', *world.command(*words)]
    process = subprocess.Popen(command, env=CLEAN, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               start_new_session=True)
    deadline, seen = time.monotonic() + 100, 0
    try:
        while process.poll() is None:
            assert time.monotonic() < deadline, trace.read_text()
            stops = [line.split()[0] for line in trace.read_text().splitlines() if '--- SIGSTOP {' in line]
            if len(stops) > seen:
                seen += 1
                if seen == nth:
                    act()
                os.kill(int(stops[seen - 1]), signal.SIGCONT)
            time.sleep(0.005)
        assert seen >= nth, trace.read_text()
        return Result(command, process.returncode, *process.communicate())
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
