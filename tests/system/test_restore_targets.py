"""Targets that refuse a part of what is put back, parts of a snapshot, and restores that are to be exact."""
import os
import subprocess

import pytest

from support.cli import BAD_CONFIG, FAILED, INCOMPLETE
from support.mounts import Mounts, run
from support.oracle import assert_same_tree, contents, tree_state
from support.tree import plain_tree


@pytest.fixture
def mounts(tmp_path):
    made = Mounts(tmp_path)
    yield made
    made.close()


@pytest.fixture
def saved(world, tmp_path):
    """A tree with a snapshot of it."""
    tree = plain_tree(tmp_path / 'tree')
    os.link(tree / 'd0' / 'e0' / 'file0', tree / 'd0' / 'second name')
    for path in tree.rglob('file*'):
        os.setxattr(path, 'user.kept', b'value')
        os.chown(path, 1234, 2345)
    world.simple(tree)
    world.ok('run', 'job')
    return tree


def test_a_share_without_modes_owners_attributes_and_links(world, mounts, tmp_path, saved):
    real, shown = tmp_path / 'real', tmp_path / 'shown'
    real.mkdir()
    with mounts.odd(real, shown, 'no-mode', 'no-owner', 'no-attributes', 'no-links'):
        result = world.fails(INCOMPLETE, '--json', 'restore', 'job', '--into', shown)
    assert contents(real / 'tree') == contents(saved)
    assert not (real / 'tree.incomplete').exists()
    lines = [line for line in result.err.splitlines() if 'warning' in line]
    for what in ('owner not set: Operation not permitted (30)', "attribute 'user.kept' not set", 'mode not set', 'hard links became files'):
        assert sum(what in line for line in lines) == 1, (what, result)
    assert len(lines) <= 6, result
    summary = result.json()[-1]
    assert summary['status'] == 'incomplete' and summary['problems'] == 0 and summary['without_metadata'] > 30, summary
    assert summary['entries'] == len(tree_state(saved)), summary


def test_an_attribute_that_is_too_large_for_the_target(world, mounts, tmp_path):
    tree, shown = plain_tree(tmp_path / 'tree', files=2), tmp_path / 'shown'
    os.setxattr(tree / 'd0', 'user.large', b'x' * 1000)
    os.setxattr(tree / 'd1' / 'e1' / 'file1', 'user.large', b'x' * 3000)
    world.simple(tree)
    world.ok('run', 'job')
    (tmp_path / 'real').mkdir()
    with mounts.odd(tmp_path / 'real', shown, 'small-attributes'):
        result = world.fails(INCOMPLETE, 'restore', 'job', '--into', shown)
    assert "attribute 'user.large' is too large for this file system (1000 bytes)" in result.err, result
    assert "(2): 'd0', 'd1/e1/file1'" in result.err and '2 of them without' in result.text, result
    assert contents(tmp_path / 'real' / 'tree') == contents(tree)


def test_a_time_that_the_target_cannot_hold(world, mounts, tmp_path):
    tree = plain_tree(tmp_path / 'tree', files=2)
    run('touch', '-d', '2150-01-01 UTC', tree / 'd0' / 'e0' / 'file0')
    world.simple(tree)
    world.ok('run', 'job')
    disk = mounts.disk('ext4', options=('-I', '128'))
    result = world.fails(INCOMPLETE, 'restore', 'job', '--into', disk / 'into')
    assert 'times are the nearest' in result.err and "'d0/e0/file0'" in result.err, result


def test_several_parts(world, tmp_path, saved):
    into = tmp_path / 'into'
    world.ok('restore', 'job', 'tree:d2', 'tree:d0/e0/file0', 'tree:d2/e2', 'tree:d1/', '--into', into)
    expected = {path: content for path, content in contents(saved).items()
                if path.startswith((b'd1', b'd2')) or path in (b'd0/e0/file0', b'd0/e0', b'd0', b'')}
    assert contents(into / 'tree') == expected


def test_several_sources(world, tmp_path, saved):
    other = world.source('other', plain_tree(tmp_path / 'other', seed=2, files=3))
    world.job(sources='tree, other')
    world.ok('run', 'job')
    into = tmp_path / 'into'
    world.ok('restore', 'job', 'other', 'tree:d1', '--into', into)
    assert contents(into / 'other') == contents(other)
    assert sorted(path.name for path in (into / 'tree').iterdir()) == ['d1']


