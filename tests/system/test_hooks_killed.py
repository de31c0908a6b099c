"""SIGKILL to cofre at any system call of a run with hooks: what is owed is run once, and the job's lock is free."""
import fcntl
import shutil
from pathlib import Path

import pytest

from support.faults import sample
from support.tree import plain_tree
from support.wait import wait_until

# Of a whole run, and of one that `before` skips, in which the hooks are most of what happens.
POINTS = {'whole': 300, 'skipped': 200}
PARTS = 2
SHORT = 6


class Killed:
    """A job whose hooks write down when they begin and when they end, and everything as it was before the run."""

    def __init__(self, world, faults, base: Path, kind: str) -> None:
        self.world, self.faults, self.calls, self.kept = world, faults, base / 'calls', base / 'kept'
        self.state = base / 'state'
        program = base / 'hook'
        program.write_text('#!/bin/sh\n'
                           f'echo "begin $COFRE_HOOK" >> {self.calls}\nsleep 0.02\necho "end $COFRE_HOOK" >> {self.calls}\n'
                           f'test $COFRE_HOOK != before || exit {75 if kind == "skipped" else 0}\n')
        program.chmod(0o755)
        world.simple(plain_tree(base / 'tree', files=3))
        world.ok('run', 'job')
        world.job(before=program, after=program)
        self.kept.mkdir()
        for name in ('repository', 'state', 'cache'):
            shutil.copytree(base / name, self.kept / name)

    def reset(self) -> None:
        self.calls.unlink(missing_ok=True)
        for place in self.kept.iterdir():
            shutil.rmtree(self.world.base / place.name, ignore_errors=True)
            shutil.copytree(place, self.world.base / place.name)

    def lines(self) -> list[str]:
        return self.calls.read_text().splitlines() if self.calls.exists() else []

    def settled(self) -> bool:
        """Nothing is owed."""
        return not [path for path in self.state.glob('holds/*') if '.tmp' not in path.name]

    def lock_is_free(self) -> bool:
        with (self.state / 'jobs' / 'job' / 'lock').open('r') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True

    def check(self) -> tuple:
        """Which hooks began."""
        lines = self.lines()
        began = [line.split()[1] for line in lines if line.startswith('begin')]
        assert began in ([], ['before'], ['after'], ['before', 'after']), lines
        assert began != ['before'], f'nobody has run after: {lines}'
        assert lines.count('end after') == began.count('after'), f'after was cut short: {lines}'
        if 'end before' in lines and 'begin after' in lines:
            assert lines.index('end before') < lines.index('begin after'), f'after began too early: {lines}'
        assert self.lock_is_free()
        return tuple(began)

    def sweep(self, number_of_points: int, watchdog: bool, part: slice = slice(None)) -> set[tuple]:
        """All points, also after one went wrong. watchdog: it and the runners live on; else all die, and the next start does it."""
        command = 'run', 'job'
        self.reset()
        done = self.world(*command, prefix=self.faults.killat(0, watchdog))
        assert done.status == 0, done
        points, failures, seen = sample(self.faults.count(), number_of_points)[part], [], set()
        for number in points:
            self.reset()
            killed = self.world(*command, prefix=self.faults.killat(number, watchdog))
            try:
                assert killed.status in (0, 137), killed
                seen.add(self.outlived() if watchdog else self.started_again())
            except AssertionError as error:
                failures.append(f'point {number}: {error}')
        print(f'{len(points)} points of {self.faults.count()} calls, {len(failures)} failed')
        assert not failures, f'{len(failures)} of {len(points)} points failed\n' + '\n'.join(failures[:5])
        return seen

    def outlived(self) -> tuple:
        wait_until(self.settled, 'nothing is owed')
        return self.check()

    def started_again(self) -> tuple:
        """A hook that was at work died with its runner: after is run from its beginning."""
        before = self.lines()
        self.world.ok('check')
        assert self.settled()
        after = self.lines()[len(before):]
        if 'begin before' in before and 'end after' not in before:
            assert after == ['begin after', 'end after'], f'{before} and then {after}'
        else:
            assert after in ([], ['begin after', 'end after']), f'{before} and then {after}'
        assert self.lock_is_free()
        return tuple(line for line in before if line.startswith('begin'))


@pytest.fixture
def killed(world, faults, tmp_path, kind) -> Killed:
    return Killed(world, faults, tmp_path, kind)


@pytest.mark.parametrize('kind', POINTS)
def test_killed_at_some_points(killed, kind):
    assert ('before', 'after') in killed.sweep(SHORT, watchdog=True)


@pytest.mark.parametrize('kind', POINTS)
def test_everything_killed_at_some_points(killed, kind):
    killed.sweep(SHORT, watchdog=False)


@pytest.mark.long
@pytest.mark.parametrize('part', range(PARTS))
@pytest.mark.parametrize('kind', POINTS)
def test_killed_at_many_points(killed, kind, part):
    killed.sweep(POINTS[kind], True, slice(part, None, PARTS))


@pytest.mark.long
@pytest.mark.parametrize('part', range(PARTS))
@pytest.mark.parametrize('kind', POINTS)
def test_everything_killed_at_many_points(killed, kind, part):
    killed.sweep(POINTS[kind] // 2, False, slice(part, None, PARTS))
