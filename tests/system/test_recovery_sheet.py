"""The recovery sheet brings everything back on a new machine, also to where it came from."""
import re
import shutil

import pytest

from support.cli import CLEAN
from support.tree import plain_tree


@pytest.fixture
def made(world, tmp_path):
    world.secret = tmp_path / 'password'
    world.secret.write_text('hunter7')
    world.secret.chmod(0o600)
    world.source('tree', plain_tree(tmp_path / 'tree', files=3), exclude=r'a\,b, $${HOME}, *.tmp')
    world.section('source gym', plugin='postgres', host='${GYM_HOST:-127.0.0.1}', port=1, password=f'@file:{world.secret}')
    world.section('source shop', plugin='redis', host='127.0.0.1', port=1, password='hunter7-literal')
    world.section('source blog', plugin='postgres', host='${BLOG_HOST}')
    world.source('elsewhere', tmp_path / 'elsewhere')
    world.sink()
    world.sink('other', path=tmp_path / 'other')
    world.job('job', 'tree, gym', 'disk')
    world.job('job2', 'gym, shop, blog', 'disk, other')
    world.job('job3', 'elsewhere', 'other')
    return world


def configuration(sheet: str) -> str:
    return re.search(r'\n(\[engine\]\n.*?)\n\n  3\. ', sheet, re.S)[1]


def test_sections_of_the_sources(made, tmp_path):
    sheet = made.ok('init', 'disk').out
    for line in ('[source tree]', r'exclude = a\,b, $${HOME}, *.tmp', 'host = 127.0.0.1', f'password = @file:{made.secret}',
                 'password = (a secret: write it again)'):
        assert f'\n{line}\n' in sheet, (line, sheet)
    assert 'hunter7' not in sheet and 'elsewhere' not in sheet and sheet.count('[source gym]') == 1
    assert 'BLOG_HOST' in sheet and '\n[source blog]' not in sheet
    assert made.ok('init', 'disk').out == sheet


def test_back_to_where_it_came_from(made, tmp_path):
    sheet = made.ok('init', 'disk').out
    made.job('job', 'tree', 'disk')
    made.ok('run', 'job')
    shutil.copytree(tmp_path / 'tree', tmp_path / 'before', symlinks=True)
    for path in made.conf.iterdir():
        path.unlink()
    for name in ('state', 'cache'):
        shutil.rmtree(tmp_path / name)
    made.write('recovery.conf', configuration(sheet).replace('[engine]\n', f'[engine]\nstate_dir = {tmp_path}/s\ncache_dir = {tmp_path}/c\n'))
    (tmp_path / 'tree').rename(tmp_path / 'gone')
    (tmp_path / 'tree').mkdir()
    made.ok('restore', 'job', '--in-place', '--yes', env=CLEAN)
    assert {p.name: p.read_bytes() for p in (tmp_path / 'tree').rglob('*') if p.is_file()} == \
        {p.name: p.read_bytes() for p in (tmp_path / 'before').rglob('*') if p.is_file()}
