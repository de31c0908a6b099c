"""The sink `rsync` against a real sshd and a real rsync daemon: what it does, what it refuses, and how it says so."""
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from support.cli import CLEAN, FAILURES, execute
from support.oracle import assert_same_tree
from support.rsync import PASSWORD, RRSYNC, Daemon, Sshd
from support.tree import plain_tree


@pytest.fixture
def far(world, tmp_path):
    """The directory on the far side; a function that sets the sink 'far', one source and one job."""
    plain_tree(tmp_path / 'tree', files=8)
    world.source('tree', tmp_path / 'tree')
    world.job(sinks='far')
    (tmp_path / 'far').mkdir()
    return tmp_path / 'far' / 'place'


@pytest.fixture
def staging():
    """A directory with a short path: a socket lies below it."""
    with tempfile.TemporaryDirectory(prefix='st-', dir='/tmp') as path:
        yield Path(path)


def sink(world, options: dict) -> None:
    world.section('sink far', **options, key=world.key)


def made(world, options: dict):
    sink(world, options)
    world.ok('init', 'far')


def stored(place: Path) -> list[Path]:
    return sorted(p for p in place.rglob('*') if p.is_file() and p.relative_to(place).parts[0] not in ('.tmp', '~cofre'))


# ---- what is there afterwards ----

def test_the_place_is_one_of_the_local_plugin_too(world, sshd, far, tmp_path):
    made(world, sshd.options(far))
    world.ok('run', 'job')
    world.section('sink far', plugin='local', path=far, key=world.key)
    world.ok('verify', 'job', '--all')
    assert_same_tree(tmp_path / 'tree', world.restored() / 'tree')
    # The place itself has the mode that the far side's umask gives.
    for directory, _, files in list(os.walk(far))[1:]:
        assert os.stat(directory).st_mode & 0o7777 == 0o700, directory
        assert all(os.stat(os.path.join(directory, name)).st_mode & 0o7777 == 0o600 for name in files)


def test_nothing_is_left_on_either_side(world, sshd, far, staging, tmp_path):
    made(world, sshd.options(far, staging=staging))
    world.ok('run', 'job')
    assert list(staging.iterdir()) == []
    assert list((far / '.tmp').iterdir()) == []


def test_one_connection_for_a_run(world, far):
    with Sshd() as server:
        config = server.base / 'sshd_config'
        config.write_text(config.read_text().replace('LogLevel ERROR', 'LogLevel VERBOSE'))
        server.stop()
        server.start()
        made(world, server.options(far))
        before = server.log.read_text().count('Accepted publickey')
        world.ok('run', 'job')
        assert server.log.read_text().count('Accepted publickey') == before + 1


def test_a_path_with_everything_in_it(world, sshd, rsyncd, far, tmp_path):
    odd = tmp_path / 'far' / "a b'c\"d$(touch pwned);e&f|g"
    for options in (sshd.options(odd), rsyncd.options(odd)):
        made(world, options)
        world.ok('run', 'job')
        world.ok('verify', 'job', '--all')
    assert len(list((tmp_path / 'far').iterdir())) == 1
    assert not Path('/root/pwned').exists() and not Path('pwned').exists()


