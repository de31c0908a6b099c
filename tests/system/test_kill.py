"""SIGKILL to all processes at any system call: what was committed stays, the next run needs no help, nothing is left.

Every point starts from the same small repository of two snapshots. Afterwards a machine that knows nothing but the key
(no cache, no state) must be able to restore every snapshot ever reported as committed, byte for byte.
"""
import shutil
import time
from pathlib import Path

import pytest

from support.cli import SNAPSHOT_ID, Result, World
from support.faults import sample
from support.oracle import assert_same_tree, tree_state
from support.tree import plain_tree

# The 2,000 points of the long sweep, by verb.
POINTS = {'init': 400, 'run': 800, 'copy': 400, 'restore': 400}
SHORT = 6


class Bench:
    """The world of one sweep, and how it is put back to its beginning."""

    def __init__(self, world: World, faults) -> None:
        self.world, self.faults = world, faults
        self.tree = world.base / 'tree'
        self.other = world.base / 'other'
        self.committed: dict[str, dict] = {}
        self.parts = [world.repository, self.other, world.base / 'state', world.base / 'cache', world.key.parent]

    def prepare(self) -> 'Bench':
        world = self.world
        world.simple(plain_tree(self.tree, files=12))
        world.sink('second', path=self.other)
        world.ok('init', 'second')
        for text in ('one', 'two'):
            (self.tree / 'changing').write_text(text)
            self.note(world.ok('run', 'job'))
        self.keep()
        return self

    def keep(self) -> None:
        for part in self.parts:
            if part.exists():
                shutil.copytree(part, self.kept(part), symlinks=True)

    def kept(self, part: Path) -> Path:
        return self.world.base / 'kept' / part.name

    def reset(self) -> None:
        for part in self.parts:
            shutil.rmtree(part, ignore_errors=True)
            if self.kept(part).exists():
                shutil.copytree(self.kept(part), part, symlinks=True)

    def note(self, result: Result) -> list[str]:
        """Remember what this run said to be committed, and what the tree was then."""
        ids = [SNAPSHOT_ID.search(line)[0] for line in result.err.splitlines() if 'committed' in line]
        for snapshot in ids:
            self.committed[snapshot] = tree_state(self.tree)
        return ids

    def points(self, wanted: int, *words: object) -> list[int]:
        self.reset()
        self.faults.kill_at(0, self.world, *words)
        return sample(self.faults.count(), wanted)

    def kill(self, number: int, *words: object) -> Result:
        result = self.faults.kill_at(number, self.world, *words)
        assert result.status in (0, 137), f'{number}: {result}'
        return result

    def elsewhere(self) -> World:
        """The same configuration on a machine without cache and state."""
        place = self.world.base / 'elsewhere'
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(mode=0o700)
        other = World(place, self.world.binary)
        for file in self.world.conf.iterdir():
            if file.name != 'engine.conf':
                shutil.copy2(file, other.conf)
        return other

    def check(self, note: object, sink: str, snapshots: list[str], described: bool) -> None:
        """All these snapshots are in the sink, whole. described: every pack there belongs to an index object."""
        fresh = self.elsewhere()
        listed = fresh.ok('list', 'job', '--sink', sink).ids
        assert set(snapshots) <= set(listed), f'{note}: {snapshots} were committed, {listed} are there'
        for snapshot in listed:
            into = fresh.base / snapshot
            fresh.ok('restore', f'job@{snapshot}', '--into', into, '--sink', sink)
            expected = self.committed.get(snapshot) or tree_state(self.tree)
            assert_same_tree(expected, into / 'tree')
        verified = self.elsewhere().ok('verify', 'job', '--all', '--sink', sink)
        if described:
            assert 'belong to no snapshot' not in verified.text, f'{note}\n{verified}'

    def assert_no_debris(self, note: object) -> None:
        base = self.world.base
        for repository in (self.world.repository, self.other):
            if (repository / '.tmp').exists():
                assert not list((repository / '.tmp').iterdir()), note
        for place in (base / 'state', base / 'cache', self.world.key.parent):
            left = [p for p in place.rglob('*') if p.suffix in ('.tmp', '.new', '.fresh') or p.name.startswith('.')]
            assert not left, f'{note}: {left}'


def run_point(bench: Bench, points: list[int], number: int) -> None:
    before = sorted(bench.committed)[:2]
    killed = bench.note(bench.kill(number, 'run', 'job'))
    bench.check(f'killed at {number}', 'disk', before + killed, described=False)
    # Also a second time, elsewhere, while it deals with what the first left.
    second = points[(points.index(number) * 7 + 3) % len(points)]
    killed += bench.note(bench.kill(second, 'run', 'job'))
    whole = bench.note(bench.world.ok('run', 'job'))
    bench.assert_no_debris(number)
    bench.check(f'run after the kills at {number} and {second}', 'disk', before + killed + whole, described=True)


def init_point(bench: Bench, _: list[int], number: int) -> None:
    bench.kill(number, 'init', 'disk')
    bench.world.ok('init', 'disk')
    assert [p.name for p in bench.world.key.parent.iterdir()] == ['full.key'], number
    whole = bench.note(bench.world.ok('run', 'job'))
    bench.assert_no_debris(number)
    bench.check(number, 'disk', whole, described=True)


