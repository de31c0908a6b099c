"""Volumes put back into a real daemon: whole, with the labels and owners that they had, all of them or none; what they held is
kept, and every container is as it was, also when the restore is killed."""
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from support.cli import CLEAN, DAMAGED, DONE, FAILED, INCOMPLETE, SNAPSHOT_ID
from support.docker import Dockerd, docker, running_docker, soon  # noqa: F401
from support.docker_proxy import DockerProxy, done_but, error
from support.faults import sample
from support.oracle import assert_same_tree, tree_state
from support.tree import make_tree, plain_tree
from support.wait import wait_until

POINTS, SHORT = 150, 4
COMPOSE = {'com.docker.compose.project': 'shop', 'com.docker.compose.volume': 'data', 'com.docker.compose.version': '2.20.0'}
LABELS = COMPOSE | {'owner': 'somebody', 'note': 'a "b" ä'}
ALL = ('--set', 'devices=yes', '--set', 'setuid=yes')


def labelled(labels: dict[str, str]) -> list[str]:
    return [word for name, value in labels.items() for word in ('--label', f'{name}={value}')]


def configure(world, docker, volumes: str = 'data', **options) -> None:  # noqa: F811
    world.section('source vols', plugin='docker-volume', volumes=volumes, docker=docker.address, **options)
    world.sink()
    world.job(sources='vols')
    world.ok('init', 'disk')


def saved(world, docker, volumes: str = 'data', **options) -> str:  # noqa: F811
    configure(world, docker, volumes, **options)
    return re.search(SNAPSHOT_ID, world.ok('run', 'job').text)[0]


def in_place(world, *words: object, what: tuple = (), **options):
    return world('restore', 'job', *what, '--in-place', '--yes', *words, **options)


def change(files: Path) -> dict:
    """Something is lost, something changed, something new."""
    for path in sorted(files.iterdir())[::2]:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    (files / 'new').write_text('since the snapshot')
    os.chown(files, 7, 8)
    files.chmod(0o777)
    return tree_state(files)


def befores(docker) -> list[str]:  # noqa: F811
    return [name for name in docker('volume', 'ls', '-q').splitlines() if '_before_' in name]


def assert_nothing_stray(docker, world, volumes: list[str]) -> None:  # noqa: F811
    """No volume, directory, container or image of cofre's, and no note."""
    assert sorted(docker('volume', 'ls', '-q').splitlines()) == sorted(volumes)
    for place in (docker.root / 'volumes').iterdir():
        if place.is_dir():
            assert [path.name for path in place.iterdir() if path.name not in ('_data', 'opts.json')] == []
    assert 'cofre' not in docker('image', 'ls', '-a') + docker('ps', '-a', '--format', '{{.Names}}')
    notes = [path for path in (world.base / 'state').rglob('restore-*')]
    assert not notes, notes
    assert not list((world.base / 'state' / 'holds').glob('*'))


# ---- what comes back ----

def test_everything_comes_back_and_what_was_there_is_kept(world, docker):  # noqa: F811
    files = docker.volume('data', *labelled(LABELS))
    make_tree(files / 'tree')
    os.chown(files, 123, 456)
    files.chmod(0o2750)
    os.setxattr(files, b'user.root', b'of the root')
    os.utime(files, ns=(10**18, 10**18 + 5))
    before = tree_state(files)
    snapshot = saved(world, docker)
    changed = change(files)
    shutil.rmtree(files / 'tree', ignore_errors=True)
    changed = tree_state(files)
    result = in_place(world, *ALL)
    assert result.status == DONE, result
    assert_same_tree(before, docker.files('data'))
    kept = f'data_before_{snapshot}'
    assert befores(docker) == [kept] and kept in result.text, result
    assert_same_tree(changed, docker.files(kept))
    assert docker.inspect('data', 'volume')['Labels'] == LABELS
    # compose would take it for one of the project, and remove it with `down -v`.
    labels = docker.inspect(kept, 'volume')['Labels']
    assert {name: labels.get(name) for name in ('owner', 'note')} == {'owner': 'somebody', 'note': 'a "b" ä'}
    assert labels['cofre.before'] == 'data' and not COMPOSE.keys() & labels.keys()
    assert_nothing_stray(docker, world, ['data', kept])


