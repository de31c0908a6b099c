"""A sink that does not keep its word: what it lists, and what it says it has stored."""
import os

import pytest

from support.cli import DAMAGED, DONE
from support.directory_store import DirectoryStore


class FaultyStore(DirectoryStore):
    """The test plugin faulty-sink: a file for each object, with ~ for each slash."""

    def objects(self, kind: str = '') -> list:
        return sorted(p for p in self.root.iterdir() if p.name.startswith(kind))


@pytest.fixture
def store(tmp_path):
    (tmp_path / 'kept').mkdir()
    return FaultyStore(tmp_path / 'kept', plugin='faulty-sink', path=tmp_path / 'kept')


@pytest.fixture
def faulty(world, tmp_path):
    """One job into the sink, which behaves."""
    built = world.binary.parent
    world.section('engine', state_dir=tmp_path / 'state', cache_dir=tmp_path / 'cache', host='testhost',
                  plugin_dir=f'{built / "plugins"}, {built / "tests" / "plugins"}')
    tree = tmp_path / 'tree'
    tree.mkdir()
    for i in range(8):
        (tree / f'file{i}').write_bytes(os.urandom(50_000))
    return world.simple(tree)


def behave(world, habit='none', at='put', **options):
    world.section('sink disk', **world.store.options(), key=world.key, habit=habit, at=at, page=1000, **options)


@pytest.mark.parametrize('command', [('verify', 'job'), ('run', 'job'), ('list', 'job'), ('restore', 'job', '--into', 'x')])
def test_objects_that_are_listed_twice(faulty, tmp_path, command):
    faulty.ok('run', 'job')
    behave(faulty, 'twice', 'list')
    result = faulty.fails(1, *(word if word != 'x' else tmp_path / word for word in command))
    assert "broke its contract in list: it listed '" in result.err and 'twice' in result.err, result


@pytest.mark.parametrize('lists', range(1, 9))
@pytest.mark.parametrize('options', [(), ('--in-process',)])
def test_packs_that_turn_up_during_verify(faulty, tmp_path, lists, options):
    """They are found out as missing, or they are found: whatever was counted before stays within its bounds."""
    faulty.ok('run', 'job')
    for index in faulty.store.objects('index'):
        index.unlink()
    pack, = faulty.store.objects('packs')
    behave(faulty, 'late', 'list', match=pack.name.replace('~', '/'), times=lists)
    result = faulty(*options, 'verify', 'job')
    assert result.status in (DONE, DAMAGED), result
    assert result.status == DAMAGED or ' 0 objects' not in result.text, f'nothing was looked at\n{result}'
