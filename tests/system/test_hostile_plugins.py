"""A plugin of each role that tries what it should not: every try ends as the table of the guide says, also before anybody called it."""
import ctypes
import os
import re
import shutil
import tempfile
from pathlib import Path

import pytest

from support.cli import BAD_CONFIG, CLEAN

TOP = Path(__file__).resolve().parents[2]
GUIDE = (TOP / 'docs' / 'plugin-guide.md').read_text()
DENIED = {'EPERM', 'EACCES'}

# The row of the guide, and what the plugins call it.
TRIES = {
    'read keys, configuration and state': ['key', 'config', 'state'],
    'read what other sources save': ['other'],
    'write elsewhere': ['elsewhere'],
    'send signals': ['signal-engine'],
    'reach the network': ['network'],
    'connect to a socket of this machine': ['socket-here'],
    "the engine's memory": ['engine-mem', 'engine-vm', 'ptrace'],
    'mount, load modules': ['mount', 'module', 'bpf', 'keyctl', 'io-uring', 'handle', 'namespace', 'unshare'],
    'type into the terminal': ['type'],
}
SINK, SOURCE, SOURCE_OF_A_USER = 1, 2, 3

# What is left of root's capabilities, by the names of capabilities(7): numbers of the kernel's header.
KEPT = {SINK: {1, 2, 3}, SOURCE: {0, 1, 2, 3, 4, 5, 6, 7, 21, 24, 27, 31}, SOURCE_OF_A_USER: set()}


def landlock() -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.syscall(444, None, ctypes.c_size_t(0), 1)


def cells(start: str) -> list[str]:
    rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in GUIDE.splitlines() if line.startswith('|')]
    found = [row for row in rows if start in row[0]]
    assert len(found) == 1, f'{len(found)} rows of the guide have {start!r}'
    return found[0]


@pytest.fixture
def hostile(world, tmp_path):
    """look(section, plugin, ...): what came of each try, by (when, what). Everything lies where the plugin's user could get at it, were it
    his."""
    with tempfile.TemporaryDirectory(prefix='cofre-', dir='/tmp') as place, world.for_everybody():
        base = Path(place)
        base.chmod(0o755)
        plugins = base / 'plugins'
        plugins.mkdir(mode=0o755)
        built = Path(os.environ.get('COFRE_BINARY', TOP / 'build' / 'release' / 'cofre')).resolve().parent
        for path in (built / 'tests' / 'plugins').glob('*.so'):
            if path.name.startswith(('hostile-', 'crash-')):
                shutil.copy2(path, plugins)
        world.section('engine', state_dir=base / 'state', cache_dir=base / 'cache', host='testhost',
                      plugin_dir=f'{plugins}, {world.binary.parent / "plugins"}')
        for name in ('keys', 'state', 'other', 'elsewhere', 'store'):
            (base / name).mkdir(mode=0o700)
        for name in ('keys/full.key', 'state/file', 'other/file'):
            (base / name).write_text('content')
            (base / name).chmod(0o600)
        program = Path(shutil.copy('/usr/bin/id', base))
        program.chmod(0o4755)
        targets = {'key': base / 'keys/full.key', 'config': world.conf / 'engine.conf', 'state': base / 'state/file', 'other': base / 'other/file',
                   'elsewhere': base / 'elsewhere', 'place': base / 'store', 'shadow': '/etc/shadow', 'setuid': program}
        (plugins / 'targets').write_text(''.join(f'{name} {path}\n' for name, path in targets.items()))
        (plugins / 'targets').chmod(0o644)

        def look(kind: str, plugin: str, **options) -> dict:
            world.section(f'{kind} bad', plugin=plugin, **options)
            result = world('check', 'bad', env=CLEAN | {'HOSTILE': str(base / 'keys/full.key')})
            world.result = result
            said = re.findall(r'hostile (\w+) ([\w-]+) (\w+)', result.text)
            return {(when, what): came for when, what, came in said}
        world.look, world.there = look, base
        yield world


def assert_as_the_guide_says(said: dict, column: int) -> None:
    for start, tries in TRIES.items():
        allowed = cells(start)[column]
        assert allowed in ('yes', 'no')
        for when in ('load', 'check'):
            for what in tries:
                # The sink describes itself as a child of its worker, and without a network.
                if when == 'load' and column == SINK and what in ('network', 'signal-engine', 'socket-here'):
                    continue
                came = said[when, what]
                assert (came == '0') if allowed == 'yes' else (came in DENIED), f'{when}: {what} came to {came}; the guide: {allowed}'


def assert_rights(said: dict, column: int) -> None:
    assert cells('set-user-id')[column] == 'no'
    mask = int(said['check', 'capabilities'], 16)
    assert {n for n in range(64) if mask & 1 << n} <= KEPT[column]
    if column != SOURCE_OF_A_USER:
        assert mask, 'it keeps nothing, and the test shows nothing'
    assert said['load', 'x32'] == 'EPERM' if ('load', 'x32') in said else True


