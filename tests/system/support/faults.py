"""The tools of tests/faults, as functions."""
from __future__ import annotations

from pathlib import Path

from .cli import Result, World, execute


class Faults:
    def __init__(self, tools: Path, scratch: Path) -> None:
        self.tools, self.out = Path(tools), Path(scratch) / 'fault-count'

    def count(self) -> int:
        return int(self.out.read_text())

    def kill_at(self, number: int, world: World, *words: object) -> Result:
        """SIGKILL for all processes at their number-th system-call stop; 0 = only count."""
        return world(*words, prefix=self.killat(number))

    def killat(self, number: int, watchdog: bool = False) -> tuple:
        """watchdog: it and the runners of hooks are neither counted nor killed."""
        return self.tools / 'killat', *(['-w'] if watchdog else []), number, self.out

    def fail_at(self, call: str, cause: str, number: int, world: World, *words: object, below: Path | str = '',
                sticky: bool = False) -> Result:
        """The number-th system call of that name, on a descriptor of something below that path, fails with cause."""
        options = (['-s'] if sticky else []) + (['-p', below] if below else [])
        return execute([self.tools / 'failat', *options, call, cause, number, self.out, *world.command(*words)])

    def alloc_environment(self, number: int) -> dict[str, str]:
        return {'LD_PRELOAD': str(self.tools / 'alloc_fail.so'), 'ALLOC_FAIL_AT': str(number),
                'ALLOC_FAIL_OUT': str(self.out)}


def sample(total: int, wanted: int) -> list[int]:
    """wanted numbers of 1..total, evenly spread, the first and the last among them."""
    if total <= wanted:
        return list(range(1, total + 1))
    if wanted == 1:
        return [(total + 1) // 2]
    return sorted({1 + round(i * (total - 1) / (wanted - 1)) for i in range(wanted)})
