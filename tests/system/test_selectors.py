"""Which snapshot is meant, when a source failed in some of them, or was suspect."""
import json
import shutil

import pytest

from support.cli import FAILED, INCOMPLETE, USAGE
from support.tree import plain_tree


@pytest.fixture
def nights(world, tmp_path):
    """Three nights: all well; the source 'gym' is gone, and 'shop' empty; all well but 'gym'."""
    for name in ('gym', 'shop'):
        world.source(name, plain_tree(tmp_path / name, files=2))
    world.sink()
    world.job('job', 'gym, shop')
    world.ok('init', 'disk')
    world.ok('run', 'job')
    shutil.move(tmp_path / 'gym', tmp_path / 'away')
    shutil.move(tmp_path / 'shop', tmp_path / 'closed')
    (tmp_path / 'shop').mkdir()
    world.fails(INCOMPLETE, 'run', 'job')
    (tmp_path / 'shop').rmdir()
    shutil.move(tmp_path / 'closed', tmp_path / 'shop')
    world.fails(INCOMPLETE, 'run', 'job')
    return world


def test_list_marks_what_is_missing_or_suspect(nights):
    lines = nights.ok('list', 'job').out.splitlines()[1:]
    assert [('!gym' in line, 'shop~' in line) for line in lines] == [(False, False), (True, True), (True, False)]
    snapshots = [line for line in nights.ok('--json', 'list', 'job').json() if line['type'] == 'snapshot']
    assert [[source['status'] for source in s['sources']] for s in snapshots] == \
        [['complete', 'complete'], ['missing', 'complete'], ['missing', 'complete']]
    assert [s['suspect'] for s in snapshots] == [False, True, False]


def test_the_newest_that_has_the_source(nights, tmp_path):
    first, second, third = nights.snapshots()
    assert json.loads(nights.ok('--json', 'ls', 'job', 'gym').out.splitlines()[1])['source'] == 'gym'
    for words in (('ls', 'job', 'gym'), ('ls', 'job', 'gym:'), ('-q', 'restore', 'job', 'gym', '--into', tmp_path / 'x')):
        result = nights.ok(*words)
        assert first in result.err and third in result.err and 'newest that has it' in result.err, result
    assert (tmp_path / 'x' / 'gym').is_dir()
    assert 'newest' not in nights.ok('ls', 'job', 'shop').err
    name = next(e['path'] for e in nights.ok('--json', 'ls', 'job', 'gym').json()[1:] if e['kind'] == 'file' and e['size'])
    assert nights.ok('cat', 'job', f'gym:{name}').out


def test_one_that_lacks_the_source_leads_to_one_that_has_it(nights, tmp_path):
    first, second, third = nights.snapshots()
    for selector in ('job@latest', f'job@{second}', 'job@latest~1'):
        for words in (('ls', selector, 'gym'), ('cat', selector, 'gym:x'), ('restore', selector, 'gym', '--into', tmp_path / 'x')):
            result = nights.fails(FAILED, *words)
            assert f'the newest that has it is job@{first}' in result.err, result
    result = nights.fails(INCOMPLETE, 'restore', 'job', '--into', tmp_path / 'all')
    assert f'the newest that has it is job@{first}' in result.err, result
    assert "did you mean 'gym'" in nights.fails(USAGE, 'ls', 'job', 'gmy').err


def test_complete(nights):
    first, second, third = nights.snapshots()

    def chosen(selector):
        return nights.ok('--json', 'show', selector).json()[-1]['id']

    assert chosen('job@complete') == chosen('job@complete~0') == first
    assert '1 complete snapshot' in nights.fails(FAILED, 'show', 'job@complete~1').err
    for bad in ('job@complete~', 'job@completed', 'job@complete~x'):
        nights.fails(USAGE, 'show', bad)
    assert chosen('job') == third