def test_a_part_that_is_not_there_leaves_nothing_behind(world, tmp_path, saved):
    into = tmp_path / 'into'
    result = world.fails(FAILED, 'restore', 'job', 'tree:d1', 'tree:typo', '--into', into)
    assert "'typo'" in result.err and not into.exists(), result


def test_something_of_another_kind_in_the_way_is_named_with_a_hint(world, saved):
    before = tree_state(saved)
    subprocess.run(['rm', '-r', saved / 'd1'], check=True)
    (saved / 'd1').write_text('in the way')
    result = world.fails(INCOMPLETE, 'restore', 'job', '--in-place', '--yes')
    assert 'remove what is there' in result.err, result
    assert (saved / 'd1').read_text() == 'in the way'
    result = world.ok('restore', 'job', 'tree', '--in-place', '--yes', '--set', 'exact=yes')
    assert_same_tree(before, saved)
    place = next(saved.parent.glob('tree_before_*'))
    assert (place / 'd1').read_text() == 'in the way' and str(place) in result.err, result


def test_exact(world, mounts, saved):
    world.source('tree', saved, exclude='/cache, *.tmp', one_file_system='yes')
    (saved / 'volume').mkdir()
    (saved / 'd3' / 'directory').mkdir()
    world.ok('run', 'job')
    snapshot = world.snapshots()[-1]
    before = tree_state(saved)
    for name in ('0 first', 'd1/new', 'd1/e1/deep', 'zz last', 'cache', 'x.tmp'):
        (saved / name).write_text(name)
    (saved / 'd2' / 'tree' / 'below').mkdir(parents=True)
    (saved / 'd2' / 'tree' / 'below' / 'file').write_text('kept together')
    (saved / 'd3' / 'directory').rmdir()
    (saved / 'd3' / 'directory').write_text('was a directory')
    mounts.tmpfs(saved / 'volume')
    (saved / 'volume' / 'live').write_text('another file system')
    # A part: only what is below it.
    world.ok('restore', 'job', 'tree:d2', '--in-place', '--yes', '--set', 'exact=yes')
    first = saved.parent / f'tree_before_{snapshot}'
    assert contents(first) == {b'': 'directory', b'd2': 'directory', b'd2/tree': 'directory', b'd2/tree/below': 'directory',
                               b'd2/tree/below/file': contents(first)[b'd2/tree/below/file']}
    assert (saved / 'd1' / 'new').exists() and not (saved / 'd2' / 'tree').exists()
    result = world.ok('restore', 'job', '--in-place', '--yes', '--set', 'exact=yes')
    second = saved.parent / f'tree_before_{snapshot}_2'
    assert f"moved to '{second}' (5): '0 first'" in result.err, result
    assert second.stat().st_mode & 0o777 == 0o700
    assert sorted(str(p.relative_to(second)) for p in second.rglob('*') if p.is_file()) == \
        ['0 first', 'd1/e1/deep', 'd1/new', 'd3/directory', 'zz last']
    # What the source leaves out, and other file systems, are no business of it.
    assert (saved / 'volume' / 'live').read_text() == 'another file system'
    mounts.unmount(saved / 'volume')
    mounts.undo.clear()
    for name in ('cache', 'x.tmp'):
        (saved / name).unlink()
    os.utime(saved, ns=(0, before[b'']['mtime']))
    assert_same_tree(before, saved)


def test_exact_in_a_mount_point(world, mounts, tmp_path):
    (tmp_path / 'disk').mkdir()
    disk = mounts.tmpfs(tmp_path / 'disk')
    (disk / 'old').write_text('old')
    world.simple(disk)
    world.ok('run', 'job')
    (disk / 'new').write_text('new')
    world.ok('restore', 'job', '--in-place', '--yes', '--set', 'exact=yes')
    place = next(disk.glob('._before_*'))
    assert (place / 'new').read_text() == 'new' and sorted(p.name for p in disk.iterdir()) == sorted(['old', place.name])
    # It stays, and a second time there is nothing to do.
    assert '_before_' not in world.ok('restore', 'job', '--in-place', '--yes', '--set', 'exact=yes').err


def test_a_source_of_another_plugin(world, tmp_path, saved):
    world.section('source tree', plugin='redis')
    assert "was saved by plugin 'directory' and is now configured with plugin 'redis'" in world.fails(
        BAD_CONFIG, 'restore', 'job', 'tree', '--in-place', '--yes').text
