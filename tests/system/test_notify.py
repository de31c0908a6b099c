"""Who is told what: each event once, again while it lasts, later when it could not be told, by whatever command comes next."""
import contextlib
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from support.cli import BAD_CONFIG, CLEAN, DONE, FAILED, FAILURES, INCOMPLETE, USAGE
from support.notify import Told
from support.records import moment, place, records, write
from support.tree import plain_tree
from support.wait import wait_until

HOUR, DAY = 3600, 86400


@pytest.fixture
def made(world, tmp_path):
    tmp_path.chmod(0o755)
    world.simple(plain_tree(tmp_path / 'tree', files=5))
    return world


@pytest.fixture
def ops(made, tmp_path):
    """Told of everything."""
    told = Told(made, tmp_path, on='failure, incomplete, suspect, stale, recovered, success, space, key_expiry, removed')
    made.job(notify='ops')
    return told


def breaks(made) -> None:
    made.key.rename(made.key.with_suffix('.away'))


def mends(made) -> None:
    made.key.with_suffix('.away').rename(made.key)


# ---- the commands ----

def test_a_failure_is_told_once_and_its_end_too(made, ops):
    breaks(made)
    for _ in range(3):
        made.fails(FAILURES, 'run', 'job')
    [one] = ops.events()
    record = records(made)[0]
    assert one['type'] == 'event' and one['event'] == 'failure' and one['level'] == 'error' and one['reminder'] is False
    assert (one['host'], one['job'], one['sink'], one['command']) == ('testhost', 'job', None, 'run')
    assert one['record'] == record and one['time'] == record['ended'] and one['dropped'] == 0 and 'queued' not in one
    assert one['title'] == "testhost: run of job 'job' failed" and record['error'] in one['text'] and 'cofre log job' in one['text']
    mends(made)
    made.ok('run', 'job')
    made.ok('run', 'job')
    assert ops.names == ['failure', 'recovered', 'success', 'success']
    assert len({one['id'] for one in ops.events()}) == 4


