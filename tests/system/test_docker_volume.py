"""The docker-volume source against a real daemon: what is in volumes comes back as it was, and with it what describes them."""
import json
import os
import re
import shutil
import time

import pytest

from support.cli import DONE, FAILED, INCOMPLETE
from support.docker import docker, running_docker  # noqa: F401
from support.oracle import assert_same_tree, tree_state
from support.tree import make_tree, plain_tree

EVERYTHING = ('--set', 'setuid=yes', '--set', 'devices=yes')


@pytest.fixture
def shop(world, docker):  # noqa: F811
    """A source 'shop', a sink, a job; options of the source as they are given."""
    def configure(**options):
        world.section('source shop', plugin='docker-volume', docker=docker.address, **options)
        world.sink()
        world.job(sources='shop')
        if not world.repository.exists():
            world.ok('init', 'disk')
        return world

    return configure


def fill(docker, name, make=plain_tree, *options):  # noqa: F811
    """A volume with a tree in it: the directory of its files."""
    files = docker.volume(name, *options)
    shutil.rmtree(files)
    make(files)
    return files


def facts(world):
    return world.ok('--json', 'show', 'job').json()[-1]['sources'][0]['facts']


def description(restored, kind, name):
    return json.loads((restored / 'shop' / '.docker' / kind / f'{name}.json').read_text())


# ---- there and back ----

def test_everything_a_volume_can_hold(shop, docker):  # noqa: F811
    files = fill(docker, 'rich', make_tree)
    before = tree_state(files)
    world = shop(volumes='rich')
    world.ok('run', 'job')
    assert_same_tree(before, files)  # reading changes nothing
    assert_same_tree(before, world.restored('job', 'restored', *EVERYTHING) / 'shop' / 'rich')


def test_several_volumes_and_an_odd_order(shop, docker):  # noqa: F811
    """'aa', 'aa-b' and 'aa.b' sort one way as names and another as descriptions."""
    trees = {name: fill(docker, name, lambda path, seed=seed: plain_tree(path, seed))
             for seed, name in enumerate(('aa', 'aa-b', 'aa.b', 'BB', 'not-wanted'))}
    for name in ('aa', 'aa-b', 'aa.b'):
        docker.create(f'c{name}', 'tiny', '-v', f'{name}:/v')
        docker.create(f'c{name}-x', 'tiny', '-v', f'{name}:/v:ro')
    world = shop(volumes='aa*, ??', exclude='nothing-*')
    world.ok('run', 'job')
    restored = world.restored() / 'shop'
    assert sorted(p.name for p in restored.iterdir()) == ['.docker', 'BB', 'aa', 'aa-b', 'aa.b']
    for name in ('aa', 'aa-b', 'aa.b', 'BB'):
        assert_same_tree(trees[name], restored / name)
    assert len(list((restored / '.docker' / 'containers').iterdir())) == 6


def test_unchanged_files_are_not_opened(shop, docker):  # noqa: F811
    files = fill(docker, 'vol')
    world = shop(volumes='vol')
    time.sleep(2.1)  # younger files are not trusted
    world.ok('run', 'job')
    trace = world.base / 'trace'
    (files / 'new').write_text('new')
    world.ok('run', 'job', prefix=('strace', '-f', '-qq', '-e', 'trace=openat', '-o', trace))
    opened = set(re.findall(r'"(file\d+|new)"', trace.read_text()))
    assert opened == {'new'}
    assert_same_tree(files, world.restored() / 'shop' / 'vol')


def test_hard_links_stay_in_their_volume(shop, docker):  # noqa: F811
    one, two = docker.volume('one'), docker.volume('two')
    (one / 'first').write_text('content')
    os.link(one / 'first', one / 'second')
    os.link(one / 'first', two / 'third')
    world = shop(volumes='one, two')
    world.ok('run', 'job')
    restored = world.restored() / 'shop'
    assert (restored / 'one' / 'first').samefile(restored / 'one' / 'second')
    assert (restored / 'two' / 'third').read_text() == 'content'
    assert not (restored / 'two' / 'third').samefile(restored / 'one' / 'first')


def test_what_is_left_out(shop, docker):  # noqa: F811
    for name in ('vol', 'wol'):
        files = docker.volume(name)
        for path in ('keep', 'x.tmp', 'cache/a', 'thumbs/b', 'deep/thumbs/c'):
            (files / path).parent.mkdir(parents=True, exist_ok=True)
            (files / path).write_text(path)
    world = shop(volumes='*', exclude_paths='*.tmp, cache/, /vol/thumbs')
    world.ok('run', 'job')
    restored = world.restored() / 'shop'
    found = {str(p.relative_to(restored)) for p in restored.rglob('*') if p.is_file() and '.docker' not in p.parts}
    assert found == {'vol/keep', 'vol/deep/thumbs/c', 'wol/keep', 'wol/thumbs/b', 'wol/deep/thumbs/c'}


# ---- what describes them ----

