"""What a power cut may leave of a directory of objects, on a disk that keeps what it was asked for and nothing else.

A command is traced once. At any of its calls the power may go: then each change of a name whose directory was not made durable since
may be there or not, whatever came before or after it, and a file whose bytes were not made durable is empty. Real file systems
keep the order in which names change, each as it likes, and so hide that somebody relied on it. Nothing of cofre is used.
"""
from __future__ import annotations

import random
from pathlib import Path

from .cli import Result, World
from .durable import AT, FD, LINE, WRITES, strace, whole_lines

Objects = dict[str, bytes]
Change = tuple[str, str, bytes]  # what (put, remove, mkdir), the name below the root, the bytes


class Cuts:
    """root: of a sink `local`. Its temporary files are nobody's business, but for how they get their names."""

    def __init__(self, root: Path, before: Objects) -> None:
        self.root, self.before, self.after = str(root), before, {}
        self.lines: list[str] = []

    def trace(self, world: World, after, *words: object) -> Result:
        """after: tells the objects when it is done."""
        out = world.base / 'trace'
        result = strace(world, out, *words)
        self.lines = [line for line in whole_lines(out.read_text()) if self.root in line or 'syncfs' in line]
        self.after = after()
        return result

    def __len__(self) -> int:
        return len(self.lines)

    def numbers(self) -> list[int]:
        """After which calls there may be more than one state."""
        return [number for number in range(1, len(self) + 1) if self.at(number)[1]]

    def below(self, path: str) -> str | None:
        """The name of an object, or of a directory; '' = the root."""
        if path != self.root and not path.startswith(self.root + '/'):
            return None
        name = path[len(self.root) + 1:]
        return None if name.split('/')[0] == '.tmp' else name

    def at(self, number: int) -> tuple[Objects, list[Change]]:
        """After so many of the calls: what is durable, and what may be."""
        durable, pending, unwritten = dict(self.before), [], set()
        for line in self.lines[:number]:
            match = LINE.match(line)
            if not match or int(match[4]) < 0:
                continue
            name, arguments = match[2], match[3]
            if name in WRITES:
                unwritten.add(FD.match(arguments)[1])
            elif name in ('fsync', 'fdatasync', 'syncfs'):
                path = FD.match(arguments)[1]
                unwritten.discard(path)
                pending = [change for change in pending if not self.settle(durable, change, name, path)]
            else:
                pending += self.changes(name, [f'{directory}/{leaf}' if not leaf.startswith('/') else leaf
                                               for directory, leaf in AT.findall(arguments)], unwritten)
        return durable, pending

    def settle(self, durable: Objects, change: Change, call: str, path: str) -> bool:
        if call != 'syncfs' and str(Path(self.root, change[1]).parent) != path:
            return False
        apply(durable, change)
        return True

    def changes(self, call: str, paths: list[str], unwritten: set[str]) -> list[Change]:
        names = [self.below(path) for path in paths]
        if call.startswith(('rename', 'link')) and names[1] is not None:
            return [('put', names[1], b'' if paths[0] in unwritten else self.after.get(names[1], b''))]
        if call.startswith('unlink') and names[0] is not None:
            return [('remove', names[0], b'')]
        return [('mkdir', names[0], b'')] if call.startswith('mkdir') and names[0] is not None else []

    def states(self, number: int, seed: int) -> list[Objects]:
        """What may be there: nothing of what is pending, all, only what goes, only what comes, and some of it."""
        durable, pending = self.at(number)
        chance = random.Random(seed)
        seen = []
        for chosen in (lambda c: False, lambda c: True, lambda c: c[0] == 'remove', lambda c: c[0] != 'remove',
                       lambda c: chance.random() < 0.5):
            state, lost = dict(durable), []
            for change in pending:
                if chosen(change):
                    apply(state, change)
                elif change[0] == 'mkdir':
                    lost.append(change[1] + '/')
            state = {name: content for name, content in state.items() if not name.startswith(tuple(lost))}
            if state not in seen:
                seen.append(state)
        return seen


def apply(objects: Objects, change: Change) -> None:
    what, name, content = change
    if what == 'put':
        objects[name] = content
    elif what == 'remove':
        objects.pop(name, None)