def test_many_objects_go_in_one_run(world, far, sshd, staging, tmp_path):
    """120 MB are eight packs; they do not take eight transfers, nor more room than they may."""
    made(world, sshd.options(far, staging=staging, staging_size='64MiB'))
    for i in range(4):
        (tmp_path / 'tree' / f'big{i}').write_bytes(os.urandom(30_000_000))
    most = 0
    with subprocess.Popen(world.command('run', 'job'), env=CLEAN, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            most = max(most, room(staging))
            time.sleep(0.01)
        assert process.returncode == 0, process.stderr.read()
    assert 16 << 20 < most <= 66 << 20
    packs = [p for p in stored(far) if 'packs' in p.parts]
    assert len(packs) >= 7
    assert len(list((far / '~cofre').iterdir())) < len(packs) + 3
    world.ok('verify', 'job', '--all')
    assert_same_tree(tmp_path / 'tree', world.restored() / 'tree')


def far_rsync(tmp_path: Path, first: str) -> Path:
    """A program that does something first, with the words of the command in $*, and then is rsync."""
    path = tmp_path / 'far-rsync'
    path.write_text(f'#!/bin/sh\n{first}\nexec rsync "$@"\n')
    path.chmod(0o755)
    return path


def test_transfers_side_by_side(world, far, sshd, tmp_path):
    """The first that receives waits until another one has begun: they would wait in vain if one came after the other."""
    begun = tmp_path / 'begun'
    begun.mkdir()
    made(world, sshd.options(far))
    meet = (f'case "$*" in *--sender*) ;; *) touch {begun}/$$; for i in $(seq 200); do '
            f'[ $(ls {begun} | wc -l) -ge 2 ] && break; [ $i = 200 ] && touch {tmp_path}/alone; sleep 0.1; done ;; esac')
    sink(world, sshd.options(far, rsync_path=far_rsync(tmp_path, meet)))
    for i in range(4):
        (tmp_path / 'tree' / f'big{i}').write_bytes(os.urandom(30_000_000))
    world.ok('run', 'job')
    assert len(list(begun.iterdir())) >= 2 and not (tmp_path / 'alone').exists()
    world.ok('verify', 'job', '--all')


def test_a_server_that_takes_one_session_of_a_connection(world, far, tmp_path):
    with Sshd() as server:
        config = server.base / 'sshd_config'
        config.write_text(config.read_text() + 'MaxSessions 1\n')
        server.stop()
        server.start()
        made(world, server.options(far))
        for i in range(4):
            (tmp_path / 'tree' / f'big{i}').write_bytes(os.urandom(30_000_000))
        world.ok('run', 'job')
        world.ok('verify', 'job', '--all')
        assert_same_tree(tmp_path / 'tree', world.restored() / 'tree')


def test_few_starts_for_a_run(world, far, sshd, tmp_path):
    log = tmp_path / 'starts'
    made(world, sshd.options(far, rsync_path=far_rsync(tmp_path, f'echo "$*" >> {log}')))
    log.unlink()
    world.ok('run', 'job')
    starts = log.read_text().splitlines()
    # Four sendings (packs, index, needs, manifest), and what looks at each; to begin with, config, debris, and four
    # listings; before the commit, whether the pack is there, and its content, the needs, and plans once more.
    assert len([words for words in starts if '--sender' not in words]) == 4, starts
    assert len(starts) <= 18, starts


@pytest.mark.parametrize('kind', ['packs', 'index', 'snapshots'])
def test_damaged_as_soon_as_it_is_there(world, far, sshd, tmp_path, kind):
    """Whatever it was, it is found before anything is said to be committed."""
    damage = 'printf "\\377" | dd of="$file" bs=1 conv=notrunc status=none'
    made(world, sshd.options(far, rsync_path=far_rsync(
        tmp_path, f'for file in $(find {far}/{kind} -type f); do {damage}; done 2>/dev/null')))
    result = world.fails(FAILURES, 'run', 'job')
    assert 'with other content' in result.text and 'committed' not in result.text, result


def room(place: Path) -> int:
    total = 0
    for directory, _, files in os.walk(place):
        for name in files:
            try:
                total += os.lstat(os.path.join(directory, name)).st_size
            except FileNotFoundError:
                pass
    return total


def test_bandwidth(world, far, rsyncd, tmp_path):
    (tmp_path / 'tree' / 'big').write_bytes(os.urandom(2_000_000))
    made(world, rsyncd.options(far, bandwidth='1MiB'))
    start = time.monotonic()
    world.ok('run', 'job')
    assert time.monotonic() - start > 1.5


# ---- secrets ----

def test_the_password_is_in_no_argument_and_no_environment(world, far, rsyncd, tmp_path):
    """A wrapper that writes down what every rsync is started with."""
    wrapper, staging = tmp_path / 'bin' / 'rsync', Path(tempfile.mkdtemp(prefix='staging-', dir='/tmp'))
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\ntr "\\0" "\\n" </proc/$$/cmdline >>{staging}/seen\n'
                       f'tr "\\0" "\\n" </proc/$$/environ >>{staging}/seen\nexec /usr/bin/rsync "$@"\n')
    wrapper.chmod(0o755)
    env = CLEAN | {'PATH': f'{wrapper.parent}:{CLEAN["PATH"]}'}
    sink(world, rsyncd.options(far, staging=staging))
    try:
        results = [world.ok(*words, env=env) for words in (('init', 'far'), ('run', 'job'), ('check',))]
        seen = (staging / 'seen').read_text()
    finally:
        shutil.rmtree(staging)
    assert 'password-file=-' in seen and PASSWORD not in seen and 'SHELL' not in seen
    assert not any(PASSWORD in result.text for result in results)


