"""What was saved comes back: every kind, byte, mode, owner, time and attribute."""
import os
import random
import shutil
from pathlib import Path

import pytest

from support.cli import BAD_CONFIG, FAILED, INCOMPLETE, USAGE
from support.oracle import assert_same_tree, contents, stored_bytes, tree_state
from support.tree import make_tree, plain_tree


EVERYTHING = ('--set', 'setuid=yes', '--set', 'devices=yes')


@pytest.mark.sample
@pytest.mark.every_sink(slow=True)
def test_rich_tree(world, tmp_path):
    tree = make_tree(tmp_path / 'tree')
    before = tree_state(tree)
    world.simple(tree)
    world.ok('run', 'job')
    world.ok('verify', 'job')
    assert_same_tree(before, tree)  # reading changes nothing
    assert_same_tree(before, world.restored('job', 'everything', *EVERYTHING) / 'tree')


@pytest.mark.every_sink
def test_rich_tree_by_the_reference_decoder(world, tmp_path, second_opinion):
    """Without what its plain paths cannot reach."""
    tree = make_tree(tmp_path / 'tree', deep=False)
    world.simple(tree)
    world.ok('run', 'job')
    second_opinion(tree, world.snapshots()[-1])


def test_what_is_dangerous_is_kept_back(world, tmp_path):
    """Unless told otherwise, a restore makes no setuid programs and no devices, and says so."""
    tree = make_tree(tmp_path / 'tree')
    world.simple(tree)
    world.ok('run', 'job')
    into = tmp_path / 'into'
    result = world.fails(INCOMPLETE, 'restore', 'job', '--into', into)
    for name in ('kinds/character', 'kinds/block', 'file 4755', 'attributes/capable'):
        assert name in result.err, result
    found = tree_state(into / 'tree')
    assert b'kinds/character' not in found and b'kinds/block' not in found
    assert not any(int(str(s['mode']), 8) & 0o4000 for s in found.values() if s['kind'] == 'file')
    assert contents(into / 'tree') == {p: c for p, c in contents(tree).items() if c not in ('character', 'block')}


@pytest.mark.sample
@pytest.mark.every_sink
def test_without_encryption(world, tmp_path, second_opinion):
    tree = plain_tree(tmp_path / 'tree')
    world.source('tree', tree)
    world.sink(encryption='none')
    world.job()
    world.ok('init', 'disk')
    world.ok('run', 'job')
    world.ok('verify', 'job')
    assert_same_tree(tree, world.restored() / 'tree')
    assert not world.key.exists()


@pytest.mark.every_sink
def test_holes_come_back_as_holes(world, tmp_path):
    tree = tmp_path / 'tree'
    tree.mkdir()
    with open(tree / 'sparse', 'wb') as file:
        file.write(b'begin')
        file.seek(200 << 20)
        file.write(b'end')
    world.simple(tree)
    world.ok('run', 'job')
    restored = world.restored() / 'tree'
    assert_same_tree(tree, restored)
    assert stored_bytes(restored / 'sparse') < 1 << 20
    assert sum(p.stat().st_size for p in world.objects()) < 1 << 20


@pytest.mark.every_sink(sweep=True)
@pytest.mark.parametrize('size', [0, 1, 4095, 4096, 4097, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, (16 << 20) + 1, 40 << 20])
def test_sizes_around_every_boundary(world, tmp_path, size, second_opinion):
    tree = tmp_path / 'tree'
    tree.mkdir()
    (tree / 'file').write_bytes(random.Random(size).randbytes(size))
    world.simple(tree)
    world.ok('run', 'job')
    assert_same_tree(tree, world.restored() / 'tree')
    second_opinion(tree, world.snapshots()[-1])


@pytest.mark.every_sink
def test_an_empty_source(world, tmp_path):
    tree = tmp_path / 'tree'
    tree.mkdir()
    world.simple(tree)
    world.ok('run', 'job')
    assert_same_tree(tree, world.restored() / 'tree')


@pytest.mark.sample
@pytest.mark.every_sink
def test_history(world, tmp_path, second_opinion):
    """Three generations; each comes back as it was, from the selectors of the manual."""
    tree = plain_tree(tmp_path / 'tree')
    world.simple(tree)
    states = []
    for generation in range(3):
        (tree / 'd1' / 'changed').write_text(f'generation {generation}\n')
        shutil.rmtree(tree / f'd{generation}' / 'e1', ignore_errors=True)
        states.append(tree_state(tree))
        world.ok('run', 'job')
    oldest_first = world.snapshots()
    assert len(oldest_first) == 3
    for selector, state in (('job', 2), ('job@latest', 2), ('job@latest~1', 1), ('job@latest~2', 0),
                            (f'job@{oldest_first[0]}', 0), (f'job@{oldest_first[1]}', 1)):
        assert_same_tree(states[state], world.restored(selector, selector.replace('~', '-')) / 'tree')
    for snapshot, state in zip(oldest_first, states):
        second_opinion(state, snapshot)
    world.fails({FAILED, USAGE}, 'restore', 'job@latest~3', '--into', tmp_path / 'nothing')
    world.ok('verify', 'job', '--all')


@pytest.mark.every_sink
def test_a_part_of_a_source(world, tmp_path):
    tree = make_tree(tmp_path / 'tree')
    world.simple(tree)
    world.ok('run', 'job')
    into = tmp_path / 'part'
    world.ok('restore', 'job', 'tree:links', '--into', into)
    state = tree_state(into / 'tree')
    assert b'links/m first' in state and b'kinds/regular' not in state
    assert state[b'links/z second']['same as'] == state[b'links/m first']['same as']
    into = tmp_path / 'file'
    world.ok('restore', 'job', 'tree:kinds/regular', '--into', into)
    assert (into / 'tree/kinds/regular').read_bytes() == (tree / 'kinds/regular').read_bytes()
    world.fails({FAILED, USAGE}, 'restore', 'job', 'tree:no/such', '--into', tmp_path / 'none')


