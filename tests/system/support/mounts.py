"""File systems of the tests' own: on a loop device, or a directory shown through FUSE with faults."""
from __future__ import annotations

import os
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
MAKE = {'btrfs': ('mkfs.btrfs', '-q'), 'xfs': ('mkfs.xfs', '-q'), 'ext4': ('mkfs.ext4', '-q')}


def run(*words: object) -> None:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f'{words}: {done.stdout}{done.stderr}'


class Mounts:
    """What is mounted is unmounted by `close`, the last first."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.undo: list = []

    def close(self) -> None:
        for step in reversed(self.undo):
            step()

    def unmount(self, place: Path) -> None:
        run('umount', '-l', place)

    def disk(self, kind: str, name: str = 'disk', options: tuple = ()) -> Path:
        image, place = self.base / f'{name}.image', self.base / name
        with open(image, 'wb') as file:
            file.truncate(400 << 20)
        place.mkdir()
        run(*MAKE[kind], *options, image)
        run('mount', '-o', 'loop', image, place)
        self.undo.append(lambda: self.unmount(place))
        return place

    def tmpfs(self, place: Path) -> Path:
        run('mount', '-t', 'tmpfs', 'tmpfs', place)
        self.undo.append(lambda: self.unmount(place))
        return place

    @contextmanager
    def odd(self, root: Path, place: Path, *faults: str):
        """The directory root, with faults (odd_fuse.py), at place."""
        place.mkdir(exist_ok=True)
        before = os.stat(place).st_dev
        words = ['/usr/bin/python3', HERE / 'odd_fuse.py', root, place, *faults]
        with open(self.base / 'fuse.log', 'ab') as log, subprocess.Popen(words, stdout=log, stderr=log) as server:
            while os.stat(place).st_dev == before:
                assert server.poll() is None, (self.base / 'fuse.log').read_text()
                time.sleep(0.02)
            try:
                yield place
            finally:
                self.unmount(place)
                server.wait(30)