def test_a_key_that_others_can_read_is_refused(world, sshd, far, tmp_path):
    key = Path(shutil.copy(sshd.identity, tmp_path / 'key'))
    key.chmod(0o644)
    sink(world, sshd.options(far, identity_file=key))
    assert 'chmod 0600' in world.fails(FAILURES, 'check', 'far').text


# ---- what the far side permits ----

def test_append_only_through_ssh(world, sshd, far, tmp_path):
    far.mkdir(mode=0o700)
    key = sshd.forced('append', f'{RRSYNC} -no-del -no-overwrite {far}')
    made(world, sshd.options('/', identity_file=key))
    for _ in range(2):
        world.ok('run', 'job')
    found = world.ok('check', 'far').text
    assert 'does not permit removing' in found and 'does not permit replacing' in found
    world.ok('verify', 'job', '--all')
    # What is there is not lost, whoever has the key: past cofre, with the options that do it.
    before = {p: p.read_bytes() for p in stored(far)}
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other' / 'config').write_text('junk')
    shell = f'ssh -i {key} -p {sshd.port} -o UserKnownHostsFile={sshd.known_hosts} -o BatchMode=yes'
    for words in (['-r', '--delete', f'{tmp_path}/empty/'], ['-I', f'{tmp_path}/other/config']):
        execute(['rsync', '-e', shell, *words, f'root@{sshd.host}:/'])
    assert before == {p: p.read_bytes() for p in stored(far)}


def test_write_only_with_another_key_for_reading(world, sshd, far):
    far.mkdir(mode=0o700)
    writing = sshd.forced('write', f'{RRSYNC} -wo -no-del -no-overwrite {far}')
    reading = sshd.forced('read', f'{RRSYNC} -ro {far}')
    sink(world, sshd.options('/', identity_file=writing))
    assert 'read_identity_file' in world.fails(FAILURES, 'check', 'far').text
    made(world, sshd.options('/', identity_file=writing, read_identity_file=reading))
    world.ok('run', 'job')
    world.ok('verify', 'job', '--all')
    assert 'does not permit removing' in world.ok('check', 'far').text
    # The other way round neither can write.
    sink(world, sshd.options('/', identity_file=reading))
    assert 'read-only' in world.fails(FAILURES, 'check', 'far').text


@pytest.fixture
def modules(tmp_path):
    """A daemon with modules of several kinds."""
    def section(name: str, text: str) -> str:
        (tmp_path / f'm-{name}').mkdir(mode=0o700)
        return f'[{name}]\npath = {tmp_path}/m-{name}\nread only = no\n{text}\n'
    text = (section('append', 'refuse options = delete') + section('closed', 'read only = yes')
            + section('old', 'refuse options = fsync') + section('hosts', 'hosts allow = 192.0.2.1')
            + section('chroot', 'use chroot = yes') + section('single', f'max connections = 1\nlock file = {tmp_path}/lock') + '[gone]\npath = /nowhere/at/all\nread only = no\n')
    with Daemon(tmp_path, text) as daemon:
        yield daemon


def test_append_only_daemon(world, modules, far, tmp_path):
    made(world, modules.options('', module='append'))
    for _ in range(2):
        world.ok('run', 'job')
    assert 'does not permit removing' in world.ok('check', 'far').text
    world.ok('verify', 'job', '--all')
    assert len(list((tmp_path / 'm-append' / '~cofre').iterdir())) > 3


def test_a_daemon_with_chroot(world, modules, far):
    made(world, modules.options('a/b', module='chroot'))
    world.ok('run', 'job')
    world.ok('verify', 'job', '--all')


