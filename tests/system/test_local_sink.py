"""The sink in a directory: what it refuses, and what it leaves on the disk."""
import os
import subprocess

import pytest

from support.cli import FAILURES
from support.oracle import assert_same_tree
from support.tree import plain_tree


@pytest.fixture
def made(world, tmp_path):
    return world.simple(plain_tree(tmp_path / 'tree', files=8))


def test_an_unmounted_disk_is_not_written_beside(world, tmp_path, tmpfs):
    tree = plain_tree(tmp_path / 'tree', files=8)
    disk = tmpfs('disk', 'size=64m')
    world.source('tree', tree)
    world.sink(path=disk / 'cofre')
    world.job()
    world.ok('init', 'disk')
    world.ok('run', 'job')
    subprocess.run(['umount', disk], check=True)
    for words in (('run', 'job'), ('list', 'job'), ('verify', 'job'), ('restore', 'job', '--into', tmp_path / 'x')):
        result = world.fails(FAILURES, *words)
        assert 'mounted' in result.err, result
    assert list(disk.iterdir()) == []
    subprocess.run(['mount', '-t', 'tmpfs', 'tmpfs', disk], check=True)


def test_modes_whatever_the_umask(made):
    for umask in ('000', '777', '022'):
        done = made('run', 'job', prefix=('/bin/sh', '-c', f'umask {umask}; exec "$@"', 'sh'))
        assert done.status == 0, done
    for directory, _, files in os.walk(made.repository):
        assert os.stat(directory).st_mode & 0o7777 == 0o700, directory
        for name in files:
            assert os.stat(os.path.join(directory, name)).st_mode & 0o7777 == 0o600, name
    assert made.key.stat().st_mode & 0o7777 == 0o600


def test_restored_modes_whatever_the_umask(made, tmp_path):
    made.ok('run', 'job')
    for umask in ('000', '777'):
        into = tmp_path / f'umask-{umask}'
        made.ok('restore', 'job', '--into', into, prefix=('/bin/sh', '-c', f'umask {umask}; exec "$@"', 'sh'))
        assert_same_tree(tmp_path / 'tree', into / 'tree')


def test_no_debris(made):
    made.ok('run', 'job')
    assert [p for p in (made.repository / '.tmp').iterdir()] == []


def test_foreign_things_are_left_alone(made, tmp_path):
    (made.repository / 'lost+found').mkdir()
    (made.repository / 'lost+found' / 'x').write_text('x')
    made.ok('run', 'job')
    made.ok('verify', 'job')
    assert (made.repository / 'lost+found' / 'x').exists()


def test_links_inside_are_not_followed(made, tmp_path):
    made.ok('run', 'job')
    packs = made.repository / 'packs'
    packs.rename(tmp_path / 'moved')
    packs.symlink_to(tmp_path / 'moved')
    made.fails(FAILURES, 'verify', 'job')
    made.fails(FAILURES, 'restore', 'job', '--into', tmp_path / 'x')


def test_what_lies_beside_does_not_matter(made):
    """Somebody's socket or link in the same directory is nothing to us; among the objects it is."""
    made.ok('run', 'job')
    os.mkfifo(made.repository / 'pipe')
    (made.repository / 'link').symlink_to('/')
    made.ok('run', 'job')
    made.ok('verify', 'job')
    os.mkfifo(made.repository / 'packs' / 'pipe')
    assert 'pipe' in made.ok('verify', 'job').err


def test_packs_are_named_by_their_hash(made):
    """A store can be scrubbed with b3sum and no key."""
    made.ok('run', 'job')
    packs = made.objects('packs')
    assert packs
    for pack in packs:
        found = subprocess.run(['b3sum', pack], capture_output=True, text=True, check=True).stdout.split()[0]
        assert found == pack.name


def test_init_makes_missing_parents_and_refuses_a_full_directory(world, tmp_path):
    world.sink(path=tmp_path / 'a' / 'b' / 'c')
    world.ok('init', 'disk')
    assert (tmp_path / 'a' / 'b').stat().st_mode & 0o7777 == 0o700
    other = tmp_path / 'used'
    other.mkdir(mode=0o700)
    (other / 'config').write_text('something else')
    world.sink('used', path=other)
    world.fails(FAILURES, 'init', 'used')
    assert (other / 'config').read_text() == 'something else'


def test_check_of_a_disk(made):
    made.ok('check')
    made.repository.chmod(0o755)
    assert 'chmod 0700' in made('check').text
    os.rename(made.repository, str(made.repository) + '.away')
    result = made.fails(FAILURES, 'check')
    assert 'mounted' in result.text
