"""Each fsync is needed: on a disk that keeps only what it was asked to keep, a finished command has lost nothing."""
import shutil
from pathlib import Path

import pytest

from support.durable import StrictDisk, strace
from support.oracle import assert_same_tree
from support.tree import plain_tree


@pytest.fixture
def traced(world, tmp_path):
    """Runs a command that must succeed, and returns the disk after it."""
    world.source('tree', plain_tree(tmp_path / 'tree', files=6))
    world.sink()
    world.job()

    def run(*words: object, ignored: tuple[str, ...] = StrictDisk.ignored) -> StrictDisk:
        result = strace(world, tmp_path / 'trace', *words)
        assert result.status == 0, result
        return StrictDisk(tmp_path, ignored).play((tmp_path / 'trace').read_text())

    return run


def test_init(traced, world, tmp_path):
    world.sink(path=tmp_path / 'new' / 'parents' / 'repository')
    disk = traced('init', 'disk')
    assert len(disk.published) == 2, disk.published  # the key and the config object
    assert not disk.losses()


def test_init_after_a_killed_one(traced, world):
    """The config object is there, from one that was killed before its name was durable."""
    traced('init', 'disk')
    disk = traced('init', 'disk')
    assert {str(world.repository), str(world.key), str(world.key.parent)} <= disk.synced, disk.synced


def test_run(traced, world):
    world.ok('init', 'disk')
    disk = traced('run', 'job')
    kinds = [path[len(str(world.repository)) + 1:].split('/')[0] for path in disk.published]
    assert kinds == ['packs', 'index', 'snapshots', 'jobs'] or 'packs' in kinds, disk.published
    assert not disk.losses()


def test_the_manifest_comes_when_all_else_is_durable(traced, world, tmp_path):
    world.ok('init', 'disk')
    traced('run', 'job')
    lines = (tmp_path / 'trace').read_text().splitlines()
    last = next(i for i, line in enumerate(lines) if 'renameat2' in line and '/snapshots/' in line)
    disk = StrictDisk(tmp_path).play('\n'.join(lines[:last]))
    assert any('/packs/' in p for p in disk.published) and any('/index' in p for p in disk.published)
    assert not disk.losses()


def test_objects_that_were_there_are_made_durable(traced, world, tmp_path):
    """A copy that follows a killed one relies on what it finds; that may not be durable yet."""
    world.ok('init', 'disk')
    world.ok('run', 'job')
    world.sink('second', path=tmp_path / 'second')
    world.ok('init', 'second')
    words = ('copy', 'job@latest', '--from', 'disk', '--to', 'second')
    world.ok(*words)
    shutil.rmtree(tmp_path / 'second' / 'index')
    needed = {str(p.parent) for p in (tmp_path / 'second').rglob('*') if p.is_file() and p.name != 'config'}
    disk = traced(*words)
    assert needed <= disk.synced, f'{needed - disk.synced} relied on, but not made durable'
    assert not disk.losses()


def test_directories_that_were_there_are_made_durable(traced, world, tmp_path):
    """Made by somebody who was killed before his fsync."""
    world.ok('init', 'disk')
    for directory in ('packs', 'index', 'snapshots', 'snapshots/testhost', 'snapshots/testhost/job'):
        (world.repository / directory).mkdir(mode=0o700)
    disk = traced('run', 'job')
    assert {str(world.repository), str(world.repository / 'snapshots' / 'testhost')} <= disk.synced, disk.synced


def test_restore(traced, world, tmp_path):
    world.ok('init', 'disk')
    world.ok('run', 'job')
    disk = traced('restore', 'job', '--into', tmp_path / 'into', ignored=('cache', 'conf.d'))
    assert_same_tree(tmp_path / 'tree', tmp_path / 'into' / 'tree')
    assert not disk.losses()
    assert not [path for path in disk.unwritten if path.startswith(str(tmp_path / 'into'))]


def test_key(traced, world, tmp_path):
    world.ok('init', 'disk')
    another, put = tmp_path / 'keys' / 'another', tmp_path / 'keys' / 'put'
    for made, words in ((another, ('create', another)), (put, ('put', world.key, put, '--host', 'testhost'))):
        disk = traced('key', *words)
        assert disk.published == [str(made)] and not disk.losses()