def test_a_daemon_that_takes_one_connection(world, modules, far, tmp_path):
    """It may refuse one that comes before it has noticed the end of the last: that is tried again."""
    made(world, modules.options('', module='single', staging_size='32MiB'))
    (tmp_path / 'tree' / 'big').write_bytes(os.urandom(40_000_000))
    world.ok('run', 'job')
    assert len(world.snapshots()) == 1


def test_removing_is_permitted_elsewhere(world, sshd, far):
    made(world, sshd.options(far))
    found = world.ok('check', 'far').text
    assert 'permits removing' in found and 'permits replacing' in found and 'flushes' in found
    assert stored(far) == [far / 'config']


def test_flush_marks_are_swept(world, sshd, far):
    made(world, sshd.options(far))
    mark = far / '~cofre' / '0000000001.00000000'
    debris = far / '.tmp' / '.pack.AbCdEf'
    foreign = far / 'lost+found' / 'x'
    foreign.parent.mkdir()
    for path in (mark, debris, foreign):
        path.write_text('x')
        os.utime(path, (1, 1))
    world.ok('run', 'job')
    assert not mark.exists() and not debris.exists() and foreign.exists()


# ---- errors: each with its cause and the way out ----

def test_of_a_daemon(world, modules, far):
    for options, cause, hint in (
            (modules.options('', module='nomodule'), "Unknown module 'nomodule'", 'rsyncd.conf'),
            (modules.options('x', password='wrong'), 'auth failed', 'secrets file'),
            (modules.options('x', password=None), 'asks for a password', 'password'),
            (modules.options('', module='gone'), 'does not exist there', 'mounted'),
            (modules.options('', module='hosts'), 'access denied', 'hosts allow'),
            (modules.options('x/y/z', module='append'), 'is not there', 'cofre init')):
        sink(world, options)
        result = world.fails(FAILURES, 'check', 'far')
        assert cause in result.text and hint in result.text, result
    sink(world, modules.options('', module='closed'))
    result = world.fails(FAILURES, 'init', 'far')
    assert 'read only' in result.text and 'rsyncd.conf' in result.text, result


def test_of_ssh(world, sshd, far, tmp_path):
    empty = tmp_path / 'empty'
    empty.write_text('')
    changed = tmp_path / 'changed'
    stranger = sshd.make_key(f'stranger{os.getpid()}')
    changed.write_text(sshd.known(stranger))
    for options, cause, hint in (
            (sshd.options(far, known_hosts=empty), 'host key is not known', 'known_hosts'),
            (sshd.options(far, known_hosts=changed), 'has changed', 'ssh-keygen -R'),
            (sshd.options(far, identity_file=stranger), 'Permission denied (publickey', 'authorized_keys'),
            (sshd.options(far, ssh_port=1), 'Connection refused', 'port'),
            (sshd.options(far, rsync_path='/nowhere/rsync'), 'rsync', 'rsync_path'),
            (sshd.options(far), 'not there', 'cofre init'),
            (sshd.options(far, identity_file=tmp_path / 'nothing'), 'identity_file', '')):
        sink(world, options)
        result = world.fails(FAILURES, 'check', 'far')
        assert cause in result.text and hint in result.text, result
    assert not far.exists()


def test_of_options(world, sshd, rsyncd, far, tmp_path):
    good = sshd.options(far)
    for change, cause in (({'target': 'host:relative'}, 'absolute'), ({'target': '-oProxyCommand=x:/y'}, 'host'),
                          ({'target': 'h:/a*b'}, 'expand'), ({'password': 'x'}, 'daemon'),
                          ({'rsync_path': 'rsync; reboot'}, 'shell'), ({'staging': tmp_path / 'no'}, 'staging'),
                          ({'staging': f'{tmp_path}/{"x" * 90}'}, 'staging'),
                          (rsyncd.options(far) | {'identity_file': sshd.identity, 'known_hosts': None}, 'ssh')):
        sink(world, {name: value for name, value in (good | change).items()})
        result = world.fails(FAILURES, 'check', 'far')
        assert cause in result.text, result
    assert not far.exists()


