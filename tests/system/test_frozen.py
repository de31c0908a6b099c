"""Plugins as third parties have built them for earlier levels go on working, byte for byte as they are."""
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from support.cli import DONE

FROZEN = Path(__file__).resolve().parents[1] / 'plugins' / 'frozen'
LEVELS = sorted((path.name for path in FROZEN.iterdir() if path.name.isdigit()), key=int)


@pytest.fixture(params=LEVELS)
def plugins(request, tmp_path):
    """A directory with the two plugins of a level: the binaries that are kept, or made from their recipe elsewhere."""
    place = tmp_path / 'plugins'
    place.mkdir(mode=0o755)
    if platform.machine() == 'x86_64':
        for path in (FROZEN / request.param).glob('*.so'):
            shutil.copyfile(path, place / path.name)
    else:
        subprocess.run([FROZEN / 'make', request.param, place], check=True, timeout=120)
    for path in place.glob('*.so'):
        path.chmod(0o755)
    assert len(list(place.glob('*.so'))) == 2
    return place


@pytest.fixture
def frozen(world, plugins):
    files = world.base / 'files'
    files.mkdir()
    secret = world.base / 'secret'
    secret.touch(mode=0o600)
    secret.write_bytes(b'12345678')
    (files / 'a').write_bytes(b'first\n' * 1000)
    (files / 'b').write_bytes(b'')
    (files / 'large').write_bytes(bytes(range(256)) * 20000)
    (files / 'passed over').write_bytes(b'x')
    world.section('engine', state_dir=world.base / 'state', cache_dir=world.base / 'cache', host='testhost',
                  plugin_dir=f'{plugins}, {world.binary.parent / "plugins"}')
    world.section('source files', plugin='frozen-source', path=files, skip='passed over', password=f'@file:{secret}')
    world.section('sink disk', plugin='frozen-sink', path=world.base / 'objects', encryption='none')
    world.job(sources='files', sinks='disk')
    return files


def source(world) -> dict:
    return world.ok('--json', 'show', 'job').json()[-1]['sources'][0]


def test_a_plugin_of_each_level_works(world, frozen):
    assert 'frozen-source' in world.ok('plugin', 'describe', 'frozen-source').out
    world.ok('init', 'disk')
    world.ok('check')
    world.ok('run', 'job')
    assert list((world.base / 'objects').iterdir())
    first = source(world)
    assert first['facts'] == {'frozen.path': str(frozen), 'frozen.bytes': '5126000', 'frozen.secret': '8', 'frozen.runs': '1'}
    assert first['fact_kinds'] == {'frozen.path': ['identity'], 'frozen.bytes': ['must_match'], 'frozen.runs': ['may_grow']}
    assert [item['name'] for item in first['left_out']] == ['passed over'] and first['entries'] == 3
    (frozen / 'a').write_bytes(b'second\n')
    run = world.ok('--json', 'run', 'job').json()[-1]
    assert run['unchanged'] == 2 and source(world)['facts']['frozen.runs'] == '2'
    world.ok('verify', 'job')
    # In place: what the plugin calls renew is what cofre sets.
    expected = {path.name: path.read_bytes() for path in frozen.iterdir()}
    (frozen / 'b').write_bytes(b'spoilt')
    refused = world('restore', 'job', 'files', '--set', f'path={frozen}')
    assert refused.status != DONE and "create '" in refused.err and (frozen / 'b').read_bytes() == b'spoilt'
    world.ok('restore', 'job', '--in-place', '--yes')
    assert {path.name: path.read_bytes() for path in frozen.iterdir()} == expected