def test_status_names_what_is_kept_until_it_is_gone(world, docker):  # noqa: F811
    def left() -> list[str]:
        return [one['text'] for one in world('--json', 'status').json() if one['type'] == 'finding' and 'a restore has left' in one['text']]

    files = docker.volume('data')
    plain_tree(files / 'tree', files=3)
    saved(world, docker)
    change(files)
    assert in_place(world).status == DONE
    [name] = befores(docker)
    [one] = left()
    assert f"a restore has left volume '{name}'" in one and f'when all is well: docker volume rm {name}' in one
    world('run', 'job')
    assert len(left()) == 1
    docker('volume', 'rm', name)
    world.ok('check', 'vols')
    assert left() == []


def test_a_second_time_what_is_kept_has_another_name(world, docker):  # noqa: F811
    files = docker.volume('data')
    plain_tree(files / 'tree')
    snapshot = saved(world, docker)
    for _ in range(3):
        assert in_place(world).status == DONE
    kept = [f'data_before_{snapshot}{end}' for end in ('', '_2', '_3')]
    assert befores(docker) == kept
    for name in kept:
        assert_same_tree(docker.files('data'), docker.files(name))
    # What a restore keeps is nothing to be saved, nor hidden.
    checked = world('check').text
    assert all(f"'{name}' is what a restore replaced in volume 'data'" in checked for name in kept), checked
    assert not any(name in world.ok('ls', f'job@{world.ok("run", "job").ids[0]}', 'vols').text for name in kept)


def test_what_is_left_out_of_devices_and_bits_is_told_and_the_rest_is_exchanged(world, docker):  # noqa: F811
    files = docker.volume('data')
    make_tree(files / 'tree', deep=False)
    saved(world, docker)
    result = in_place(world)
    assert result.status == INCOMPLETE and 'device kept back' in result.text and 'setuid' in result.text, result
    assert len(befores(docker)) == 1 and not (docker.files('data') / 'tree/kinds/block').exists()


def test_a_missing_volume_is_made_as_it_was(world, docker):  # noqa: F811
    files = docker.volume('data', *labelled(LABELS))
    plain_tree(files / 'tree')
    os.chown(files, 123, 456)
    files.chmod(0o1770)
    os.setxattr(files, b'user.root', b'of the root')
    before = tree_state(files)
    saved(world, docker)
    docker('volume', 'rm', 'data')
    result = in_place(world)
    assert result.status == DONE and 'was not there, and was made' in result.text, result
    there = docker.inspect('data', 'volume')
    assert there['Labels'] == LABELS and there['Driver'] == 'local'
    assert_same_tree(before, docker.files('data'))
    assert_nothing_stray(docker, world, ['data'])


def test_an_empty_volume_is_filled_and_nothing_is_kept(world, docker):  # noqa: F811
    files = docker.volume('data')
    plain_tree(files / 'tree')
    before = tree_state(files)
    saved(world, docker)
    docker('volume', 'rm', 'data')
    docker.volume('data')
    assert world('restore', 'job', 'vols', '--set', 'volume=data').status == DONE
    assert_same_tree(before, docker.files('data'))
    assert_nothing_stray(docker, world, ['data'])


def test_several_volumes(world, docker):  # noqa: F811
    trees = {}
    for number, name in enumerate(['a', 'a-b', 'a.b', 'b', 'a_b']):
        files = docker.volume(f'vol{name}')
        plain_tree(files / 'tree', seed=number)
        trees[f'vol{name}'] = tree_state(files)
    snapshot = saved(world, docker, 'vol*')
    docker('volume', 'rm', 'vola-b')
    for name in trees.keys() - {'vola-b'}:
        change(docker.files(name))
    assert in_place(world).status == DONE
    for name, before in trees.items():
        assert_same_tree(before, docker.files(name))
    assert befores(docker) == sorted(f'{name}_before_{snapshot}' for name in trees.keys() - {'vola-b'})