def test_descriptions(shop, docker):  # noqa: F811
    docker.volume('vol', '--label=colour=blue')
    docker.run('con', 'tiny', '-v', 'vol:/v', '--label=a=b', '-e', 'PASSWORD=sesame-in-the-environment', '--restart=unless-stopped')
    docker.create('other', 'tiny')
    world = shop(volumes='vol')
    result = world.ok('run', 'job')
    restored = world.restored()
    assert description(restored, 'volumes', 'vol') == {'Name': 'vol', 'Driver': 'local', 'DriverOpts': {}, 'Labels': {'colour': 'blue'},
                                                     'Scope': 'local'}
    container, said = description(restored, 'containers', 'con'), docker.inspect('con')
    for member in ('Id', 'Config', 'HostConfig', 'Mounts', 'Image'):
        assert container[member] == said[member]
    assert 'State' not in container
    assert container['ImageDigest'] == facts(world)['image.con'] == said['Image']
    assert [p.name for p in (restored / 'shop/.docker/containers').iterdir()] == ['con.json']
    assert (restored / 'shop/.docker/containers/con.json').stat().st_mode & 0o777 == 0o600
    spoken = result.text + world.ok('--json', 'show', 'job').out + world('check', 'shop').text
    assert 'sesame-in-the-environment' not in spoken
    for path in world.objects():
        assert b'sesame-in-the-environment' not in path.read_bytes()


def test_descriptions_are_stored_once(shop, docker):  # noqa: F811
    docker.volume('vol')
    docker.run('con', 'tiny', '-v', 'vol:/v', '-v', 'wol:/w', '-v', 'xol:/x')
    world = shop(volumes='*')
    world.ok('run', 'job')
    first = (world.restored('job', 'first') / 'shop/.docker/containers/con.json').read_bytes()
    for _ in range(4):  # the daemon lists mounts in another order each time
        docker('restart', '-t', '1', 'con')
        world.ok('run', 'job')
        again = world.restored('job', f'again-{time.monotonic_ns()}')
        assert (again / 'shop/.docker/containers/con.json').read_bytes() == first


def test_compose_files(shop, docker, tmp_path):  # noqa: F811
    one, two = tmp_path / 'one', tmp_path / 'two'
    for place in (one, two):
        place.mkdir()
        (place / 'compose.yaml').write_text(f'# {place}\n')
    (one / '.env').write_text('PASSWORD=kept-and-sealed\n')
    (one / 'huge.yml').write_bytes(b'#' * ((4 << 20) + 1))
    (one / 'secret.conf').write_text('not a compose file')
    (one / 'link.yml').symlink_to(one / 'secret.conf')
    names = [one / 'compose.yaml', two / 'compose.yaml', one / 'huge.yml', one / 'secret.conf', one / 'link.yml', one / 'gone.yml', 'relative.yml']
    docker.volume('vol')
    docker.create('con', 'tiny', '-v', 'vol:/v', '--label=com.docker.compose.project=shop', '--label=com.docker.compose.service=web',
                  f'--label=com.docker.compose.project.config_files={",".join(map(str, names))}')
    world = shop(volumes='vol')
    result = world.ok('run', 'job')
    assert 'huge.yml' in result.text and 'link.yml' in result.text and 'gone.yml' in result.text, result
    place = world.restored() / 'shop/.docker/projects/shop'
    assert {p.name: p.read_text() for p in place.iterdir()} == {
        '.env': 'PASSWORD=kept-and-sealed\n', 'compose.yaml': f'# {one}\n', 'compose.yaml.2': f'# {two}\n'}
    assert 'kept-and-sealed' not in result.text
    assert 'compose.yaml' not in str(shop(volumes='vol', compose_files='no').ok('run', 'job'))
    assert not (world.restored('job', 'without') / 'shop/.docker/projects').exists()


# ---- which volumes ----

def test_a_project(shop, docker):  # noqa: F811
    label = '--label=com.docker.compose.project=shop'
    for name in ('shop_data', 'shop_db', 'shop_late'):
        docker.volume(name, label)
    docker.volume('external')
    docker.volume('other_data', '--label=com.docker.compose.project=shopping')
    world = shop(project='shop', exclude='shop_d?')
    world.ok('run', 'job')
    assert sorted(p.name for p in (world.restored() / 'shop').iterdir()) == ['.docker', 'shop_data', 'shop_late']
    world = shop(project='shop', volumes='external')
    world.ok('run', 'job')
    assert sorted(p.name for p in (world.restored('job', 'both') / 'shop').iterdir())[1:] == ['external', 'shop_data', 'shop_db', 'shop_late']


def test_names_that_nobody_has(shop, docker):  # noqa: F811
    fill(docker, 'there')
    world = shop(volumes='there, not-there, pattern-*')
    result = world.fails(INCOMPLETE, 'run', 'job')
    assert "has no volume 'not-there'" in result.text and 'pattern-*' in result.text, result
    assert (world.restored() / 'shop' / 'there').is_dir()
    assert "no volume 'not-there'" in world.fails(FAILED, 'check', 'shop').text
    result = shop(volumes='nope').fails(FAILED, 'run', 'job')
    assert "there are 'there'" in result.text, result
    assert "there are 'there'" in world.fails(FAILED, 'check', 'shop').text


