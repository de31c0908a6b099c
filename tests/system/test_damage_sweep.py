"""Every byte of every object, and every object as a whole: damaged, gone, exchanged, old."""
import os
import shutil
from pathlib import Path

import pytest

from support.cli import DAMAGED, DONE, FAILURES, World
from support.faults import sample
from support.oracle import compare_trees, tree_state


class Repository:
    """Two small snapshots. The objects of the second one are not needed by the first."""

    def __init__(self, world: World) -> None:
        self.world, self.tree = world, world.base / 'tree'
        (self.tree / 'd').mkdir(parents=True)
        (self.tree / 'text').write_text('the quick brown fox\n' * 20)
        (self.tree / 'd' / 'random').write_bytes(os.urandom(300))
        (self.tree / 'empty').touch()
        os.symlink('text', self.tree / 'link')
        world.simple(self.tree)
        self.states, self.ids = [], []
        for number in range(2):
            (self.tree / 'changing').write_bytes(os.urandom(200))
            world.ok('run', 'job')
            self.states.append(tree_state(self.tree))
            self.ids.append(world.snapshots()[0] if not self.ids else
                            next(i for i in world.snapshots() if i not in self.ids))
            if number == 0:
                self.first = set(world.objects())
        self.objects = world.objects()
        self.whole = {path: path.read_bytes() for path in self.objects}

    def mend(self) -> None:
        for path, data in self.whole.items():
            if not path.exists() or path.read_bytes() != data:
                path.write_bytes(data)
        for path in self.world.objects():
            if path not in self.whole:
                path.unlink()
        shutil.rmtree(self.world.base / 'cache', ignore_errors=True)

    def kind(self, path: Path) -> str:
        return str(path.relative_to(self.world.repository)).split('/')[0]

    def restores(self, number: int, note: str, must: bool) -> None:
        into = self.world.base / 'into'
        shutil.rmtree(into, ignore_errors=True)
        result = self.world('restore', f'job@{self.ids[number]}', '--into', into)
        assert result.status in FAILURES | {DONE}, f'{note}\n{result}'
        if must:
            assert result.status == DONE, f'{note}: a snapshot that is whole does not come back\n{result}'
        if result.status == DONE:
            differences = compare_trees(self.states[number], tree_state(into / 'tree'))
            assert not differences, f'{note}: wrong with status 0: {differences[:5]}'
        elif result.status == 2:
            raise AssertionError(f'{note}\n{result}')

    def noticed(self, path: Path, note: str, alone: bool = True) -> None:
        """path is damaged: verify names it, restore does not lie, the other snapshot comes back when nothing else is
        damaged."""
        note = f'{path.relative_to(self.world.repository)}: {note}'
        shutil.rmtree(self.world.base / 'cache', ignore_errors=True)
        result = self.world('verify', 'job', '--all')
        config = self.kind(path) == 'config'
        assert result.status in (FAILURES if config else {DAMAGED}), f'{note}\n{result}'
        assert path.name in result.text, f'{note}: the object is not named\n{result}'
        self.restores(0, note, must=alone and not config and path not in self.first)
        self.restores(1, note, must=False)


@pytest.fixture
def repository(world) -> Repository:
    return Repository(world)


def sweep_bytes(repository: Repository, wanted: int, masks: tuple[int, ...]) -> int:
    places = [(path, at) for path, data in repository.whole.items() for at in range(len(data))]
    failures = []
    chosen = sample(len(places), wanted)
    for count, number in enumerate(chosen):
        path, at = places[number - 1]
        mask = masks[count % len(masks)]
        data = bytearray(repository.whole[path])
        data[at] ^= mask
        path.write_bytes(data)
        try:
            repository.noticed(path, f'byte {at} of {len(data)} changed by {mask:#x}')
        except AssertionError as error:
            failures.append(str(error))
        repository.mend()
    print(f'{len(chosen)} of {len(places)} bytes, {len(failures)} failed')
    assert not failures, f'{len(failures)} of {len(chosen)}\n' + '\n'.join(failures[:5])
    return len(chosen)


def test_bytes(repository):
    sweep_bytes(repository, 25, (1, 0x80, 0xff))


@pytest.mark.long
def test_every_byte(repository):
    """All bits in turn."""
    sweep_bytes(repository, 1_000_000, tuple(1 << bit for bit in range(8)) + (0xff,))


def each_object(repository: Repository, change) -> None:
    failures = []
    for path in repository.objects:
        try:
            change(path)
        except AssertionError as error:
            failures.append(str(error))
        repository.mend()
    assert not failures, '\n'.join(failures)


def test_truncated(repository):
    def truncate(path: Path) -> None:
        whole = repository.whole[path]
        for length in (0, 1, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:length])
            repository.noticed(path, f'cut to {length} of {len(whole)} bytes')

    each_object(repository, truncate)


def test_removed(repository):
    """An index object that is gone is made good from the packs, and said; anything else is damage by name. The oldest
    snapshot may go: that is what a retention policy does."""
    def remove(path: Path) -> None:
        path.unlink()
        note = f'{path.relative_to(repository.world.repository)} removed'
        if repository.kind(path) == 'index':
            result = repository.world('verify', 'job', '--all')
            assert result.status == DAMAGED, f'{note}\n{result}'
            repository.restores(0, note, must=True)
            repository.restores(1, note, must=True)
        elif repository.kind(path) == 'config':
            repository.world.fails(10, 'verify', 'job', '--all')
            repository.world.fails(10, 'run', 'job')
        elif path.name == repository.ids[0]:
            repository.restores(1, note, must=True)
        else:
            repository.noticed(path, 'removed')

    each_object(repository, remove)


def test_replaced_by_another_of_its_kind(repository):
    """Whole and well sealed, and in the wrong place: the other one, or the older one."""
    def replace(path: Path) -> None:
        others = [other for other in repository.objects if repository.kind(other) == repository.kind(path) and other != path]
        for other in others:
            path.write_bytes(repository.whole[other])
            repository.noticed(path, f'is {other.name}')

    each_object(repository, replace)


def test_exchanged(repository):
    for kind in ('packs', 'index', 'snapshots'):
        one, two = [path for path in repository.objects if repository.kind(path) == kind][:2]
        one.write_bytes(repository.whole[two])
        two.write_bytes(repository.whole[one])
        repository.noticed(one, f'exchanged with {two.name}', alone=False)
        repository.noticed(two, f'exchanged with {one.name}', alone=False)
        repository.mend()


def test_of_another_repository(world, repository, tmp_path):
    """The same key, the same host, the same job: its objects still do not belong here."""
    world.sink('second', path=tmp_path / 'second')
    world.job('other', sinks='second')
    world.ok('init', 'second')
    world.ok('run', 'other')
    for path in repository.objects:
        if repository.kind(path) in ('config', 'snapshots'):
            foreign = next(o for o in world.objects(repository.kind(path), tmp_path / 'second'))
            path.write_bytes(foreign.read_bytes())
            shutil.rmtree(tmp_path / 'cache', ignore_errors=True)
            result = world('verify', 'job', '--all', '--sink', 'disk')
            assert result.status in FAILURES, f'{path.name}\n{result}'
            repository.mend()


def test_an_older_copy_of_everything(world, repository, tmp_path):
    """The disk of last week is mounted: this machine remembers what it committed."""
    for path in repository.objects:
        if path not in repository.first:
            path.unlink()
    shutil.rmtree(tmp_path / 'cache', ignore_errors=True)
    result = world.fails(DAMAGED, 'verify', 'job', '--all')
    assert repository.ids[1] in result.text, result
    repository.restores(0, 'older copy', must=True)