def test_an_old_rsync_on_the_far_side(world, sshd, modules, far, tmp_path):
    """One that knows no --fsync: said by name, and usable without the promise."""
    old = tmp_path / 'rsync-old'
    old.write_text('#!/bin/sh\nfor word; do case $word in --fsync|--mkpath) echo "rsync: on remote machine: $word: unknown '
                   'option" >&2; exit 1;; esac; done\nexec /usr/bin/rsync "$@"\n')
    old.chmod(0o755)
    sink(world, sshd.options(far, rsync_path=old))
    assert '3.2.3' in world.fails(FAILURES, 'init', 'far').text
    made(world, sshd.options(far, rsync_path=old, fsync='no'))
    world.ok('run', 'job')
    assert 'cannot promise' in world.ok('check', 'far').text
    sink(world, sshd.options(far, rsync_path=old))
    result = world.fails(FAILURES, 'check', 'far')
    assert '3.2.4' in result.text and 'fsync = no' in result.text, result


def test_a_full_disk_there(world, sshd, tmpfs, far, tmp_path):
    disk = tmpfs('small', 'size=4m')
    made(world, sshd.options(disk / 'place'))
    (tmp_path / 'tree' / 'big').write_bytes(os.urandom(8_000_000))
    result = world.fails(FAILURES, 'run', 'job')
    assert 'No space left' in result.text and 'make room' in result.text, result
    assert not [p for p in stored(disk / 'place') if 'packs' in p.parts]
    (tmp_path / 'tree' / 'big').unlink()
    world.ok('run', 'job')
    world.ok('verify', 'job', '--all')


def test_a_full_disk_here(world, sshd, staging, far, tmp_path):
    made(world, sshd.options(far, staging=staging))
    (tmp_path / 'tree' / 'big').write_bytes(os.urandom(8_000_000))
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', staging], check=True)
    result = world('run', 'job')
    subprocess.run(['umount', '-l', staging], check=True)
    assert result.status in FAILURES, result
    assert str(staging) in result.text and 'staging' in result.text, result


def test_a_disk_that_is_not_mounted_there(world, sshd, tmpfs, far, tmp_path):
    disk = tmpfs('disk', 'size=64m')
    made(world, sshd.options(disk / 'place'))
    world.ok('run', 'job')
    subprocess.run(['umount', disk], check=True)
    for words in (('run', 'job'), ('list', 'job'), ('verify', 'job'), ('check', 'far')):
        assert 'mounted' in world.fails(FAILURES, *words).text
    assert not list(disk.rglob('*'))
    subprocess.run(['mount', '-t', 'tmpfs', 'tmpfs', disk], check=True)


def test_other_content_under_a_key_is_left_alone(world, sshd, far, tmp_path):
    """Junk under the name of a pack, of the same size and time: never replaced, never taken for the pack."""
    world.sink('near', path=tmp_path / 'near')
    world.job(sinks='near')
    world.ok('init', 'near')
    world.ok('run', 'job')
    made(world, sshd.options(far))
    pack = world.objects('packs', tmp_path / 'near')[0]
    junk = far / pack.relative_to(tmp_path / 'near')
    junk.parent.mkdir(parents=True)
    junk.write_bytes(b'j' * pack.stat().st_size)
    os.utime(junk, ns=(pack.stat().st_mtime_ns,) * 2)
    result = world.fails(FAILURES, 'copy', 'job', '--from', 'near', '--to', 'far')
    assert 'other content' in result.text and pack.name in result.text, result
    assert junk.read_bytes() == b'j' * pack.stat().st_size


def test_what_is_no_object_is_passed_over(world, sshd, far):
    made(world, sshd.options(far))
    world.ok('run', 'job')
    for name in ('packs/a b', 'packs/x\ny', 'index/\x1b[31m', 'snapshots/\udcff', 'packs/-rw------- 5 2026 x'):
        path = os.path.join(os.fsencode(far), os.fsencode(name))
        with open(path, 'wb') as file:
            file.write(b'x')
    os.symlink('/etc/passwd', far / 'packs' / 'link')
    world.ok('run', 'job')
    world.ok('verify', 'job', '--all')


# ---- what breaks on the way ----