def test_a_sink(hostile):
    if landlock() < 6:
        assert 'Landlock' in hostile('check').text or landlock() >= 2
        pytest.skip('this kernel cannot')
    said = hostile.look('sink', 'hostile-sink', path=hostile.there / 'store', key=hostile.there / 'keys/full.key')
    assert_as_the_guide_says(said, SINK)
    assert_rights(said, SINK)
    assert said['check', 'place'] == said['check', 'system'] == said['check', 'socket-here'] == '0'
    assert said['check', 'shadow'] in DENIED and said['load', 'place'] in DENIED | {'0'}
    assert not list((hostile.there / 'elsewhere').iterdir())
    # What it asked for, and did not get.
    assert f"kept from '{hostile.there}/keys/full.key'" in hostile.result.err and "kept from '/'" in hostile.result.err


def test_a_sink_that_needs_no_network(hostile):
    said = hostile.look('sink', 'hostile-local-sink', path=hostile.there / 'store', encryption='none')
    assert cells('with `COFRE_NO_NETWORK`')[SINK] == 'no'
    assert said['check', 'network'] == 'EPERM' and said['check', 'socket-here'] == '0'


def test_a_plugin_that_only_describes_itself(hostile):
    hostile.look('sink', 'hostile-sink', path=hostile.there / 'store', encryption='none')
    for plugin in ('hostile-sink', 'hostile-source'):
        text = hostile.ok('plugin', 'describe', plugin).err
        said = dict(re.findall(r'hostile load ([\w-]+) (\w+)', text))
        for what in ('key', 'config', 'state', 'other', 'elsewhere', 'place', 'network', 'engine-mem', 'ptrace', 'mount'):
            assert said[what] in DENIED, what
        assert said['capabilities'] == '0'


def test_a_sink_that_dies_when_it_is_loaded(hostile):
    """In whichever process that is."""
    hostile.section('sink bad', plugin='crash-at-load', encryption='none')
    for words in (('check', 'bad'), ('plugin', 'describe', 'crash-at-load')):
        assert re.search(r'was killed by signal \d+ .*in the middle of load', hostile(*words).err), hostile(*words)


def test_a_source(hostile):
    said = hostile.look('source', 'hostile-source')
    assert_as_the_guide_says(said, SOURCE)
    assert_rights(said, SOURCE)
    assert said['check', 'engine-root'] == '0' and said['check', 'engine-other'] == 'EINVAL'


def test_a_source_of_another_user(hostile):
    said = hostile.look('source', 'hostile-source', run_as='nobody')
    assert_as_the_guide_says(said, SOURCE_OF_A_USER)
    assert_rights(said, SOURCE_OF_A_USER)
    # A program of root's with the set-user-id bit says who it is.
    assert 'hostile' in hostile.result.err and said['check', 'setuid'] == '0'
    numbers = re.findall(r'^(?:.*: )?(\d+)$', hostile.result.err, re.M)
    assert numbers and set(numbers) == {'65534'}, hostile.result
    assert "its worker runs as user 'nobody'" in hostile.result.text


def test_what_runs_as_another_user_works(hostile, tmp_path):
    """Descriptors that the engine hands over, and files of that user."""
    mine = hostile.there / 'mine'
    mine.mkdir(mode=0o700)
    (mine / 'file').write_text('of nobody')
    for path in (mine, mine / 'file', hostile.there / 'store'):
        os.chown(path, 65534, 65534)
    hostile.section('source tree', plugin='directory', path=mine, run_as='nobody')
    hostile.section('sink disk', plugin='local', path=hostile.there / 'store/r', key=tmp_path / 'key', run_as='nobody')
    hostile.job()
    hostile.ok('init', 'disk')
    hostile.ok('run', 'job')
    hostile.ok('run', 'job')
    hostile.ok('verify', 'job')
    hostile.ok('restore', 'job', '--into', tmp_path / 'into')
    assert (tmp_path / 'into/tree/file').read_text() == 'of nobody'
    assert all(path.stat().st_uid == 65534 for path in (hostile.there / 'store/r').rglob('*'))


@pytest.mark.parametrize('words', [('check',), ('check', '--offline'), ('run', 'job')])
def test_a_user_that_there_is_not(world, tmp_path, words):
    (tmp_path / 'tree').mkdir()
    world.simple(tmp_path / 'tree')
    world.source('tree', tmp_path / 'tree', run_as='nosuchuser')
    assert "'run_as': there is no user 'nosuchuser'" in world.fails(BAD_CONFIG, *words).err


def test_only_root_becomes_somebody_else(hostile):
    mine = hostile.there / 'conf.d'
    mine.mkdir(mode=0o700)
    for name, user in (('a', 'root'), ('b', 'nobody')):
        (mine / f'{name}.conf').write_text(f'[source {name}]\nplugin = directory\npath = /usr/share\nrun_as = {user}\n')
    (mine / 'engine.conf').write_text(f'[engine]\nstate_dir = {mine}/state\ncache_dir = {mine}/cache\n')
    for path in (mine, *mine.iterdir()):
        os.chown(path, 65534, 65534)
    hostile.conf = mine
    by_nobody = {'user': 65534, 'group': 65534, 'extra_groups': []}
    assert 'only root can' in hostile.fails(BAD_CONFIG, 'check', '--offline', 'a', **by_nobody).err
    hostile.ok('check', '--offline', 'b', **by_nobody)
