"""What a snapshot needs is written down beside it, and is right: what removes packs goes by it."""
import os
import shutil

import pytest

from support.cli import DAMAGED, DONE
from support.needs import assert_needs
from support.tree import plain_tree

SOME = 900_000


@pytest.fixture
def grown(world, tmp_path):
    """Four snapshots of a tree in which each time other files change, come and go."""
    tree = plain_tree(tmp_path / 'tree', files=30)
    world.simple(tree)
    for i in range(4):
        for name in range(i, 24, 3):
            (tree / f'large-{name}').write_bytes(os.urandom(SOME))
        for name in range(i):
            (tree / f'large-{name}').unlink(missing_ok=True)
        world.ok('run', 'job')
    return world


def test_they_are_what_the_catalogues_say(grown):
    packs = [assert_needs(grown.repository, grown.key, f'testhost/job/{snapshot}') for snapshot in grown.snapshots()]
    assert len(set(map(frozenset, packs))) == 4


def test_an_unchanged_run_and_a_lost_cache(grown):

    grown.ok('run', 'job')
    shutil.rmtree(grown.base / 'cache')
    grown.ok('run', 'job')
    for snapshot in grown.snapshots()[-3:]:
        assert_needs(grown.repository, grown.key, f'testhost/job/{snapshot}')


def test_of_a_put_key(world, tmp_path):
    tree = plain_tree(tmp_path / 'tree', files=20)
    world.simple(tree)
    world.sink(key=world.put_key('own', 'testhost'))
    for i in range(2):
        (tree / 'more').write_bytes(os.urandom(SOME))
        world.ok('run', 'job')
    world.ok('verify', 'job')
    world.sink()
    for snapshot in world.snapshots():
        assert_needs(world.repository, world.key, f'testhost/job/{snapshot}')


def test_of_a_copy(grown, tmp_path):
    """In the other repository they name what is there, also after the copy was interrupted, and after it is whole again."""
    grown.sink('other', path=tmp_path / 'other')
    grown.ok('init', 'other')
    first, *_, last = grown.snapshots()
    for snapshot in (last, first, last):
        grown.ok('copy', f'job@{snapshot}', '--from', 'disk', '--to', 'other')
        assert_needs(tmp_path / 'other', grown.key, f'testhost/job/{snapshot}')
    path = tmp_path / 'other' / 'needs' / 'testhost' / 'job' / last
    path.write_bytes(path.read_bytes()[:-1])
    grown.ok('copy', f'job@{last}', '--from', 'disk', '--to', 'other')
    assert_needs(tmp_path / 'other', grown.key, f'testhost/job/{last}')


def needs_of(world, number):
    return world.repository / 'needs' / 'testhost' / 'job' / world.snapshots()[number]


@pytest.mark.parametrize('case', ['gone', 'cut', 'of another', 'of an earlier run of it'])
def test_verify_names_what_is_wrong_with_them(grown, case):
    path = needs_of(grown, 1)
    data = path.read_bytes()
    if case == 'gone':
        path.unlink()
    else:
        path.write_bytes({'cut': data[:-1], 'of another': needs_of(grown, 2).read_bytes(),
                          'of an earlier run of it': data[:-1] + bytes([data[-1] ^ 1])}[case])
    for words in (('verify', 'job'), ('verify', 'job', '--quick'), ('verify', f'job@{path.name}')):
        result = grown.fails(DAMAGED, *words)
        assert f'needs/testhost/job/{path.name}' in result.out, result
    assert grown('verify', f'job@{grown.snapshots()[0]}').status == DONE
    grown.ok('run', 'job')
