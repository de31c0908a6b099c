"""The chain of an archive's snapshots: what is taken away, put back to an older state, or replaced, shows."""
import os
import shutil

import pytest

from support.archive import forge, manifest, snapshots
from support.cli import DAMAGED, INCOMPLETE
from support.gnupg import stop_agent
from support.tree import plain_tree


@pytest.fixture
def place(world, tmp_path):
    """An archive, initialised, and a job that saves a small tree into it."""
    world.source('tree', plain_tree(tmp_path / 'tree', files=3))
    world.section('sink disk', plugin='local', path=tmp_path / 'disk', format='archive', encryption='none')
    world.job()
    world.ok('init', 'disk')
    yield tmp_path / 'disk'
    stop_agent(tmp_path / 'state' / 'gnupg')


def run(world, tmp_path, times: int, **options) -> None:
    for _ in range(times):
        (tmp_path / 'tree' / 'new').write_bytes(os.urandom(100))
        world.ok('run', 'job', **options)


def add_sinks(world, tmp_path) -> None:
    """A second archive, whose manifests have other bytes, and a repository, in the same job."""
    world.section('sink second', plugin='local', path=tmp_path / 'second', format='archive', compress='gzip', encryption='none')
    world.sink('whole', path=tmp_path / 'whole')
    world.ok('init', 'second')
    world.ok('init', 'whole')


def test_a_snapshot_taken_away_shows(world, tmp_path, place):
    run(world, tmp_path, 3)
    assert 'all whole' in world.ok('verify').out
    taken = snapshots(place)[1]
    shutil.rmtree(taken)
    found = world.fails(DAMAGED, 'verify')
    assert '1 snapshots between' in found.text and snapshots(place)[-1].name in found.text, found


@pytest.mark.parametrize('kept', [0, 1])
def test_an_older_state_shows(world, tmp_path, place, kept):
    run(world, tmp_path, 2)
    newest = snapshots(place)[-1].name
    for snapshot in snapshots(place)[kept:]:
        shutil.rmtree(snapshot)
    found = world.fails(DAMAGED, 'verify')
    assert newest in found.text and 'is gone' in found.text, found


def test_a_replaced_snapshot_shows(world, tmp_path, place):
    run(world, tmp_path, 3)
    first, second, third = snapshots(place)
    files = {'tree.tar.zst': (second / 'tree.tar.zst').read_bytes()}

    def change(m):
        m['files'] = manifest(second)['files']
        m['ended'] = '2030' + m['ended'][4:]
    forge(second, files, change)
    found = world.fails(DAMAGED, 'verify')
    assert third.name in found.text and 'is not the one that it followed' in found.text, found
    shutil.rmtree(second)
    shutil.rmtree(third)
    found = world.fails(DAMAGED, 'verify')
    assert third.name in found.text and first.name not in found.text, found


def test_a_replaced_newest_snapshot_shows(world, tmp_path, place):
    run(world, tmp_path, 1)
    [only] = snapshots(place)
    files = manifest(only)['files']

    def change(m):
        m['files'] = files
        m['ended'] = '2030' + m['ended'][4:]
    forge(only, {'tree.tar.zst': (only / 'tree.tar.zst').read_bytes()}, change)
    assert 'not the one that was committed' in world.fails(DAMAGED, 'verify').text


@pytest.mark.parametrize('sinks', ['disk, second', 'second, whole, disk'])
def test_sinks_of_one_job_have_one_chain(world, tmp_path, place, sinks):
    """Also when this machine has forgotten it, and a sink has been away for a run and was brought up to date."""
    add_sinks(world, tmp_path)
    world.job(sinks=sinks)
    run(world, tmp_path, 2)
    shutil.rmtree(tmp_path / 'state' / 'jobs')
    run(world, tmp_path, 2)
    assert len(snapshots(place)) == 4
    world.ok('verify')
    place.rename(tmp_path / 'away')
    assert world('run', 'job').status == INCOMPLETE
    (tmp_path / 'away').rename(place)
    run(world, tmp_path, 1)
    assert len(snapshots(place)) == 5
    world.ok('verify')
    shutil.rmtree(snapshots(tmp_path / 'second')[2])
    world.ok('verify', '--sink', 'disk')
    assert '1 snapshots between' in world.fails(DAMAGED, 'verify', '--sink', 'second').text


def test_a_copied_snapshot_has_its_place(world, tmp_path, place):
    world.section('sink second', plugin='local', path=tmp_path / 'second', format='archive', encryption='none')
    world.ok('init', 'second')
    world.job(sinks='disk, second')
    run(world, tmp_path, 1)
    (tmp_path / 'second').rename(tmp_path / 'away')
    assert world('run', 'job').status == INCOMPLETE
    (tmp_path / 'away').rename(tmp_path / 'second')
    missed = snapshots(place)[-1].name
    run(world, tmp_path, 1)
    world.ok('verify')
    world.ok('copy', f'job@{missed}', '--from', 'disk', '--to', 'second')
    assert len(snapshots(tmp_path / 'second')) == 3
    world.ok('verify')
