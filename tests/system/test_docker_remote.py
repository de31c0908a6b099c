"""Volumes that are read through the daemon: of a daemon elsewhere, or of a driver with options. What comes is an archive."""
import io
import json
import os
import subprocess
import tarfile
import threading
import time

import pytest

from support.cli import CLEAN, DONE, INCOMPLETE
from support.docker import Dockerd, docker, running_docker  # noqa: F401
from support.docker_proxy import DockerProxy, cut, error, said
from support.oracle import compare_trees, tree_state
from support.tree import make_tree, plain_tree
from support.watchdog import kill_with_watchdog

from test_docker_volume import fill

EVERYTHING = ('--set', 'setuid=yes', '--set', 'devices=yes')


@pytest.fixture
def far(world, docker):  # noqa: F811
    """A proxy on TCP, and a source that knows no other way to the daemon."""
    with DockerProxy(docker.socket, tcp=True) as proxy:
        def configure(**options):
            world.section('source shop', plugin='docker-volume', docker=proxy.address, **options)
            world.sink()
            world.job(sources='shop')
            if not world.repository.exists():
                world.ok('init', 'disk')
            return world

        configure.proxy = proxy
        yield configure


def whole_seconds(state):
    """As the daemon's archive has it: no fractions of a second, no attributes but capabilities."""
    for entry in state.values():
        entry['mtime'] = entry['mtime'] // 10**9 * 10**9
        entry['attributes'] = {name: value for name, value in entry['attributes'].items() if name == 'security.capability'}
    return state


def assert_came_back(files, restored):
    differences = compare_trees(whole_seconds(tree_state(files)), whole_seconds(tree_state(restored)))
    assert not differences, '\n'.join(differences[:40])


MOUNTED = {
    'running': lambda docker: docker.run('con', 'tiny', '-v', 'vol:/some/where'),  # noqa: F811
    'created': lambda docker: docker.create('con', 'tiny', '-v', 'vol:/some/where'),  # noqa: F811
    'covered': lambda docker: docker.run('con', 'tiny', '-v', 'vol:/some', '-v', 'other:/some/where'),  # noqa: F811
    'nobody': lambda docker: None,  # noqa: F811
}


@pytest.mark.parametrize('mounted', MOUNTED)
def test_everything_a_volume_can_hold(far, docker, mounted):  # noqa: F811
    files = fill(docker, 'vol', lambda path: make_tree(path, deep=False))
    if mounted == 'covered':
        (files / 'where').mkdir()
    MOUNTED[mounted](docker)
    there = docker.everything()
    world = far(volumes='vol')
    world.ok('run', 'job')
    assert_came_back(files, world.restored('job', 'restored', *EVERYTHING) / 'shop' / 'vol')
    assert docker.everything() == there
    made = far.proxy.requests('POST', '/containers/create')
    assert len(made) == (mounted in ('covered', 'nobody'))
    assert not far.proxy.requests('POST', '/start')


def test_again_unchanged_is_stored_once(far, docker):  # noqa: F811
    fill(docker, 'vol')
    world = far(volumes='vol')
    world.ok('run', 'job')
    before = sum(p.stat().st_size for p in world.objects('packs'))
    world.ok('run', 'job')
    assert sum(p.stat().st_size for p in world.objects('packs')) - before < 20_000


def test_what_is_left_out(far, docker):  # noqa: F811
    files = docker.volume('vol')
    for path in ('keep', 'x.tmp', 'cache/a', 'thumbs/b', 'deep/thumbs/c'):
        (files / path).parent.mkdir(parents=True, exist_ok=True)
        (files / path).write_text(path)
    os.link(files / 'cache/a', files / 'link')
    os.link(files / 'keep', files / 'linked')
    world = far(volumes='vol', exclude_paths='*.tmp, cache/, /vol/thumbs')
    result = world.fails(INCOMPLETE, 'run', 'job')
    assert 'link' in result.text and 'another name of a file that is not kept' in result.text, result
    restored = world.restored() / 'shop/vol'
    assert sorted(str(p.relative_to(restored)) for p in restored.rglob('*') if p.is_file()) == ['deep/thumbs/c', 'keep', 'linked']


def test_a_volume_of_a_driver_with_options(world, docker, tmp_path):  # noqa: F811
    """Its place is an empty directory while nobody uses it."""
    place = plain_tree(tmp_path / 'bound')
    docker.volume('vol', '--opt=type=none', '--opt=o=bind', f'--opt=device={place}')
    assert not list(docker.files('vol').iterdir())
    world.section('source shop', plugin='docker-volume', docker=docker.address, volumes='vol')
    world.sink()
    world.job(sources='shop')
    world.ok('init', 'disk')
    there = docker.everything()
    world.ok('run', 'job')
    assert docker.everything() == there
    restored = world.restored() / 'shop'
    assert_came_back(place, restored / 'vol')
    said_of = json.loads((restored / '.docker/volumes/vol.json').read_text())
    assert said_of['DriverOpts'] == {'type': 'none', 'o': 'bind', 'device': str(place)}