def copy_point(bench: Bench, _: list[int], number: int) -> None:
    words = VERBS['copy'][0]
    newest = sorted(bench.committed)[1]
    result = bench.kill(number, *words)
    bench.check(f'killed at {number}', 'second', [newest] if result.status == 0 else [], described=False)
    bench.world.ok(*words)
    bench.assert_no_debris(number)
    bench.check(f'copied after the kill at {number}', 'second', [newest], described=True)


def restore_point(bench: Bench, points: list[int], number: int) -> None:
    into = bench.world.base / 'into'
    words = (*VERBS['restore'][0], '--into', into)
    expected = bench.committed[sorted(bench.committed)[1]]
    shutil.rmtree(into, ignore_errors=True)
    result = bench.kill(number, *words)
    if result.status != 0 and number % 2:  # every second one a second time, while it replaces what the first left
        result = bench.world(*words, prefix=bench.faults.killat(points[(points.index(number) * 7 + 3) % len(points)]))
    if result.status != 0 and ((into / 'tree.incomplete').exists() or not (into / 'tree').exists()):
        bench.world.ok(*words)
    else:  # it was complete when it was killed, and is now refused, since something is there: what it left goes with any next command
        bench.world.ok('list', 'job')
    assert [p.name for p in into.iterdir()] == ['tree'], number
    assert_same_tree(expected, into / 'tree')
    bench.assert_no_debris(number)


VERBS = {'init': (('init', 'disk'), init_point), 'run': (('run', 'job'), run_point),
         'copy': (('copy', 'job@latest', '--from', 'disk', '--to', 'second'), copy_point),
         'restore': (('restore', 'job'), restore_point)}


def sweep(bench: Bench, verb: str, wanted: int) -> None:
    """All points, also after one went wrong: how many, and which, tells more than the first."""
    words, point = VERBS[verb]
    if verb == 'run':
        (bench.tree / 'changing').write_text('three')
    points = bench.points(wanted, *words, *(['--into', bench.world.base / 'count'] if verb == 'restore' else []))
    failures = []
    for number in points:
        bench.reset()
        try:
            point(bench, points, number)
        except AssertionError as error:
            failures.append(f'point {number}: {error}')
    print(f'{verb}: {len(points)} points, {len(failures)} failed')
    assert not failures, f'{len(failures)} of {len(points)} points failed\n' + '\n'.join(failures[:5])


@pytest.fixture
def bench(world, faults, request) -> Bench:
    bench = Bench(world, faults)
    if request.node.callspec.params['verb'] != 'init':
        return bench.prepare()
    world.source('tree', plain_tree(bench.tree, files=3))
    world.sink()
    world.job()
    return bench


@pytest.fixture
def empty_first(bench, request):
    """init begins with nothing but the directory of the key."""
    if request.node.callspec.params['verb'] == 'init':
        bench.keep()
    return bench


@pytest.mark.parametrize('verb', VERBS)
def test_kill_sample(empty_first, verb):
    sweep(empty_first, verb, SHORT)


@pytest.mark.long
@pytest.mark.parametrize('verb', VERBS)
def test_kill_everywhere(empty_first, verb):
    sweep(empty_first, verb, POINTS[verb])


def write_and_wait(bench: Bench) -> None:
    """Until the file is old enough to be trusted: each run then makes the same catalogue of it."""
    (bench.tree / 'changing').write_bytes(bytes(range(256)) * 1000)
    time.sleep(2.1)


def test_packs_of_two_broken_runs_are_adopted(world, faults, tmp_path):
    """The first run ends between its pack and its index object; the second one does, too, when it has adopted the pack."""
    bench = Bench(world, faults).prepare()
    write_and_wait(bench)
    for number in (2, 1):  # of the run's renames: pack, index, manifest; the second run has no pack to send
        result = faults.fail_at('renameat2', 'EIO', number, world, 'run', 'job', below=world.repository)
        assert result.status == 1 and faults.count() == number, result
    packs = len(world.objects('packs'))
    bench.note(world.ok('run', 'job'))
    assert len(world.objects('packs')) == packs, 'sent again'
    bench.check('after two broken runs', 'disk', sorted(bench.committed), described=True)


def test_a_torn_journal_is_no_hindrance(world, faults, tmp_path):
    """A kill in the middle of a write leaves half a record: what is noted behind it must be found all the same."""
    bench = Bench(world, faults).prepare()
    journal = next((tmp_path / 'state').rglob('sent-*'))
    journal.write_bytes(b'\x40\0\0\0half a record')
    write_and_wait(bench)
    assert faults.fail_at('renameat2', 'EIO', 2, world, 'run', 'job', below=world.repository).status == 1
    packs = len(world.objects('packs'))
    bench.note(world.ok('run', 'job'))
    assert len(world.objects('packs')) == packs, 'sent again'
    bench.check('after a torn journal', 'disk', sorted(bench.committed), described=True)
