"""A sink that does not keep its word: what it lists, and what it says it has stored."""
import os
import re
import shutil

import pytest

from support.cli import DAMAGED, DONE, FAILED, FAILURES, INCOMPLETE
from support.directory_store import DirectoryStore
from support.gnupg import Gnupg, stop_agent

OF_ARCHIVE = ['job/', 'SHA256SUMS', 'manifest.json', 'manifest.json.sig']


class FaultyStore(DirectoryStore):
    """The test plugin faulty-sink: a file for each object, with ~ for each slash."""

    def objects(self, kind: str = '') -> list:
        return sorted(p for p in self.root.iterdir() if p.name.startswith(kind))


@pytest.fixture
def store(tmp_path):
    (tmp_path / 'kept').mkdir()
    return FaultyStore(tmp_path / 'kept', plugin='faulty-sink', path=tmp_path / 'kept')


@pytest.fixture(scope='module')
def signed():
    """What a signed archive has in its section."""
    gnupg = Gnupg()
    yield {'sign_with': gnupg.generate('signer'), 'gnupg_home': gnupg.home}
    gnupg.close()


@pytest.fixture
def faulty(world, tmp_path):
    """One job into the sink, which behaves."""
    built = world.binary.parent
    world.section('engine', state_dir=tmp_path / 'state', cache_dir=tmp_path / 'cache', host='testhost',
                  plugin_dir=f'{built / "plugins"}, {built / "tests" / "plugins"}')
    tree = tmp_path / 'tree'
    tree.mkdir()
    for i in range(8):
        (tree / f'file{i}').write_bytes(os.urandom(50_000))
    yield world.simple(tree)
    stop_agent(tmp_path / 'state' / 'gnupg')


def behave(world, habit='none', at='put', **options):
    world.section('sink disk', **world.store.options(), key=world.key, habit=habit, at=at, page=1000, **options)


@pytest.mark.parametrize('command', [('verify', 'job'), ('run', 'job'), ('list', 'job'), ('restore', 'job', '--into', 'x')])
def test_objects_that_are_listed_twice(faulty, tmp_path, command):
    faulty.ok('run', 'job')
    behave(faulty, 'twice', 'list')
    result = faulty.fails(1, *(word if word != 'x' else tmp_path / word for word in command))
    assert "broke its contract in list: it listed '" in result.err and 'twice' in result.err, result


@pytest.mark.parametrize('lists', range(1, 9))
@pytest.mark.parametrize('options', [(), ('--in-process',)])
def test_packs_that_turn_up_during_verify(faulty, tmp_path, lists, options):
    """They are found out as missing, or they are found: whatever was counted before stays within its bounds."""
    faulty.ok('run', 'job')
    for index in faulty.store.objects('index'):
        index.unlink()
    pack, = faulty.store.objects('packs')
    behave(faulty, 'late', 'list', match=pack.name.replace('~', '/'), times=lists)
    result = faulty(*options, 'verify', 'job')
    assert result.status in (DONE, DAMAGED), result
    assert result.status == DAMAGED or ' 0 objects' not in result.text, f'nothing was looked at\n{result}'


def tree_and_change(world, name='new'):
    (world.base / 'tree' / name).write_bytes(os.urandom(30_000))


@pytest.mark.parametrize('kind', ['packs/', 'index/', 'snapshots/'])
@pytest.mark.parametrize('habit', ['nothing', 'half', 'other'])
def test_what_was_taken_and_not_kept(faulty, habit, kind):
    """The sink says that it has stored an object, and has not: then the snapshot is not committed there."""
    faulty.ok('run', 'job')
    tree_and_change(faulty)
    behave(faulty, habit, match=kind)
    result = faulty.fails(FAILED, 'run', 'job')
    assert f"'{kind}" in result.err and 'committed' not in result.text.replace('not committed', ''), result
    behave(faulty)
    saved, = faulty.ok('run', 'job').ids
    assert len(faulty('list', 'job').ids) == 2 + (kind == 'snapshots/' and habit != 'nothing')
    faulty.ok('restore', f'job@{saved}', '--into', faulty.base / 'back')


def test_a_sink_that_keeps_nothing_is_dropped_and_the_others_go_on(faulty, tmp_path):
    faulty.sink('other', path=tmp_path / 'other')
    faulty.job(sinks='disk, other')
    faulty.ok('init', 'other')
    behave(faulty, 'nothing', match='packs/')
    result = faulty.fails(INCOMPLETE, 'run', 'job')
    assert re.search(r"sink 'disk': 'packs/\S+' was stored and is not there", result.err), result
    assert faulty.ok('list', 'job', '--sink', 'other').ids and not faulty.ok('list', 'job', '--sink', 'disk').ids


@pytest.mark.parametrize('kind', OF_ARCHIVE)
@pytest.mark.parametrize('habit', ['nothing', 'half', 'other'])
def test_an_archive_of_which_nothing_is_kept(faulty, signed, habit, kind):
    options = signed if kind.endswith('.sig') else {}
    behave_archive(faulty, **options)
    faulty.ok('init', 'disk')
    for path in list((faulty.base / 'tree').iterdir())[1:]:
        path.unlink()  # one sample of its bytes is then the whole
    behave_archive(faulty, habit, match=kind, **options)
    result = faulty.fails(FAILED, 'run', 'job')
    assert re.search(r"'job/\S+/(tree.tar|SHA256SUMS|manifest.json)", result.err) and kind in result.err, result
    behave_archive(faulty, **options)
    saved, = faulty.ok('run', 'job').ids
    faulty.ok('verify', f'job@{saved}')


def behave_archive(world, habit='none', **options):
    place = world.base / 'archive'
    place.mkdir(exist_ok=True)
    world.section('sink disk', plugin='faulty-sink', path=place, format='archive', encryption='none', compress='none',
                  habit=habit, at='put', page=1000, **options)


@pytest.mark.parametrize('kind', ['repository', 'archive'])
@pytest.mark.parametrize('habit', ['nothing', 'half', 'other'])
def test_init_reads_back_what_it_wrote(faulty, habit, kind):
    shutil.rmtree(faulty.store.root)
    faulty.store.root.mkdir()
    if kind == 'archive':
        behave_archive(faulty, habit)
    else:
        behave(faulty, habit)
    faulty.fails(FAILURES, 'init', 'disk')


@pytest.mark.parametrize('kind', ['packs/', 'index/', 'snapshots/', *OF_ARCHIVE])
@pytest.mark.parametrize('habit', ['nothing', 'half', 'other'])
def test_copy_to_a_sink_that_does_not_keep_it(faulty, signed, tmp_path, habit, kind):
    is_archive = kind in OF_ARCHIVE
    signature = signed if kind.endswith('.sig') else {}
    options = {'format': 'archive', 'encryption': 'none'} | signature if is_archive else {'key': faulty.key}
    faulty.section('sink good', plugin='local', path=tmp_path / 'good', **options)
    faulty.job(sinks='good')
    faulty.ok('init', 'good')
    faulty.ok('run', 'job')
    if is_archive:
        behave_archive(faulty, **signature)
        faulty.ok('init', 'disk')
        behave_archive(faulty, habit, match=kind, **signature)
    else:
        behave(faulty, habit, match=kind)
    result = faulty.fails(FAILED, 'copy', 'job', '--from', 'good', '--to', 'disk')
    assert "sink 'disk'" in result.err and kind in result.err, result