def test_into_a_directory(world, docker):  # noqa: F811
    files = docker.volume('data', *labelled(LABELS))
    plain_tree(files / 'tree')
    saved(world, docker)
    into = world.restored()
    assert_same_tree(files, into / 'vols' / 'data')
    assert '"somebody"' in (into / 'vols/.docker/volumes/data.json').read_text()


# ---- another volume ----

def test_into_another_volume(world, docker):  # noqa: F811
    files = docker.volume('data', *labelled(LABELS))
    plain_tree(files / 'tree')
    before = tree_state(files)
    saved(world, docker)
    change(files)
    changed = tree_state(files)
    assert world('restore', 'job', 'vols', '--set', 'volume=other').status == DONE
    assert_same_tree(before, docker.files('other'))
    assert_same_tree(changed, docker.files('data'))
    assert docker.inspect('other', 'volume')['Labels'] == {'owner': 'somebody', 'note': 'a "b" ä'}
    # Now it has content.
    result = world.fails(FAILED, 'restore', 'job', 'vols', '--set', 'volume=other')
    assert '--in-place' in result.text and 'has content' in result.text
    assert in_place(world, '--set', 'volume=other').status == DONE
    assert_same_tree(changed, docker.files('data'))
    assert len(befores(docker)) == 1


def test_two_volumes_do_not_fit_into_one(world, docker):  # noqa: F811
    for name in ('one', 'two'):
        plain_tree(docker.volume(name) / 'tree')
    saved(world, docker, 'one, two')
    result = world('restore', 'job', 'vols', '--set', 'volume=other')
    assert result.status == 78 and 'SOURCE:one' in result.text, result
    assert_nothing_stray(docker, world, ['one', 'two'])
    assert world('restore', 'job', 'vols:two', '--set', 'volume=other').status == DONE
    assert_same_tree(docker.files('two'), docker.files('other'))


def test_what_has_content_is_left_alone_unless_asked(world, docker):  # noqa: F811
    files = docker.volume('data')
    plain_tree(files / 'tree')
    saved(world, docker)
    changed = change(files)
    result = world.fails(FAILED, 'restore', 'job', 'vols', '--set', 'overwrite=no')
    assert 'has content' in result.text
    assert_same_tree(changed, docker.files('data'))
    assert_nothing_stray(docker, world, ['data'])


# ---- a part ----

def test_a_part_goes_into_the_volume_as_it_is_used(world, docker):  # noqa: F811
    files = docker.volume('data')
    plain_tree(files / 'tree')
    before = tree_state(files)
    saved(world, docker)
    docker.run('user', 'tiny', '-v', 'data:/data')
    starts = docker.starts()
    (files / 'new').write_text('stays')
    lost = files / 'tree/d1/e1'
    shutil.rmtree(lost)
    (files / 'tree/d0/e0/file0').write_text('changed')
    result = in_place(world, what=('vols:data/tree/d1',))
    assert result.status == DONE, result
    assert docker.starts() == starts and not befores(docker)
    after = tree_state(files)
    assert {path: state for path, state in after.items() if path.startswith(b'tree/d1')} == \
           {path: state for path, state in before.items() if path.startswith(b'tree/d1')}
    assert (files / 'new').read_text() == 'stays' and (files / 'tree/d0/e0/file0').read_text() == 'changed'


def test_a_part_exactly(world, docker):  # noqa: F811
    files = docker.volume('data')
    plain_tree(files / 'tree')
    before = tree_state(files)
    snapshot = saved(world, docker, exclude_paths='*.tmp')
    (files / 'tree/d1/new').write_text('goes')
    (files / 'tree/d1/new.tmp').write_text('stays')
    (files / 'tree/d2/new').write_text('stays')
    assert in_place(world, '--set', 'exact=yes', what=('vols:data/tree/d1',)).status == DONE
    assert [path for path in tree_state(files) if path not in before] == [b'tree/d1/new.tmp', b'tree/d2/new']
    assert (files.parent / f'_data_before_{snapshot}/tree/d1/new').read_text() == 'goes'