@pytest.mark.parametrize('options, words', [
    ({}, "neither option 'volumes' nor 'project'"),
    ({'volumes': 'a/b'}, "option 'volumes': 'a/b' is no name"),
    ({'volumes': 'a', 'exclude': '/a/cache'}, 'exclude_paths'),
    ({'volumes': '{a,b}'}, "option 'volumes'"),
])
def test_options_that_cannot_work(shop, options, words):
    result = shop(**options)('check', '--offline', 'shop')
    assert result.status != DONE and words in result.text, result


def test_a_volume_that_is_empty(shop, docker):  # noqa: F811
    files = docker.volume('vol')
    world = shop(volumes='vol')
    (files / 'file').write_text('text')
    world.ok('run', 'job')
    (files / 'file').unlink()
    result = world('run', 'job')
    assert "volume 'vol' is empty" in result.text, result


def test_a_volume_of_three_that_is_empty_or_gone(shop, docker):  # noqa: F811
    large, small = docker.volume('large'), docker.volume('small')
    docker.volume('empty')
    (large / 'file').write_bytes(bytes(3 << 20))
    (small / 'file').write_text('text')
    world = shop(volumes='large, small, empty*')
    world.ok('run', 'job')
    parts = world.ok('--json', 'show', 'job').json()[-1]['sources'][0]['parts']
    assert [(one['name'], one['entries'], one['bytes']) for one in parts] == [('empty', 1, 0), ('large', 2, 3 << 20), ('small', 2, 4)]
    assert "'small'" not in world.ok('run', 'job').err
    (small / 'file').unlink()
    result = world.fails(INCOMPLETE, 'run', 'job')
    assert "source 'shop': suspect: 'small' is empty, and was not before" in result.text, result
    docker('volume', 'rm', 'empty', 'small')
    result = world.fails(INCOMPLETE, 'run', 'job')  # as the plugin says, and so the gate does not; one that was always empty may go
    assert "has no volume 'small'" in result.text and 'suspect' not in result.text, result
    shop(volumes='large, empty*').ok('run', 'job')  # not asked for any more
    (docker.volume('other') / 'file').write_text('text')
    shop(volumes='large, oth*').ok('run', 'job')
    docker('volume', 'rm', 'other')
    result = world.fails(INCOMPLETE, 'run', 'job')
    assert "suspect: 'other' is not in it, and was before" in result.text, result
    world.ok('accept', 'job')
    world.ok('run', 'job')


def test_what_a_restore_kept_is_no_business_of_a_pattern(shop, docker):  # noqa: F811
    fill(docker, 'vol')
    fill(docker, 'vol_before_1', plain_tree, '--label=cofre.before=vol')
    world = shop(volumes='vol*')
    world.ok('run', 'job')
    assert not (world.restored() / 'shop/vol_before_1').exists()
    shop(volumes='vol*, vol_before_1').ok('run', 'job')
    assert (world.restored('job', 'both') / 'shop/vol_before_1').exists()


# ---- databases at work ----

def test_a_living_database(shop, docker):  # noqa: F811
    docker.postgres('db', 'pg15', volume='pgdata')
    world = shop(volumes='pgdata')
    result = world.fails(INCOMPLETE, 'run', 'job')
    assert 'plugin = postgres and container = db' in result.text, result
    assert 'plugin = postgres and container = db' in world('check', 'shop').text
    shop(volumes='pgdata', live_database='accept').ok('run', 'job')
    docker('stop', 'db')
    shop(volumes='pgdata').ok('run', 'job')


# ---- facts ----

def test_facts(shop, docker):  # noqa: F811
    files = fill(docker, 'vol')
    world = shop(volumes='vol')
    world.ok('run', 'job')
    state = tree_state(files)
    told = facts(world)
    assert told['entries.vol'] == str(len(state))
    assert told['bytes.vol'] == str(sum(s.get('size', 0) for s in state.values()))
    assert told['docker.id'] == docker('info', '--format', '{{.ID}}')


# ---- check ----

def test_check(shop, docker):  # noqa: F811
    docker.volume('vol', '--label=com.docker.compose.project=shop')
    docker.volume('forgotten', '--label=com.docker.compose.project=shop')
    docker.run('writer', 'tiny', '-v', 'vol:/v')
    docker.run('reader', 'tiny', '-v', 'vol:/v:ro')
    docker.create('idle', 'tiny', '-v', 'vol:/v')
    docker.run('odd', 'tiny', '-v', 'vol:/v', '--label=cofre.during=sometimes')
    docker.run('own', 'tiny', '-v', 'vol:/v', '--label=cofre.during=run')
    world = shop(volumes='vol', during='stop')
    text = world('check', 'shop').text
    for words in ("1 of its 2 volumes", "'writer' (writes, is stopped meanwhile)", "'reader' (reads)", "'idle' (created)",
                  "'own' (writes, goes on)", "cofre.during = 'sometimes' does not count", 'Docker Engine'):
        assert words in text, text