def test_one_name_of_a_hard_link(world, tmp_path):
    """The second name alone still brings the content."""
    tree = tmp_path / 'tree'
    tree.mkdir()
    (tree / 'a').write_bytes(b'shared content')
    os.link(tree / 'a', tree / 'b')
    world.simple(tree)
    world.ok('run', 'job')
    into = tmp_path / 'second'
    result = world('restore', 'job', 'tree:b', '--into', into)
    if result.status == 0:
        assert (into / 'tree/b').read_bytes() == b'shared content'
    else:
        assert 'b' in result.err, result


@pytest.mark.every_sink
def test_ls_and_cat(world, tmp_path):
    tree = plain_tree(tmp_path / 'tree')
    world.simple(tree)
    world.ok('run', 'job')
    listed = world.ok('ls', 'job', 'tree').out
    for path in tree_state(tree):
        assert path.decode() in listed
    below = world.ok('ls', 'job', 'tree:d1').out
    assert 'd1/e1' in below and 'd2/e' not in below
    file = next(p for p in sorted(tree.rglob('*')) if p.is_file() and p.stat().st_size > 1000)
    out = tmp_path / 'cat'
    with open(out, 'wb') as stream:
        world.ok('cat', 'job', f'tree:{file.relative_to(tree)}', stdout=stream)
    assert out.read_bytes() == file.read_bytes()


def test_restore_does_not_mix_into_what_is_there(world, tmp_path):
    tree = plain_tree(tmp_path / 'tree')
    world.simple(tree)
    world.ok('run', 'job')
    into = tmp_path / 'into'
    (into / 'tree').mkdir(parents=True)
    (into / 'tree' / 'precious').write_text('do not touch')
    world.fails({FAILED, USAGE, BAD_CONFIG}, 'restore', 'job', '--into', into)
    assert [p.name for p in (into / 'tree').iterdir()] == ['precious']


def test_restore_does_not_follow_links_out_of_the_target(world, tmp_path):
    tree = plain_tree(tmp_path / 'tree')
    world.simple(tree)
    world.ok('run', 'job')
    outside = tmp_path / 'outside'
    outside.mkdir()
    into = tmp_path / 'into'
    (into / 'tree').mkdir(parents=True)
    os.symlink(outside, into / 'tree' / 'd1')
    world('restore', 'job', '--into', into, '--yes')
    assert list(outside.iterdir()) == []


@pytest.mark.every_sink
def test_equal_content_is_stored_once(world, tmp_path):
    tree = tmp_path / 'tree'
    tree.mkdir()
    content = random.Random(5).randbytes(8 << 20)
    (tree / 'one').write_bytes(content)
    world.simple(tree)
    world.ok('run', 'job')
    once = sum(p.stat().st_size for p in world.objects('packs'))
    (tree / 'two').write_bytes(content)
    (tree / 'shifted').write_bytes(b'x' * 77 + content)
    world.ok('run', 'job')
    assert sum(p.stat().st_size for p in world.objects('packs')) < 1.5 * once
    assert_same_tree(tree, world.restored() / 'tree')


@pytest.mark.every_sink
def test_a_lost_cache_changes_nothing(world, tmp_path):
    tree = plain_tree(tmp_path / 'tree')
    world.simple(tree)
    world.ok('run', 'job')
    packs = world.objects('packs')
    shutil.rmtree(tmp_path / 'cache')
    world.ok('run', 'job')
    assert world.objects('packs')[:len(packs)] == packs or set(packs) <= set(world.objects('packs'))
    shutil.rmtree(tmp_path / 'cache')
    assert_same_tree(tree, world.restored() / 'tree')


@pytest.mark.every_sink
def test_another_machine_with_the_key_alone(world, tmp_path):
    """Disaster: nothing is left but the repository, the key, and a new configuration."""
    tree = plain_tree(tmp_path / 'tree')
    before = tree_state(tree)
    world.simple(tree)
    world.ok('run', 'job')
    for lost in ('state', 'cache', 'tree'):
        shutil.rmtree(tmp_path / lost, ignore_errors=True)
    assert_same_tree(before, world.restored() / 'tree')
    assert not Path(tree).exists()


def test_elsewhere(world, tmp_path):
    """With --set alone a source is restored to where that leads, and what is there stays."""
    tree = plain_tree(tmp_path / 'tree')
    world.simple(tree)
    world.ok('run', 'job')
    other = tmp_path / 'other'
    world.ok('restore', 'job', 'tree', '--set', f'path={other}')
    assert_same_tree(tree, other)
    name = next(p for p in sorted(other.rglob('*')) if p.is_file())
    name.write_text('mine')
    world.fails(INCOMPLETE, 'restore', 'job', 'tree', '--set', f'path={other}')
    assert name.read_text() == 'mine'
    # The live one is no exception; without a source, or without anything set, it is not clear what is meant.
    live = tree / name.relative_to(other)
    live.write_text('changed')
    world.fails(INCOMPLETE, 'restore', 'job', 'tree', '--set', f'path={tree}')
    assert live.read_text() == 'changed'
    world.fails(USAGE, 'restore', 'job', '--set', f'path={other}')
    world.fails(USAGE, 'restore', 'job', 'tree')
