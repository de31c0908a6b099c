"""Whatever happens to a stored byte: verify says so by name, and restore never passes it on with status 0."""
import os
import random
import shutil

import pytest

from support.cli import DAMAGED, DONE, FAILURES
from support.oracle import assert_same_tree, compare_trees, tree_state
from support.tree import plain_tree


@pytest.fixture
def intact(world, tmp_path):
    """A repository of two snapshots, and what it was, to start from again and again."""
    tree = plain_tree(tmp_path / 'tree', files=12)
    world.simple(tree)
    world.ok('run', 'job')
    (tree / 'added').write_bytes(os.urandom(100_000))
    world.ok('run', 'job')
    world.store.keep()
    return tree_state(tree)


def reset(world, tmp_path) -> None:
    world.store.reset()
    shutil.rmtree(tmp_path / 'cache', ignore_errors=True)


def assert_noticed(world, tmp_path, state, name: str, note: str, statuses=frozenset({DAMAGED})) -> None:
    result = world('verify', 'job', '--all')
    assert result.status in statuses, f'{note}\n{result}'
    assert name in result.text, f'{note}: the object is not named\n{result}'
    into = tmp_path / 'damaged'
    restored = world('restore', 'job', '--into', into)
    assert restored.status in FAILURES | {DONE}, f'{note}\n{restored}'
    if restored.status == DONE:
        differences = compare_trees(state, tree_state(into / 'tree'))
        assert not differences, f'{note}: restored wrong bytes with status 0: {differences[:5]}'
    shutil.rmtree(into, ignore_errors=True)


def flip(path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 0x10
    path.write_bytes(data)


@pytest.mark.sample
@pytest.mark.every_sink(sweep=True)
@pytest.mark.parametrize('kind', ['packs', 'snapshots', 'index'])
def test_flipped_byte(world, tmp_path, intact, kind):
    rng = random.Random(kind)
    for path in world.objects(kind)[-2:]:
        size = path.stat().st_size
        for position in {0, 50, size // 3, size - 5, size - 1, rng.randrange(size)}:
            reset(world, tmp_path)
            flip(path, position)
            assert_noticed(world, tmp_path, intact, path.name, f'{path.name} flipped at {position} of {size}')


@pytest.mark.every_sink
def test_one_flipped_byte_of_each_kind(world, tmp_path, intact):
    for kind in ('packs', 'snapshots', 'index'):
        path = world.objects(kind)[-1]
        size = path.stat().st_size
        reset(world, tmp_path)
        flip(path, size // 2)
        assert_noticed(world, tmp_path, intact, path.name, f'{path.name} flipped at {size // 2} of {size}')


@pytest.mark.every_sink(sweep=True)
@pytest.mark.parametrize('kind', ['packs', 'snapshots', 'index'])
def test_cut_emptied_lengthened(world, tmp_path, intact, kind):
    path = world.objects(kind)[-1]
    whole = path.read_bytes()
    for note, content in (('cut by one', whole[:-1]), ('cut in half', whole[:len(whole) // 2]), ('empty', b''),
                          ('one byte more', whole + b'\0'), ('doubled', whole + whole), ('zeros', bytes(len(whole)))):
        reset(world, tmp_path)
        path.write_bytes(content)
        assert_noticed(world, tmp_path, intact, path.name, f'{path.name} {note}')


@pytest.mark.every_sink
def test_removed_packs(world, tmp_path, intact):
    for path in world.objects('packs'):
        reset(world, tmp_path)
        path.unlink()
        assert_noticed(world, tmp_path, intact, path.name, f'{path.name} removed')


@pytest.mark.every_sink
def test_removed_index_is_made_good(world, tmp_path, intact):
    """The index is a cache of what the packs say."""
    for path in world.objects('index'):
        path.unlink()
    shutil.rmtree(tmp_path / 'cache')
    result = world('restore', 'job', '--into', tmp_path / 'into')
    if result.status == DONE:
        assert not compare_trees(intact, tree_state(tmp_path / 'into' / 'tree'))
    else:
        assert result.status in FAILURES and 'index' in result.err, result


@pytest.mark.every_sink(sweep=True)
@pytest.mark.parametrize('kind', ['packs', 'snapshots', 'index'])
def test_swapped_objects(world, tmp_path, intact, kind):
    first, second = world.objects(kind)[:2]
    one, two = first.read_bytes(), second.read_bytes()
    first.write_bytes(two)
    second.write_bytes(one)
    shutil.rmtree(tmp_path / 'cache')
    assert_noticed(world, tmp_path, intact, first.name, 'swapped')


@pytest.mark.every_sink
def test_rolled_back_repository(world, tmp_path, intact):
    """The newest snapshot is gone, as after an older copy of the disk was put in place: this host remembers."""
    newest = world.snapshots()[-1]
    next(path for path in world.objects('snapshots') if path.name == newest).unlink()
    result = world.fails(DAMAGED, 'verify', 'job', '--all')
    assert newest in result.text, result
    result = world('run', 'job')
    assert newest in result.err, result


@pytest.mark.every_sink
def test_config_object(world, tmp_path, intact):
    path = world.store.object('config')
    whole = path.read_bytes()
    for content in (b'', whole[:-1], whole.replace(b'1', b'2', 1), b'{}', b'\0' * len(whole)):
        path.write_bytes(content)
        for words in (('verify', 'job'), ('run', 'job'), ('restore', 'job', '--into', tmp_path / 'x')):
            world.fails(FAILURES, *words)


def test_damage_is_found_by_quick_verify_too(world, tmp_path, intact):
    path = world.objects('packs')[0]
    path.write_bytes(path.read_bytes()[:-1])
    world.fails(DAMAGED, 'verify', 'job', '--all', '--quick')


@pytest.mark.every_sink(slow=True)
def test_another_pack_in_place_of_a_pack(world, tmp_path, intact):
    """A whole, valid object under a wrong name."""
    first, second = world.objects('packs')[:2]
    first.write_bytes(second.read_bytes())
    assert_noticed(world, tmp_path, intact, first.name, 'replaced by another')


def test_a_damaged_cache_costs_nothing_but_time(world, tmp_path):
    """Whatever byte of the index's cache is wrong, or missing: runs, verify and restore go on, and the snapshot is whole."""
    tree = plain_tree(tmp_path / 'tree', files=12)
    world.simple(tree)
    for i in range(3):
        (tree / f'new{i}').write_bytes(os.urandom(1000))
        world.ok('run', 'job')
    for kind in ('list', '0*'):
        for part in (0, 0.3, 0.6, 0.9, None):
            path = max((tmp_path / 'cache').rglob(f'segments/{kind}'))
            kept = path.read_bytes()
            at = int(len(kept) * part) if part is not None else 0
            path.write_bytes(kept[:at] + bytes([kept[at] ^ 0x20]) + kept[at + 1:] if part is not None else kept[:len(kept) // 2])
            for words in (('verify', 'job', '--quick'), ('run', 'job'), ('restore', 'job', '--into', tmp_path / 'out')):
                world.ok(*words)
            assert_same_tree(tree, tmp_path / 'out' / 'tree')
            shutil.rmtree(tmp_path / 'out')