def test_killed_here_nothing_stays(world, sshd, far, staging, tmp_path):
    made(world, sshd.options(far, staging=staging, bandwidth='2MiB'))
    (tmp_path / 'tree' / 'big').write_bytes(os.urandom(20_000_000))
    with subprocess.Popen(world.command('run', 'job'), env=CLEAN, stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: list((far / '.tmp').iterdir()))
        process.kill()
    left = next(staging.iterdir())
    wait_until(lambda: not users(left))
    os.utime(left, (1, 1))
    sink(world, sshd.options(far, staging=staging))
    world.ok('run', 'job')
    assert list(staging.iterdir()) == []
    world.ok('verify', 'job', '--all')


def test_killed_while_the_sink_has_nothing_to_do(world, sshd, far, staging, tmp_path):
    """Its connection goes too, whoever of the worker's threads notices first that cofre is gone."""
    built = world.binary.parent
    made(world, sshd.options(far, staging=staging))
    world.section('engine', state_dir=tmp_path / 'state', cache_dir=tmp_path / 'cache', host='testhost',
                  plugin_dir=f'{built / "plugins"}, {built / "tests" / "plugins"}')
    world.section('source tree', plugin='faulty-source', habit='hang')
    for _ in range(8):
        with subprocess.Popen(world.command('run', 'job'), env=CLEAN, stderr=subprocess.DEVNULL) as process:
            wait_until(lambda: any('-MN' in line for line in users(staging)))
            time.sleep(0.5)
            process.kill()
        wait_until(lambda: not users(staging))


def test_directories_of_other_people_are_no_debris(world, sshd, far, staging):
    for name in ('.cofre-backup', '.cofre-', 'cofre-rsync-bench'):
        (staging / name).mkdir()
        (staging / name / 'out').mkdir()
        (staging / name / 'precious').write_text('x')
        os.utime(staging / name, (1, 1))
    made(world, sshd.options(far, staging=staging))
    assert len(list(staging.rglob('precious'))) == len(list(staging.rglob('out'))) == 3


def wait_until(condition, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def users(path: Path) -> list[str]:
    """Processes that have the path in their arguments."""
    return [line for line in subprocess.run(['ps', 'axww', '-o', 'pid,args'], capture_output=True, text=True,
                                            check=True).stdout.splitlines() if str(path) in line]


@pytest.mark.parametrize('side', ['ssh', 'server'])
def test_a_killed_transfer_is_made_again(world, far, tmp_path, side):
    with Sshd() as server:
        made(world, server.options(far, bandwidth='4MiB'))
        (tmp_path / 'tree' / 'big').write_bytes(os.urandom(12_000_000))
        with subprocess.Popen(world.command('run', 'job'), env=CLEAN, stderr=subprocess.PIPE, text=True) as process:
            wait_until(lambda: list((far / '.tmp').iterdir()))
            for line in users(f'{far}/.tmp' if side == 'server' else '/config0 -MN'):
                if (side == 'ssh') == ('-MN' in line) and ('--server' in line or side == 'ssh'):
                    os.kill(int(line.split()[0]), signal.SIGKILL)
            messages = process.communicate(timeout=60)[1]
    assert process.returncode == 0, messages
    assert 'trying again' in messages


def test_stopped_by_the_user(world, sshd, far, tmp_path):
    made(world, sshd.options(far, bandwidth='1MiB'))
    (tmp_path / 'tree' / 'big').write_bytes(os.urandom(20_000_000))
    with subprocess.Popen(world.command('run', 'job'), env=CLEAN, stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: list((far / '.tmp').iterdir()))
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 128 + signal.SIGTERM
    assert not [p for p in stored(far) if 'packs' in p.parts]


def test_a_silent_far_side(world, far, tmp_path):
    """It takes the connection and says nothing: io_timeout."""
    with Sshd() as server:
        made(world, server.options(far))
        sink(world, server.options(far, io_timeout='2s'))
        os.killpg(server.process.pid, signal.SIGSTOP)
        result = world.fails(FAILURES, 'check', 'far', timeout=50)  # by itself it would wait for 60 s
        os.killpg(server.process.pid, signal.SIGCONT)
        assert re.search('tim(ed|e) ?out', result.text), result