def test_a_full_disk_is_told_once(made, ops, tmpfs):
    """Whichever object it was that had no room."""
    small = tmpfs('small', 'size=4m')
    made.sink('small', path=small / 'repository')
    made.job(sinks='small', notify='ops')
    made.ok('init', 'small')
    with contextlib.suppress(OSError), (small / 'filler').open('wb', buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    for _ in range(4):
        (made.base / 'tree' / 'new').write_bytes(os.urandom(1 << 16))
        made.fails(FAILED, 'run', 'job')
    assert ops.names == ['failure'] and len({one['error'] for one in records(made)}) > 1


def test_each_command_tells(made, ops, tmp_path):
    made.job(notify='ops', keep_last=1, keep_min=1, prune='manual')
    made.sink('second', path=tmp_path / 'second')
    made.ok('init', 'second')
    made.ok('run', 'job')
    made.ok('run', 'job')
    made.ok('run', 'job', '--dry-run')
    made.ok('prune', 'job', '--dry-run')
    assert ops.names == ['success'] * 2
    made.ok('prune', 'job')
    assert ops.names[2:] == ['removed'] and "job 'job' in sink 'disk': removed snapshots 1, left 1\n" in ops.events()[-1]['text']
    made('restore', 'job@20200101T000000Z-000000', '--into', tmp_path / 'out')
    assert ops.names[3:] == ['failure'] and ops.events()[-1]['command'] == 'restore'
    made.ok('restore', 'job', '--into', tmp_path / 'out')
    made.ok('copy', 'job', '--from', 'disk', '--to', 'second')
    made.ok('verify', 'job')
    made.ok('gc', 'disk')
    assert len(ops.names) == 4
    for pack in filter(Path.is_file, made.repository.rglob('packs/**/*')):
        pack.write_bytes(pack.read_bytes()[:-1] + b'\0')
    made('verify', 'job')
    made('verify')
    assert ops.names[4:] == ['failure'] * 2
    assert [(one['job'], one['sink'], one['title']) for one in ops.events()[4:]] == [
        ('job', None, "testhost: verify of job 'job' found damage"), (None, 'disk', "testhost: verify of sink 'disk' found damage")]


def test_what_a_run_removes_is_told_of(made, ops):
    made.job(notify='ops', keep_last=1, keep_min=1)
    for _ in range(2):
        made.ok('run', 'job')
    assert ops.names == ['success', 'removed', 'success']
    assert "job 'job' in sink 'disk': removed snapshots 1, left 1\n" in ops.events()[1]['text']
    assert [(row['removed'], row['kept']) for one in records(made) for row in one['sinks']] == [(0, 1), (1, 1)]


def test_what_is_incomplete_names_its_parts(made, ops, tmp_path):
    made.source('gone', tmp_path / 'gone')
    made.job(sources='tree, gone', notify='ops')
    made.fails(INCOMPLETE, 'run', 'job')
    [one] = ops.events()
    assert one['event'] == 'incomplete' and one['level'] == 'warning' and "source 'gone'" in one['text'] and str(tmp_path / 'gone') in one['text']


def test_who_is_told_of_which_job(made, ops, tmp_path):
    others, nobody = Told(made, tmp_path, 'others', on='success'), Told(made, tmp_path, 'nobody', on='success')
    made.section('engine', state_dir=made.base / 'state', cache_dir=made.base / 'cache', host='testhost', notify='others')
    made.job('second')
    made.ok('run', 'job')
    made.ok('run', 'second')
    assert [one['job'] for one in ops.events()] == ['job'] and [one['job'] for one in others.events()] == ['second'] and not nobody.events()


def test_what_was_before_a_notifier_is_no_news(made, tmp_path):
    for _ in range(3):
        made.ok('run', 'job')
    ops = Told(made, tmp_path, on='success')
    made.job(notify='ops')
    made.ok('run', 'job')
    assert ops.names == ['success'] and ops.events()[0]['record']['id'] == records(made)[-1]['id']


# ---- from what is written down ----

def test_stale_full_and_reminded(made, ops):
    """Whichever command comes next tells it: here one that has nothing to do with the job."""
    made.job(notify='ops', max_age='1h')
    made.job('other', notify='ops')
    made.section('notify ops', plugin='command', program=ops.program, on='failure, stale, space, recovered', remind='1s', retry_for=0)
    made.sink(warn_space='80%')
    old = moment(time.time() - 2 * DAY)
    write(place(made, 'job'), [{'status': 'complete', 'snapshot': 'x', 'snapshot_started': old, 'snapshot_status': 'complete', 'started': old,
                                'ended': old, 'sinks': [{'name': 'disk', 'committed': True, 'added': 1, 'space': 100, 'available': 5}]}])
    made.sink(warn_space='99%')
    made.ok('run', 'other')
    assert ops.names == ['stale']
    assert ops.events()[0]['sink'] == 'disk' and "max_age is 1 h" in ops.events()[0]['text']
    time.sleep(1.1)
    made.ok('run', 'other')
    assert ops.names == ['stale', 'STALE'] and ops.events()[1]['text'].startswith('still so, since ')
    made.ok('run', 'job')
    assert ops.names == ['stale', 'STALE', 'recovered']


def test_escalation(made, ops, tmp_path):
    boss = Told(made, tmp_path, 'boss')
    made.section('engine', state_dir=made.base / 'state', cache_dir=made.base / 'cache', host='testhost', escalate='1s: boss')
    breaks(made)
    made('run', 'job')
    assert ops.names == ['failure'] and not boss.events()
    time.sleep(1.1)
    made('run', 'job')
    assert ops.names == ['failure'] and boss.names == ['failure']
    mends(made)
    made.ok('run', 'job')
    assert boss.names == ['failure', 'recovered'] and ops.names == ['failure', 'recovered', 'success']


# ---- what cannot be told ----

def memory(made, name: str = 'ops') -> dict:
    return json.loads((made.base / 'state' / 'notify' / name).read_text())


def test_what_could_not_be_told_is_told_later(made, ops):
    ops.does('true', before='echo the line is dead; exit 1')
    first = made.ok('run', 'job')
    assert 'will be told later' in first.err and 'the line is dead' in first.err and len(memory(made)['queue']) == 1
    breaks(made)
    made('run', 'job')
    mends(made)
    assert not ops.events() and [one['event'] for one in memory(made)['queue']] == ['success', 'failure']
    assert (made.base / 'state' / 'notify' / 'ops').stat().st_mode & 0o777 == 0o600
    ops.does('true')
    made.ok('run', 'job')
    assert ops.names == ['success', 'failure', 'recovered', 'success'] and not memory(made)['queue']


@pytest.mark.parametrize('then, says', [
    ('exit 1', 'ended with status 1'), ('kill -11 $$', 'killed by signal 11'), ('exec 0<&-; exit 7', 'ended with status 7'),
    ('exec sleep 1000', 'took longer'), ('sleep 1000 & exit 3', 'ended with status 3'), ('exec yes', 'took longer'),
    ('yes "$(printf %01000d 1)" | head -c 50000000; exit 4', 'ended with status 4|took longer'), ("printf '\\033[31mred\\n'; exit 5", r'\\x1b'),
    ('exit 75', 'status 75')], ids=str)
def test_a_program_that_misbehaves_changes_nothing_for_the_run(made, ops, then, says):
    made.section('notify ops', plugin='command', program=ops.program, on='success', retry_for=0, timeout='500ms')
    ops.program.write_text(f'#!/bin/sh\n{then}\n')
    done = made.ok('run', 'job', timeout=50)  # without its own time the program would have 60 s
    assert re.search(says, done.err) and 'will be told later' in done.err and '\x1b' not in done.err
    assert records(made)[-1]['status'] == 'complete' and [one['event'] for one in memory(made)['queue']] == ['success']
    assert not left_behind(ops)


def left_behind(ops) -> list[str]:
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            found += [pid] if str(ops.program).encode() in Path('/proc', pid, 'cmdline').read_bytes() else []
        except OSError:
            pass
    return found


def test_what_a_program_leaves_running_is_killed(made, ops, tmp_path):
    ops.does(f'(exec {ops.program} stay) & exit 0', before='[ "$1" = stay ] && exec sleep 1000')
    made.ok('run', 'job')
    assert ops.names == ['success']
    wait_until(lambda: not left_behind(ops), 'the end of what it left')


def test_a_start_is_told_at_once_or_never(made, ops, tmp_path):
    made.section('notify ops', plugin='command', program=ops.program, retry_for=0, on='start, success, failure')
    made.ok('run', 'job')
    start, end = ops.events()
    assert (start['event'], start['level'], start['job'], start['command']) == ('start', 'info', 'job', 'run')
    assert start['title'] == "testhost: run of job 'job' has begun" and start['time'] == start['record']['started'] == records(made)[0]['started']
    assert end['event'] == 'success' and end['record']['id'] == start['record']['id'] and 'ended' not in start['record']
    made.ok('run', 'job', '--dry-run')
    made.source('other', tmp_path / 'tree')
    made.job(sources='tree, other', notify='ops')
    made.ok('run', 'job', 'tree')  # a part, whose end is told to nobody either
    made.job(sources='tree, other', notify='ops', before='sh:exit 75')
    made.ok('run', 'job')
    assert ops.names == ['start', 'success']
    made.job(notify='ops')
    made.section('notify ops', plugin='command', program=ops.program, on='start, success', timeout='10min', retry_for='10min')
    ops.does('exec sleep 1000', before='exec sleep 1000')
    breaks(made)  # nothing but the start is told
    result = made.fails(FAILURES, 'run', 'job')
    assert "the start of job 'job' was not told" in result.err and 'later' not in result.err, result
    assert not memory(made)['queue'] and not left_behind(ops)
    mends(made)
    ops.does('true')
    made.ok('run', 'job')
    assert ops.names == ['start', 'success'] * 2


def test_killed_while_it_tells(made, ops):
    """It was told, and cofre did not get to know: once more, and no more than that; nothing is lost."""
    ops.does('kill -9 $(cut -d" " -f4 /proc/$PPID/stat)')
    assert made('run', 'job').status == 128 + signal.SIGKILL
    assert ops.names == ['success'] and len(memory(made)['queue']) == 1
    ops.does('true')
    made.ok('run', 'job')
    first, again, second = ops.events()
    assert first['id'] == again['id'] != second['id'] and ops.names == ['success'] * 3
    made.ok('run', 'job')
    assert len(ops.names) == 4


def test_killed_before_it_tells(made, ops):
    ops.does('true', before='kill -9 $(cut -d" " -f4 /proc/$PPID/stat); exec sleep 1000')
    assert made('run', 'job').status == 128 + signal.SIGKILL and not ops.events()
    ops.does('true')
    made.ok('gc', 'disk')
    assert ops.names == ['success']


def test_who_is_stopped_tells_nothing_any_more(made, ops, tmp_path):
    """The next one does."""
    made.section('sink stuck', plugin='local', path=tmp_path / 'stuck', format='archive',
                 passphrase=f'@cmd:echo > {tmp_path}/at-work; sleep 1000')
    made.job('stuck', sinks='stuck', notify='ops')
    with subprocess.Popen(made.command('run', 'stuck'), env=CLEAN, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL) as process:
        wait_until(lambda: (tmp_path / 'at-work').exists(), 'the run to be at work')
        process.terminate()
        process.wait(60)
    assert not ops.events() and [one['event'] for one in memory(made)['queue']] == ['failure']
    made.ok('gc', 'disk')
    assert ops.names == ['failure'] and ops.events()[0]['job'] == 'stuck'


def test_what_is_refused_again_and_again(made, ops):
    """Each is tried, and then it is enough."""
    ops.does('exit 1')
    for _ in range(13):
        made.ok('run', 'job')
    assert len(memory(made)['queue']) == 13 and len(made.ok('gc', 'disk').err.split('will be told later')) == 1 + 10
    ops.log.unlink()
    ops.does('true')
    made.ok('gc', 'disk')
    assert ops.names == ['success'] * 13


def test_several_at_once_tell_each_event_once(made, ops):
    jobs = [f'job{n}' for n in range(6)]
    for job in jobs:
        made.job(job, notify='ops')
    processes = [subprocess.Popen(made.command('run', job), env=CLEAN, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) for job in jobs]
    assert [process.wait() for process in processes] == [DONE] * len(jobs)
    assert sorted(one['job'] for one in ops.events()) == jobs and not memory(made)['queue']


def test_a_memory_that_is_damaged(made, ops):
    made.ok('run', 'job')
    (made.base / 'state' / 'notify' / 'ops').write_text('{"read": 7')
    done = made.ok('run', 'job')
    assert 'may be told again' in done.err and ops.names == ['success'] * 2


# ---- a person asks ----

def test_notify_test(made, ops):
    done = made.ok('notify', 'test', 'ops')
    [one] = ops.events()
    assert 'was told' in done.out and one['event'] == 'test' and one['record'] is None and not (made.base / 'state' / 'notify').exists()
    assert made.ok('--json', 'notify', 'test', 'ops').json()[1:] == [{'type': 'notification', 'notifier': 'ops', 'event': 'test'}]
    ops.does('exit 1')
    assert 'ended with status 1' in made.fails(FAILED, 'notify', 'test', 'ops').err
    assert "did you mean 'ops'" in made.fails(USAGE, 'notify', 'test', 'opps').err
    made.fails(USAGE, 'notify', 'tell', 'ops')


def test_check_tells_nobody(made, ops):
    assert "notifier 'ops'" in made.ok('check').out and "notifier 'ops'" in made.ok('check', 'ops').out
    made.ok('check', '--offline')
    assert not ops.events()
    ops.program.chmod(0o644)
    assert 'cannot be executed' in made('check', 'job').err
    ops.program.chmod(0o777)
    bad = made.fails(BAD_CONFIG, 'check', 'ops')
    assert 'chmod' in bad.err
    assert made.ok('run', 'job').status == DONE and not ops.events()


def test_plugins_of_another_role(made, ops):
    made.section('notify ops', plugin='local', path='/x')
    assert "plugin 'local' is a sink, so it cannot be used in [notify ops]" in made.fails(BAD_CONFIG, 'check', 'ops').err
    made.section('notify ops', plugin='command', program=ops.program)
    made.section('sink disk', plugin='command', program=ops.program, encryption='none')
    assert "plugin 'command' is a notifier, so it cannot be used in [sink disk]" in made.fails(BAD_CONFIG, 'check', 'disk').err


@pytest.mark.parametrize('fault, says', [
    ('hang', 'took longer than it may'), ('deaf', 'killed'), ('crash', r'signal 11|exit\(1\)'), ('exit', 'ended|exit'), ('nonsense', 'returned 7000'),
    ('flood', 'not today|took longer'), ('mute', 'without saying why'), ('open', 'does not open'), ('entry', 'which there is not in this call')])
def test_a_plugin_that_misbehaves_changes_nothing_for_the_run(made, fault, says):
    plugins = f'{made.binary.parent}/plugins, {made.binary.parent}/tests/plugins'
    made.section('engine', state_dir=made.base / 'state', cache_dir=made.base / 'cache', plugin_dir=plugins, notify='bad')
    made.section('notify bad', plugin='faulty-notifier', fault=fault, on='success', timeout='300ms', retry_for=0)
    done = made.ok('run', 'job')
    assert re.search(says, done.err) and 'will be told later' in done.err and len(memory(made, 'bad')['queue']) == 1
    assert len(done.err) < 10_000_000


def test_rights_of_the_worker(made, ops, tmp_path):
    """As root: no new privileges, and of the capabilities those that mail systems take."""
    ops.does(f'cat /proc/self/status > {tmp_path}/rights; exit 0')
    made.ok('notify', 'test', 'ops')
    said = dict(re.findall(r'^(\w+):\s+(\S+)', (tmp_path / 'rights').read_text(), re.M))
    chown, override, read, owner, kill, gid, uid = (1 << n for n in (0, 1, 2, 3, 5, 6, 7))
    assert said['NoNewPrivs'] == '1' and said['Seccomp'] == '2'
    if os.geteuid() == 0:
        assert int(said['CapEff'], 16) == int(said['CapBnd'], 16) == chown | override | read | owner | kill | gid | uid


def test_the_environment_of_a_program(made, ops, tmp_path):
    ops.does(f'env > {tmp_path}/env; ls /proc/self/fd > {tmp_path}/fds; exit 0')
    made.ok('notify', 'test', 'ops', env=CLEAN | {'SECRET': 'x', 'LANG': 'C.UTF-8'})
    names = set(re.findall(r'^(\w+)=', (tmp_path / 'env').read_text(), re.M))
    assert names <= {'PATH', 'LANG', 'PWD', 'SHLVL', '_', 'OLDPWD'} and 'PATH' in names
    assert set((tmp_path / 'fds').read_text().split()) <= {'0', '1', '2', '3'}