def test_a_part_of_a_volume_that_is_not_there(world, docker):  # noqa: F811
    plain_tree(docker.volume('data') / 'tree')
    saved(world, docker)
    docker('volume', 'rm', 'data')
    result = in_place(world, what=('vols:data/tree/d1',))
    assert result.status == FAILED and 'docker volume create data' in result.text, result
    assert_nothing_stray(docker, world, [])


def test_one_whole_volume_of_several(world, docker):  # noqa: F811
    for name in ('one', 'two'):
        plain_tree(docker.volume(name, '--label', f'of={name}') / 'tree')
    before = tree_state(docker.files('two'))
    saved(world, docker, 'one, two')
    change(docker.files('one'))
    one = tree_state(docker.files('one'))
    docker('volume', 'rm', 'two')
    result = in_place(world, what=('vols:two',))
    assert result.status == DONE and 'without labels' in result.text, result
    assert_same_tree(before, docker.files('two'))
    docker('volume', 'rm', 'two')
    assert in_place(world, what=('vols:.docker/volumes/two.json', 'vols:two')).status == DONE
    assert docker.inspect('two', 'volume')['Labels'] == {'of': 'two'}
    assert_same_tree(one, docker.files('one'))


# ---- containers ----

def test_users_are_stopped_and_started_again_in_order(world, docker):  # noqa: F811
    files = docker.volume('data')
    plain_tree(files / 'tree')
    before = tree_state(files)
    saved(world, docker)
    change(files)

    def service(name: str, needs: str = '', *options: str) -> None:
        docker.run(name, 'tiny', '--label', 'com.docker.compose.project=shop', '--label', f'com.docker.compose.service={name}',
                   '--label', f'com.docker.compose.depends_on={needs}', *options)

    service('zdb', '', '-v', 'data:/data')
    service('app', 'zdb:service_started:false', '-v', 'data:/data:ro')
    service('other')
    service('ended', '', '-v', 'data:/data')
    docker('stop', '-t', '1', 'ended')
    docker.create('fresh', 'tiny', '-v', 'data:/data')
    starts, since = docker.starts(), time.time()
    result = in_place(world)
    assert result.status == DONE, result
    assert_same_tree(before, docker.files('data'))
    after = docker.starts()
    assert {name: state for name, (state, _) in after.items()} == {name: state for name, (state, _) in starts.items()}
    assert {name for name in starts if after[name] != starts[name]} == {'zdb', 'app'}
    told = docker('events', '--since', f'{since:.6f}', '--until', f'{time.time():.6f}', '--filter', 'type=container',
                  '--filter', 'event=stop', '--filter', 'event=start', '--format',
                  '{{.Action}} {{.Actor.Attributes.name}}').splitlines()
    assert told == ['stop app', 'stop zdb', 'start zdb', 'start app']
    # And they see the new content.
    assert docker.exec('zdb', 'cat', '/data/tree/d2/e2/file2') == (docker.files('data') / 'tree/d2/e2/file2').read_text()
    assert 'zdb' in result.text and 'app' in result.text


def test_one_that_uses_the_directory_of_a_volume_is_stopped_too(world, docker):  # noqa: F811
    files = docker.volume('data')
    plain_tree(files / 'tree')
    saved(world, docker)
    docker.run('user', 'tiny', '-v', f'{files}/tree:/data')
    (files / 'tree/new').touch()
    starts = docker.starts()
    assert in_place(world).status == DONE
    assert docker.starts() != starts and docker.states() == {'user': 'running'}
    assert 'new' not in docker.exec('user', 'ls', '/data').split()


@pytest.mark.parametrize('how', ['paused', 'rm'])
def test_one_that_would_go_on_with_the_old_content_is_refused(world, docker, how):  # noqa: F811
    files = docker.volume('data')
    plain_tree(files / 'tree')
    saved(world, docker)
    changed = change(files)
    docker.run('first', 'tiny', '-v', 'data:/data')
    docker.run('user', 'tiny', '-v', 'data:/data', *(['--rm'] if how == 'rm' else []))
    if how == 'paused':
        docker('pause', 'user')
    starts = docker.starts()
    result = in_place(world)
    assert result.status == FAILED and "'user'" in result.text and ('unpause' if how == 'paused' else '--rm') in result.text, result
    assert docker.starts() == starts
    assert_same_tree(changed, docker.files('data'))
    assert_nothing_stray(docker, world, ['data'])


