"""run JOB SOURCE: some sources of a job, in a snapshot that says so."""
import shutil

import pytest

from support.cli import FAILED, INCOMPLETE, USAGE
from support.tree import plain_tree


@pytest.fixture
def made(world, tmp_path):
    for name in ('gym', 'shop', 'blog'):
        world.source(name, plain_tree(tmp_path / name, files=2))
    world.sink()
    world.job('job', 'gym, shop, blog')
    world.job('other', 'blog')
    world.ok('init', 'disk')
    return world


def snapshots(world) -> list[dict]:
    return [line for line in world.ok('--json', 'list', 'job').json() if line['type'] == 'snapshot']


def chosen(world, selector) -> str:
    return world.ok('--json', 'show', selector).json()[-1]['id']


def test_a_partial_snapshot(made, tmp_path, second_opinion):
    made.ok('run', 'job')
    (tmp_path / 'shop' / 'new').write_text('new')
    result = made.ok('run', 'job', 'shop', 'gym')
    assert 'some sources of' in result.out, result
    whole, part = snapshots(made)
    assert (whole['status'], whole['partial']) == ('complete', False)
    assert (part['status'], part['partial'], [s['name'] for s in part['sources']]) == ('partial', True, ['gym', 'shop'])
    assert 'partial' in made.ok('list', 'job').out.splitlines()[2] and 'partial' in made.ok('show', f'job@{part["id"]}').out

    assert [chosen(made, s) for s in ('job', 'job@complete', 'job@latest~1')] == [whole['id']] * 3
    assert chosen(made, 'job@latest') == part['id'], 'an age is taken as it is'
    assert part['id'] in made.ok('show', 'job').err
    assert made.ok('cat', 'job', 'shop:new').out == made.ok('cat', 'job@latest', 'shop:new').out == 'new'
    assert made.ok('cat', 'job@complete', 'shop:new').out == 'new'
    assert 'newest' not in made.ok('ls', 'job', 'blog').err, 'nobody expects it in the partial one'
    made.ok('restore', f'job@{part["id"]}', '--into', tmp_path / 'part')
    assert sorted(p.name for p in (tmp_path / 'part').iterdir()) == ['gym', 'shop']
    made.ok('verify')
    second_opinion(tmp_path / 'shop', part['id'], 'shop')

    result = made.ok('--json', 'run', 'job').json()[-1]
    assert result['status'] == 'complete'
    assert chosen(made, 'job') == snapshots(made)[-1]['id']


def test_a_partial_snapshot_that_is_not_whole(made, tmp_path):
    shutil.rmtree(tmp_path / 'gym')
    made.fails(INCOMPLETE, 'run', 'job', 'gym', 'shop')
    assert [(s['status'], s['partial']) for s in snapshots(made)] == [('incomplete', True)]
    assert 'name a source' in made.fails(FAILED, 'show', 'job').err
    assert 'nothing of source' in made.fails(FAILED, 'ls', 'job', 'gym').err
    made.fails(USAGE, 'ls', 'job', 'blog')
    made.ok('ls', 'job', 'shop')


def test_in_an_archive(made, tmp_path):
    made.section('sink box', plugin='local', path=tmp_path / 'box', format='archive', encryption='none')
    made.job('job', 'gym, shop, blog', 'box')
    made.ok('init', 'box')
    made.ok('run', 'job', 'blog')
    assert [(s['status'], s['partial']) for s in snapshots(made)] == [('partial', True)]
    made.ok('run', 'job')
    made.ok('verify')
    made.ok('restore', 'job', 'blog', '--into', tmp_path / 'out')


def test_all_sources_are_the_whole_job(made):
    made.ok('run', 'job', 'blog', 'gym', 'shop', 'gym')
    assert [(s['status'], s['partial']) for s in snapshots(made)] == [('complete', False)]


def test_words(made):
    assert made.ok('run', 'job', 'shop', '--dry-run').out and not snapshots(made)
    assert "neither a job nor a source of job 'job'" in (result := made.fails(USAGE, 'run', 'job', 'shpo')).err
    assert "'shop'" in result.err
    assert "'other' is no source" in made.fails(USAGE, 'run', 'job', 'shop', 'other').err
    made.fails(USAGE, 'run', 'job', 'other', 'shop')
    made.job('shop', 'shop')
    assert 'cofre run shop' in made.fails(USAGE, 'run', 'job', 'shop').err
    assert not snapshots(made)
    made.ok('run', 'job', 'other')
    assert len(snapshots(made)) == 1
