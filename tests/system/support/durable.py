"""What would a power cut leave? A strict disk, played after a trace of system calls.

On this disk nothing is durable but what was asked for: the bytes of a file by fsync of the file, a name by fsync of its
directory. Real file systems give more than that, each something else, and so hide a missing fsync from a test that
cuts their power. Nothing of cofre is used.
"""
from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from .cli import Result, World

CALLS = ('openat,open,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,unlink,unlinkat,fsync,fdatasync,syncfs,'
         'write,pwrite64,writev,ftruncate,fallocate,symlinkat,mknodat')
LINE = re.compile(r'^(\d+) +(\w+)\((.*)\) += (-?\d+)')
UNFINISHED = re.compile(r'^(\d+) +(.*) <unfinished \.\.\.>$')
RESUMED = re.compile(r'^(\d+) +<\.\.\. \w+ resumed>(.*)$')
# A directory and a name in it, or a descriptor alone.
AT = re.compile(r'(?:AT_FDCWD|\d+)<([^>]*)>, "((?:[^"\\]|\\.)*)"')
FD = re.compile(r'^\d+<([^>]*)>')
TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')
WRITES = {'write', 'pwrite64', 'writev', 'ftruncate', 'fallocate'}


def strace(world: World, out: Path, *words: object) -> Result:
    """cofre under strace; its calls go into the file out."""
    prefix = ('strace', '-f', '-y', '-qq', '--seccomp-bpf', '-s', '0', '-e', 'signal=none', '-e', f'trace={CALLS}',
              '-o', out)
    return world(*words, prefix=prefix)


def whole_lines(text: str) -> list[str]:
    """Calls that were interrupted by another process's, put together."""
    begun: dict[str, str] = {}
    lines = []
    for line in text.splitlines():
        if match := UNFINISHED.match(line):
            begun[match[1]] = match[2]
        elif match := RESUMED.match(line):
            lines.append(f'{match[1]} {begun.pop(match[1])}{match[2]}')
        else:
            lines.append(line)
    return lines


@dataclass
class StrictDisk:
    """root: what lies below it is watched, but for the directories ignored in it."""
    root: Path
    ignored: tuple[str, ...] = ('.tmp', 'cache', 'conf.d', 'tree')
    unwritten: set[str] = field(default_factory=set)          # files with bytes that a cut would take
    unnamed: dict[str, str] = field(default_factory=dict)     # names that it would take: path -> what made it
    faults: list[str] = field(default_factory=list)           # published before its bytes were durable
    synced: set[str] = field(default_factory=set)             # whatever fsync was asked for
    published: list[str] = field(default_factory=list)        # names given by rename or link, in order

    def watched(self, path: str) -> bool:
        root = str(self.root)
        if not path.startswith(root + '/'):
            return False
        return not any(part in self.ignored for part in path[len(root) + 1:].split('/'))

    def sync(self, path: str) -> None:
        self.synced.add(path)
        self.unwritten.discard(path)
        for name in [n for n in self.unnamed if str(Path(n).parent) == path]:
            del self.unnamed[name]

    def sync_all(self) -> None:
        self.unwritten.clear()
        self.unnamed.clear()

    def publish(self, old: str, new: str) -> None:
        if old in self.unwritten and self.watched(new):
            self.faults.append(f"'{new}' got its name before its bytes were durable")
            self.unwritten.add(new)
        self.unwritten.discard(old)
        self.unnamed.pop(old, None)
        if self.watched(new):
            self.published.append(new)
            self.unnamed[new] = 'rename'

    def play(self, text: str) -> 'StrictDisk':
        for line in whole_lines(text):
            match = LINE.match(line)
            if match and int(match[4]) >= 0:
                self.call(match[2], match[3])
        return self

    def call(self, name: str, arguments: str) -> None:
        if name in WRITES or name in ('fsync', 'fdatasync', 'syncfs'):
            path = FD.match(arguments)[1]
            if name == 'syncfs':
                self.sync_all()
            elif name in WRITES:
                self.unwritten.add(path)
            else:
                self.sync(path)
            return
        paths = [str(Path(directory) / leaf) for directory, leaf in AT.findall(arguments)]
        paths = [str(Path(p)) for p in paths or TEXT.findall(arguments)]
        if name.startswith(('rename', 'link')):
            self.publish(*paths[:2])
        elif name.startswith('unlink'):
            self.unnamed.pop(paths[0], None)
            self.unwritten.discard(paths[0])
        elif name.startswith(('mkdir', 'mknod')) and self.watched(paths[0]):
            self.unnamed[paths[0]] = name

    def losses(self) -> list[str]:
        return self.faults + [f"'{path}' ({how}) is in a directory that was not made durable"
                              for path, how in self.unnamed.items()]