def test_one_that_does_not_stop_by_itself(world, docker):  # noqa: F811
    files = docker.volume('data')
    plain_tree(files / 'tree')
    saved(world, docker, stop_timeout='1s')
    docker.run('user', 'tiny', '-v', 'data:/data', '--restart=always', command=('sh', '-c', 'trap "" TERM; while :; do sleep 1; done'))
    assert in_place(world).status == DONE
    assert docker.states() == {'user': 'running'} and len(befores(docker)) == 1


# ---- all or nothing ----

def assert_untouched(docker, world, trees: dict[str, dict], starts: dict) -> None:  # noqa: F811
    for name, before in trees.items():
        assert_same_tree(before, docker.files(name))
    assert docker.starts() == starts
    assert_nothing_stray(docker, world, list(trees))


def two_in_use(world, docker) -> tuple[dict, dict]:  # noqa: F811
    """Volumes `one` and `two`, and `lost`, which is not there any more; their users: what they hold, and how those run."""
    for number, name in enumerate(['lost', 'one', 'two']):
        plain_tree(docker.volume(name) / 'tree', seed=number)
    saved(world, docker, 'lost, one, two')
    docker('volume', 'rm', 'lost')
    trees = {name: change(docker.files(name)) for name in ('one', 'two')}
    for name in trees:
        docker.run(f'user-{name}', 'tiny', '-v', f'{name}:/data')
    return trees, docker.starts()


