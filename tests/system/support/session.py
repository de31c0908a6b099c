"""What all processes of a command use together, those included that are children of none of them, as gpg is."""
from __future__ import annotations

import os
import stat
import subprocess
import time
from pathlib import Path

from .cli import CLEAN


def members(session: int) -> list[Path]:
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
        except OSError:
            continue
        if int(fields[3]) == session:
            found.append(Path(f'/proc/{pid}'))
    return found


def resident(process: Path) -> int:
    """Bytes."""
    try:
        return int((process / 'statm').read_text().split()[1]) * os.sysconf('SC_PAGE_SIZE')
    except OSError:
        return 0


def share(process: Path) -> int:
    """Bytes: of pages that several processes have, each its part."""
    try:
        return int((process / 'smaps_rollup').read_text().partition('Pss:')[2].split()[0]) * 1024
    except (OSError, IndexError):
        return 0


def largest_file(process: Path, apart: Path) -> int:
    """Bytes of the largest file that it has open, deleted or not, without those below `apart`."""
    most = 0
    try:
        for fd in (process / 'fd').iterdir():
            if not os.readlink(fd).startswith(f'{apart}/') and stat.S_ISREG((found := os.stat(fd)).st_mode):
                most = max(most, found.st_size)
    except OSError:
        pass
    return most


def watched(command: list, apart: Path) -> tuple[int, int]:
    """Run it, which must succeed: its peak of memory, and the largest file that it had open outside of `apart`; bytes."""
    memory = largest = 0
    process = subprocess.Popen([str(word) for word in command], env=CLEAN, start_new_session=True, stdin=subprocess.DEVNULL)
    while process.poll() is None:
        here = members(process.pid)
        memory = max(memory, sum(map(resident, here)))
        largest = max([largest, *(largest_file(p, apart) for p in here)])
        time.sleep(0.05)
    assert process.returncode == 0
    assert memory > 0
    return memory, largest
