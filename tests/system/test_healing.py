"""A pack that was found damaged is not relied on any more: the next run stores again what it can of it, and all is whole."""
import os
import shutil

import pytest

from support.cli import DAMAGED, DONE
from support.oracle import compare_trees, tree_state
from support.tree import plain_tree

FILES = 3


@pytest.fixture
def saved(world, tmp_path):
    """One snapshot of a few files that fill a chunk each."""
    tree = tmp_path / 'tree'
    tree.mkdir()
    for i in range(FILES):
        (tree / f'file{i}').write_bytes(os.urandom(3 << 20))
    world.simple(tree)
    world.job(shrink='off')  # some of the tests take nearly all of it away
    world.ok('run', 'job')
    return tree


def damage(world):
    """In the content of a file: far from the pack's header, its catalogue and its directory."""
    pack = max(world.objects('packs'), key=lambda path: path.stat().st_size)
    data = bytearray(pack.read_bytes())
    data[len(data) // 2] ^= 1
    pack.write_bytes(data)
    return pack


def find_by_verify(world):
    result = world.fails(DAMAGED, 'verify', 'job')
    assert 'the next run stores again' in result.err, result


def find_by_quiet_verify(world):
    world.fails(DAMAGED, '-q', 'verify', 'job')


def find_by_restore(world):
    into = world.base / 'found'
    assert world('restore', 'job', '--into', into).status == DAMAGED
    shutil.rmtree(into)


def find_by_cat(world):
    statuses = {world('cat', 'job', f'tree:file{i}').status for i in range(FILES)}
    assert statuses == {DONE, DAMAGED}, statuses


def find_by_the_next_run(world):
    """One chunk that would be relied on is read back by each run, any of a handful here."""
    for _ in range(150):
        if 'a pack that would be relied on was read back' in world.ok('run', 'job').err:
            return
    raise AssertionError('no run came upon it')


@pytest.mark.parametrize('find', [find_by_verify, find_by_quiet_verify, find_by_restore, find_by_cat, find_by_the_next_run])
def test_what_was_found_damaged_is_stored_again(world, saved, find):
    pack = damage(world)
    find(world)
    world.ok('run', 'job')
    assert sum(path.stat().st_size for path in world.objects('packs') if path != pack) > 3 << 20
    result = world.ok('verify', 'job')
    assert 'all that it held is whole in other packs' in result.err and pack.name in result.err, result
    world.ok('verify', 'job', '--all')
    assert not compare_trees(tree_state(saved), tree_state(world.restored() / 'tree'))
    first = world.snapshots()[0]
    assert not compare_trees(tree_state(saved), tree_state(world.restored(f'job@{first}', 'older') / 'tree'))


def test_an_unchanged_run_stores_nothing_again_without_damage(world, saved):
    world.ok('verify', 'job')
    before = sum(path.stat().st_size for path in world.objects('packs'))
    world.ok('run', 'job')
    assert sum(path.stat().st_size for path in world.objects('packs')) - before < 100_000


def test_a_pack_that_is_put_right_is_relied_on_again(world, saved):
    path = max(world.objects('packs'), key=lambda path: path.stat().st_size)
    whole = path.read_bytes()
    find_by_verify_of(world, damage(world))
    path.write_bytes(whole)
    world.ok('verify', 'job')
    before = sum(path.stat().st_size for path in world.objects('packs'))
    world.ok('run', 'job')
    assert sum(path.stat().st_size for path in world.objects('packs')) - before < 100_000


def find_by_verify_of(world, pack):
    assert pack.name in world.fails(DAMAGED, 'verify', 'job').text


def test_a_pack_that_is_gone_is_stored_again(world, saved):
    pack = max(world.objects('packs'), key=lambda path: path.stat().st_size)
    pack.unlink()
    world.fails(DAMAGED, 'verify', 'job')
    world.ok('run', 'job')
    assert not compare_trees(tree_state(saved), tree_state(world.restored() / 'tree'))
    # The catalogue of the first snapshot went with it, unless the second one's is the same, byte for byte.
    newest = world.snapshots()[-1]
    assert pack.name in world('verify', 'job').text
    world.ok('verify', f'job@{newest}')


def test_what_another_snapshot_lost_is_no_damage_of_this_one(world, saved):
    """The pack with the first snapshot's catalogue is gone; the second snapshot has a catalogue and files of its own."""
    for pack in world.objects('packs'):
        pack.unlink()
    for path in saved.iterdir():
        path.write_bytes(os.urandom(1000))
    world.ok('run', 'job')
    newest = world.snapshots()[-1]
    result = world.ok('verify', f'job@{newest}')
    assert 'the snapshot needs nothing of it' in result.err, result
    world.fails(DAMAGED, 'verify', 'job')


def test_what_the_sources_no_longer_have_stays_damaged(world, saved):
    damage(world)
    find_by_quiet_verify(world)
    for path in saved.iterdir():
        path.write_bytes(os.urandom(1000))
    world.ok('run', 'job')
    world.fails(DAMAGED, 'verify', 'job')
    world.ok('verify', f'job@{world.snapshots()[-1]}')


@pytest.mark.every_sink
def test_healing_in_any_sink(world, tmp_path):
    tree = plain_tree(tmp_path / 'tree', files=4)
    (tree / 'large').write_bytes(os.urandom(5 << 20))
    world.simple(tree)
    world.ok('run', 'job')
    damage(world)
    world.fails(DAMAGED, 'verify', 'job')
    world.ok('run', 'job')
    world.ok('verify', 'job')


def test_copy_puts_a_damaged_pack_right(world, saved, tmp_path):
    """From a sink that has it whole: also what the sources no longer have."""
    for path in saved.iterdir():
        path.write_bytes(os.urandom(1000))
    world.sink('other', path=tmp_path / 'other')
    world.ok('init', 'other')
    world.ok('copy', 'job', '--from', 'disk', '--to', 'other')
    pack = damage(world)
    world.fails(DAMAGED, 'verify', 'job', '--sink', 'disk')
    result = world.ok('copy', 'job', '--from', 'other', '--to', 'disk')
    assert f'{pack.name}' in result.err and 'is whole again' in result.err, result
    result = world.ok('verify', 'job', '--sink', 'disk')
    assert 'damaged or gone' not in result.err, result
    assert 'has' in world.ok('copy', 'job', '--from', 'other', '--to', 'disk').out