def damage(world) -> None:
    """A pack no longer has the bytes that it had."""
    pack = max(world.objects('packs'), key=lambda path: Path(path).stat().st_size)
    data = bytearray(Path(pack).read_bytes())
    data[len(data) // 2] ^= 1
    Path(pack).chmod(0o600)
    Path(pack).write_bytes(data)


def test_a_damaged_snapshot_exchanges_nothing(world, docker):  # noqa: F811
    trees, starts = two_in_use(world, docker)
    damage(world)
    result = in_place(world)
    assert result.status == DAMAGED, result
    assert 'no volume is changed' in result.text, result
    assert_untouched(docker, world, trees, starts)


def test_a_sink_that_goes_away_exchanges_nothing(world, docker):  # noqa: F811
    trees, starts = two_in_use(world, docker)
    for pack in world.objects('packs'):
        Path(pack).unlink()
    result = in_place(world)
    assert result.status not in (DONE, INCOMPLETE), result
    assert_untouched(docker, world, trees, starts)


def test_a_full_disk_exchanges_nothing(world):
    with Dockerd() as daemon:
        volumes = daemon.root / 'volumes'
        subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=24m,mode=0701', 'tmpfs', volumes], check=True)
        try:
            for name in ('one', 'two'):
                (daemon.volume(name) / 'large').write_bytes(os.urandom(7 << 20))
            saved(world, daemon, 'one, two')
            trees = {name: tree_state(daemon.files(name)) for name in ('one', 'two')}
            daemon.run('user', 'tiny', '-v', 'one:/data')
            starts = daemon.starts()
            result = in_place(world)
            assert result.status == FAILED and 'MiB are free' in result.text and 'force=yes' in result.text, result
            assert_untouched(daemon, world, trees, starts)
            result = in_place(world, '--set', 'force=yes')
            assert result.status == FAILED and 'No space left' in result.text, result
            assert_untouched(daemon, world, trees, starts)
        finally:
            daemon.clean()
            subprocess.run(['umount', '-l', volumes], check=True)


def test_a_volume_that_is_a_mount_point_is_refused(world, docker, tmp_path):  # noqa: F811
    files = docker.volume('data')
    plain_tree(files / 'tree')
    saved(world, docker)
    subprocess.run(['mount', '-t', 'tmpfs', 'tmpfs', files], check=True)
    try:
        (files / 'here').touch()
        result = in_place(world)
        assert result.status == FAILED and '--set volume=OTHER' in result.text, result
        assert [path.name for path in files.iterdir()] == ['here']
    finally:
        subprocess.run(['umount', files], check=True)


def test_a_failed_exchange_is_taken_back(world, docker, faults):  # noqa: F811
    """The second of two: the first goes back."""
    trees, starts = two_in_use(world, docker)
    result = faults.fail_at('renameat2', 'EIO', 2, world, 'restore', 'job', '--in-place', '--yes')
    assert result.status == FAILED, result
    after = docker.starts()
    assert {name: state for name, (state, _) in after.items()} == {name: state for name, (state, _) in starts.items()}
    assert_untouched(docker, world, trees, after)


def test_an_exchange_that_cannot_be_taken_back_is_by_the_next_start(world, docker, faults):  # noqa: F811
    """Until then nothing is started that would see the wrong content; what somebody starts by hand is stopped for it again."""
    trees, _ = two_in_use(world, docker)
    result = faults.fail_at('renameat2', 'EIO', 2, world, 'restore', 'job', '--in-place', '--yes', sticky=True)
    assert result.status == FAILED, result
    assert docker.states() == {'user-one': 'exited', 'user-two': 'exited'}
    docker('start', 'user-one')
    world('check')
    states = docker.starts()
    assert docker.states() == {'user-one': 'running', 'user-two': 'running'}
    for name in trees:
        assert sorted(docker.exec(f'user-{name}', 'ls', '/data').split()) == sorted(os.listdir(docker.files(name)))
    assert_untouched(docker, world, trees, states)


def slowly(world, docker) -> tuple[subprocess.Popen, Path]:  # noqa: F811
    """A restore that waits for 3 s when all of a volume is there, and before it is compared; and where it fills that volume."""
    slow = ['strace', '-D', '-f', '-qq', '-o', '/dev/null', '-e', 'trace=syncfs', '-e', 'inject=syncfs:delay_enter=3000000']
    process = subprocess.Popen([*slow, *world.command('restore', 'job', '--in-place', '--yes')], env=CLEAN,
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    found: list[Path] = []
    wait_until(lambda: found.extend((docker.root / 'volumes').glob('*/_cofre_*')) or found, 'it fills')
    return process, found[0]


def test_what_is_not_there_after_all_exchanges_nothing(world, docker):  # noqa: F811
    trees, starts = two_in_use(world, docker)
    process, place = slowly(world, docker)
    wait_until(lambda: (place / 'tree/d3/e2/file23').exists(), 'the last file but a few')
    (place / 'tree/d3/e2/file23').unlink()
    _, told = process.communicate(timeout=60)
    assert process.returncode == DAMAGED and 'are there; no volume is changed' in told, told
    assert_untouched(docker, world, trees, starts)


def test_interrupted_it_is_taken_back(world, docker):  # noqa: F811
    trees, starts = two_in_use(world, docker)
    process, _ = slowly(world, docker)
    process.send_signal(signal.SIGTERM)  # SIGINT may be ignored, as in what a shell runs in the background
    _, told = process.communicate(timeout=60)
    assert process.returncode not in (DONE, INCOMPLETE), told
    assert_untouched(docker, world, trees, starts)


# ---- kills ----

class Sweep:
    """Each restore begins with other content than the snapshot's in two volumes that are in use, and without the third."""

    def __init__(self, world, docker, faults) -> None:  # noqa: F811
        self.world, self.docker, self.faults = world, docker, faults
        self.new = {}
        for number, name in enumerate(['one', 'two', 'zero']):
            plain_tree(docker.volume(name, '--label', f'of={name}') / 'tree', seed=number, files=8)
            self.new[name] = tree_state(docker.files(name))
        self.snapshot = saved(world, docker, 'one, two, zero', stop_timeout='1s')
        for name in ('one', 'two'):
            docker.run(f'user-{name}', 'tiny', '-v', f'{name}:/data')
        docker.create('idle', 'tiny', '-v', 'one:/data')
        self.soon = soon(docker, '--time=1', 'user-one', 'user-two')
        self.states = docker.states()

    def reset(self) -> None:
        self.docker('volume', 'rm', '-f', 'zero', *befores(self.docker))
        self.old = {}
        for name in ('one', 'two'):
            files = self.docker.files(name)
            for path in files.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            (files / 'old').write_text(name)
            self.old[name] = tree_state(files)

    def killed(self, number: int, watchdog: bool = True):
        return self.world('restore', 'job', '--in-place', '--yes', prefix=self.faults.killat(number, watchdog=watchdog), timeout=300)

    def points(self, wanted: int) -> list[int]:
        self.reset()
        result = self.killed(0)
        assert result.status == DONE, result
        return sample(self.faults.count(), wanted)

    def settled(self) -> bool:
        return self.docker.states() == self.states and not list((self.world.base / 'state' / 'holds').glob('*'))

    def assert_whole(self) -> None:
        """All old or all new; with the new the old is kept."""
        now = {name: tree_state(self.docker.files(name)) for name in self.old}
        if now == self.old:
            assert_nothing_stray(self.docker, self.world, ['one', 'two'])
            return
        for name, tree in self.new.items():
            assert_same_tree(tree, self.docker.files(name))
            assert self.docker.inspect(name, 'volume')['Labels'] == {'of': name}
        kept = [f'{name}_before_{self.snapshot}' for name in self.old]
        assert_nothing_stray(self.docker, self.world, [*self.new, *kept])
        for name, old in self.old.items():
            assert_same_tree(old, self.docker.files(f'{name}_before_{self.snapshot}'))

    def point(self, number: int) -> None:
        self.reset()
        result = self.killed(number)
        assert result.status in (DONE, 128 + signal.SIGKILL), result
        killed = time.monotonic()
        wait_until(self.settled, f'point {number}: {self.docker.states()}', 60)
        seconds = time.monotonic() - killed
        self.assert_whole()
        assert seconds < self.soon, f'{seconds:.1f} s'

    def all(self, wanted: int) -> None:
        points, failures = self.points(wanted), []
        for number in points:
            try:
                self.point(number)
            except AssertionError as error:
                failures.append(f'point {number}: {error}')
        print(f'{len(points)} points, {len(failures)} failed')
        assert not failures, f'{len(failures)} of {len(points)} points failed\n' + '\n'.join(failures[:5])


@pytest.mark.parametrize('wanted', [SHORT, pytest.param(POINTS, marks=pytest.mark.long)])
def test_killed_anywhere_each_volume_is_old_or_new(world, docker, faults, wanted):  # noqa: F811
    Sweep(world, docker, faults).all(wanted)


def test_killed_with_its_watchdog_the_next_start_finishes_or_takes_back(world, docker, faults):  # noqa: F811
    sweep = Sweep(world, docker, faults)
    points = sweep.points(40)
    for number in points[-3:]:
        sweep.reset()
        result = sweep.killed(number, watchdog=False)
        assert result.status in (DONE, 128 + signal.SIGKILL), result
        world('check')
        assert sweep.settled(), (number, docker.states())
        sweep.assert_whole()


# ---- volumes whose files cannot be reached ----

@pytest.fixture(scope='module')
def remote():
    with Dockerd(tls=True) as daemon:
        yield daemon


def over_tls(world, daemon, volumes: str = 'data') -> str:
    world.section('source vols', plugin='docker-volume', volumes=volumes, docker=f'tcp://127.0.0.1:{daemon.port}',
                  docker_tls=daemon.certificates)
    world.sink()
    world.job(sources='vols')
    world.ok('init', 'disk')
    return re.search(SNAPSHOT_ID, world.ok('run', 'job').text)[0]


def test_through_the_daemon(world, remote):
    remote.clean()
    files = remote.volume('data', *labelled(LABELS))
    plain_tree(files / 'tree')
    for name in (b'new\nline', b'latin-\xe9', b'a' * 255):
        Path(os.fsdecode(os.fsencode(files) + b'/' + name)).write_bytes(name)
    os.symlink('nowhere', files / 'symlink')
    os.link(files / 'tree/d1/e1/file1', files / 'link')
    os.chown(files / 'tree', 5, 6)
    os.chown(files, 123, 456)
    files.chmod(0o1770)
    for path in (files / 'tree', *files.rglob('*'), files):
        os.utime(path, ns=(10**18, 10**18), follow_symlinks=False)  # the daemon gives whole seconds
    before = tree_state(files)
    over_tls(world, remote)
    # One that has content is refused, for it could not be kept.
    result = in_place(world)
    assert result.status == FAILED and 'volume=OTHER' in result.text, result
    assert_same_tree(before, files)
    assert_nothing_stray(remote, world, ['data'])
    remote('volume', 'rm', 'data')
    result = in_place(world)
    assert result.status == DONE, result
    assert remote.inspect('data', 'volume')['Labels'] == LABELS
    assert_same_tree(before, remote.files('data'))
    assert_nothing_stray(remote, world, ['data'])
    assert world('restore', 'job', 'vols', '--set', 'volume=other').status == DONE
    assert_same_tree(before, remote.files('other'))


def test_through_the_daemon_into_an_empty_volume(world, remote):
    remote.clean()
    files = remote.volume('data')
    plain_tree(files / 'tree')
    for path in (*files.rglob('*'), files):
        os.utime(path, ns=(10**18, 10**18))
    before = tree_state(files)
    over_tls(world, remote)
    remote('volume', 'rm', 'data')
    remote.volume('data', '--label', 'of=somebody')
    remote.create('idle', 'tiny', '-v', 'data:/data')
    assert in_place(world).status == DONE
    assert_same_tree(before, remote.files('data'))
    remote.run('user', 'tiny', '-v', 'other:/data')
    result = world.fails(FAILED, 'restore', 'job', 'vols', '--set', 'volume=other')
    assert "'user' is using it" in result.text


def test_through_the_daemon_a_failure_leaves_nothing(world, remote):
    remote.clean()
    plain_tree(remote.volume('data') / 'tree')
    over_tls(world, remote)
    remote('volume', 'rm', 'data')
    damage(world)
    result = in_place(world)
    assert result.status == DAMAGED and not remote.volumes(), result
    assert_nothing_stray(remote, world, [])


def test_a_volume_that_cannot_be_filled_through_the_daemon_goes_again(world, docker):  # noqa: F811
    plain_tree(docker.volume('data') / 'tree')
    with DockerProxy(docker.socket, tcp=True) as proxy:
        world.section('source vols', plugin='docker-volume', volumes='data', docker=proxy.address)
        world.sink()
        world.job(sources='vols')
        world.ok('init', 'disk')
        world.ok('run', 'job')
        docker('volume', 'rm', 'data')
        proxy.fault('PUT', 'archive', done_but(error(500, 'no space left on device')))
        result = in_place(world)
        assert result.status == FAILED and 'no space left on device' in result.text and 'stays' not in result.text, result
        assert_nothing_stray(docker, world, [])
        proxy.well()
        assert in_place(world).status == DONE
    assert docker.volumes() == ['data']


def test_a_volume_with_options_is_filled_through_the_daemon(world, docker, tmp_path):  # noqa: F811
    """A bind: its files are elsewhere."""
    place = tmp_path / 'elsewhere'
    place.mkdir()
    options = ('--opt', 'type=none', '--opt', 'o=bind', '--opt', f'device={place}')
    docker.volume('data', *options)
    plain_tree(place / 'tree')
    for path in (*place.rglob('*'), place):
        os.utime(path, ns=(10**18, 10**18))
    before = tree_state(place)
    saved(world, docker)
    docker('volume', 'rm', 'data')
    # Made again it leads to what is there.
    result = in_place(world)
    assert result.status == FAILED and 'has content' in result.text, result
    assert_same_tree(before, place)
    assert_nothing_stray(docker, world, [])
    shutil.rmtree(place)
    place.mkdir()
    assert in_place(world).status == DONE
    assert_same_tree(before, place)
    assert docker.inspect('data', 'volume')['Options'] == {'type': 'none', 'o': 'bind', 'device': str(place)}