def test_a_volume_that_cannot_be_mounted(world, docker, tmp_path):  # noqa: F811
    docker.volume('vol', '--opt=type=none', '--opt=o=bind', f'--opt=device={tmp_path}/nowhere')
    fill(docker, 'good')
    world.section('source shop', plugin='docker-volume', docker=docker.address, volumes='*')
    world.sink()
    world.job(sources='shop')
    world.ok('init', 'disk')
    there = docker.everything()
    result = world.fails(INCOMPLETE, 'run', 'job')
    assert "'vol'" in result.text and 'failed to mount' in result.text, result
    assert docker.everything() == there
    assert (world.restored() / 'shop/good').is_dir()


def test_tls(world, tmp_path):
    with Dockerd(tls=True) as daemon:
        files = fill(daemon, 'vol')
        world.section('source shop', plugin='docker-volume', docker=f'tcp://127.0.0.1:{daemon.port}', docker_tls=daemon.certificates, volumes='vol')
        world.sink()
        world.job(sources='shop')
        world.ok('init', 'disk')
        world.ok('run', 'job')
        assert_came_back(files, world.restored() / 'shop/vol')


# ---- archives that are not as they should be ----

def archive(*entries, end=True):
    """Of (name, content or None for a directory, further members)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w', format=tarfile.PAX_FORMAT) as tar:
        for name, content, *more in entries:
            info = tarfile.TarInfo(name)
            info.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            info.size = len(content or b'')
            for member, value in (more[0] if more else {}).items():
                setattr(info, member, value)
            tar.addfile(info, io.BytesIO(content or b''))
        if not end:
            size = out.tell()
    return out.getvalue() if end else out.getvalue()[:size]


ROOT = ('v', None)
LINK = {'type': tarfile.LNKTYPE, 'size': 0}
HOSTILE = {
    'above': ([ROOT, ('v/../../../etc/evil', b'evil'), ('v/good', b'good')], 'is no path'),
    'absolute': ([ROOT, ('/etc/evil', b'evil'), ('v/good', b'good')], 'is not in the volume'),
    'elsewhere': ([ROOT, ('w/evil', b'evil'), ('v/good', b'good')], 'is not in the volume'),
    'neighbour': ([ROOT, ('vol/evil', b'evil'), ('v/good', b'good')], 'is not in the volume'),
    'twice': ([ROOT, ('v/good', b'good'), ('v/good', b'evil')], 'comes twice'),
    'out of order': ([ROOT, ('v/good', b'good'), ('v/evil', b'evil')], 'out of order'),
    'in a file': ([ROOT, ('v/good', b'good'), ('v/good/evil', b'evil')], 'no directory'),
    'link to above': ([ROOT, ('v/good', b'good'), ('v/link', b'', LINK | {'linkname': '../../etc/passwd'})], 'not kept'),
    'link to later': ([ROOT, ('v/good', b'good'), ('v/link', b'', LINK | {'linkname': 'v/zero'})], 'not kept'),
    'empty name': ([ROOT, ('v//evil', b'evil'), ('v/good', b'good')], 'is no path'),
}


@pytest.mark.parametrize('name', HOSTILE)
def test_hostile_archives(far, docker, name):  # noqa: F811
    entries, words = HOSTILE[name]
    docker.volume('vol')
    far.proxy.fault('GET', '/archive', said(archive(*entries)))
    world = far(volumes='vol')
    result = world.fails(INCOMPLETE, 'run', 'job')
    assert words in result.text, result
    restored = world.restored() / 'shop'
    assert {str(p.relative_to(restored)): p.read_text() for p in restored.rglob('*') if p.is_file() and '.docker' not in p.parts} == \
        {'vol/good': 'good'}


BROKEN = {
    'no directory first': (said(archive(('v/evil', b'evil'))), 'does not begin with a directory'),
    'empty': (said(archive()), 'is empty'),
    'nothing': (said(b''), 'damaged'),
    'without an end': (said(archive(ROOT, ('v/good', b'good'), end=False)), 'too early'),
    'cut in an entry': (said(archive(ROOT, ('v/good', b'x' * 100_000))[:50_000]), 'damaged'),
    'no archive': (said(b'\xff' * 100_000), 'damaged'),
    'broken off': (cut(30_000), 'vol'),
    'refused': (error(500), 'as told'),
}


@pytest.mark.parametrize('name', BROKEN)
def test_broken_archives(far, docker, name):  # noqa: F811
    """The volume is named, and the next one is saved."""
    act, words = BROKEN[name]
    for volume in ('vol', 'wol'):
        fill(docker, volume)
    docker.create('con', 'tiny', '-v', 'wol:/wol')
    far.proxy.fault('GET', r'/archive\?path=%2Fv(&|$)', act)
    world = far(volumes='*')
    result = world.fails(INCOMPLETE, 'run', 'job')
    assert words in result.text and "'vol" in result.text, result
    into = world.base / 'restored'
    assert world('restore', 'job', '--into', into).status in (DONE, INCOMPLETE)
    assert_came_back(docker.files('wol'), into / 'shop/wol')


def test_a_volume_that_vanishes(far, docker):  # noqa: F811
    for volume in ('vol', 'wol'):
        fill(docker, volume)

    def remove(exchange):
        docker('volume', 'rm', 'vol')
        exchange.pass_on()

    far.proxy.fault('GET', '/volumes/vol', remove, times=1)
    world = far(volumes='*')
    result = world.fails(INCOMPLETE, 'run', 'job')
    assert "volume 'vol' was removed" in result.text, result
    assert docker('volume', 'ls', '-q') == 'wol'
    assert (world.restored() / 'shop/wol').is_dir()


def test_nothing_is_made_anew_in_the_place_of_one_that_vanished(far, docker):  # noqa: F811
    fill(docker, 'vol')

    def remove(exchange):
        docker('volume', 'rm', 'vol')
        time.sleep(1.1)  # its age is said in whole seconds
        exchange.pass_on()

    far.proxy.fault('POST', '/containers/create', remove, times=1)
    world = far(volumes='vol')
    result = world.fails(INCOMPLETE, 'run', 'job')
    assert "volume 'vol' was removed" in result.text, result
    assert not docker('volume', 'ls', '-q') and not docker('ps', '-aq')


def test_a_database_at_work_is_seen_by_its_files(far, docker):  # noqa: F811
    docker.postgres('db', 'pg15', volume='pgdata')
    world = far(volumes='pgdata')
    result = world.fails(INCOMPLETE, 'run', 'job')
    assert 'plugin = postgres and container = db' in result.text, result
    docker('stop', 'db')
    world.ok('run', 'job')


def test_killed_while_a_container_of_ours_is_there(far, docker):  # noqa: F811
    """It and its image go with the next start at the latest."""
    fill(docker, 'vol')
    there = docker.everything()
    reached = threading.Event()

    def stay(exchange):
        reached.set()
        exchange.wait_until_left()

    far.proxy.fault('GET', '/archive', stay, times=1)
    world = far(volumes='vol')
    process = subprocess.Popen(world.command('run', 'job'), env=CLEAN, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, start_new_session=True)
    assert reached.wait(60) and docker.everything() != there
    kill_with_watchdog(process)
    assert docker.everything() != there
    world.ok('run', 'job')
    assert docker.everything() == there


def test_nothing_is_asked_for_at_the_end_where_nothing_was_made(world, docker):  # noqa: F811
    """So a run that only reads does not fail because its daemon has gone meanwhile."""
    fill(docker, 'vol')
    with DockerProxy(docker.socket) as proxy:
        proxy.fault('GET', '/containers/json.*filters', error(500), times=1)
        world.section('source shop', plugin='docker-volume', docker=proxy.address, volumes='vol')
        world.sink()
        world.job(sources='shop')
        world.ok('init', 'disk')
        world.ok('run', 'job')
        assert not proxy.told


@pytest.mark.usefixtures('open_binary')
def test_a_user_who_may_use_the_daemon_and_not_read_its_files(world, docker, tmp_path):  # noqa: F811
    """Through the daemon, whatever is open to that user: nothing is missing."""
    files = fill(docker, 'vol')
    docker.create('con', 'tiny', '-v', 'vol:/v')
    docker.socket.chmod(0o666)
    docker.base.chmod(0o711)
    world.section('source shop', plugin='docker-volume', docker=docker.address, volumes='vol')
    world.sink()
    world.job(sources='shop')
    subprocess.run(['chown', '-R', '65534:65534', tmp_path], check=True)
    for parent in list(tmp_path.parents)[:-2]:
        os.chmod(parent, os.stat(parent).st_mode | 0o011)
    user = ('setpriv', '--reuid=65534', '--regid=65534', '--clear-groups')
    world.ok('init', 'disk', prefix=user)
    world.ok('run', 'job', prefix=user)
    subprocess.run(['chown', '-R', '0:0', tmp_path], check=True)
    assert_came_back(files, world.restored() / 'shop/vol')
