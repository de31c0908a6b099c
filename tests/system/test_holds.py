"""What a plugin freezes or changes for a while is undone, whatever happens: by the run itself, or by the next start."""
import ctypes
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from support.cli import CLEAN, DONE, FAILED, INCOMPLETE
from support.watchdog import children, kill_with_watchdog, watchdogs


@pytest.fixture
def app(world, tmp_path):
    """Two applications that can be frozen, and their job."""
    built = world.binary.parent
    world.section('engine', state_dir=tmp_path / 'state', cache_dir=tmp_path / 'cache', host='testhost',
                  plugin_dir=f'{built / "plugins"}, {built / "tests" / "plugins"}')
    for name in ('one', 'two'):
        (tmp_path / name).mkdir()
        configure(world, name)
    world.sink()
    world.job(sources='one, two')
    world.ok('init', 'disk')
    return world


def configure(world, name, **options):
    world.section(f'source {name}', plugin='holding-source', place=world.base / name, **options)


def calls(world, name='one'):
    path = world.base / name / 'calls'
    return [tuple(line.split()) for line in path.read_text().splitlines()] if path.exists() else []


def verbs(world, name='one'):
    return [verb for verb, _ in calls(world, name)]


def held(world, name='one'):
    """What is frozen or being restored now."""
    return sorted(p.name for p in (world.base / name).iterdir() if p.name != 'calls')


def holds(world):
    return sorted(p.name for p in (world.base / 'state' / 'holds').glob('*'))


def start(world, *words):
    return subprocess.Popen(world.command(*words), env=CLEAN, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, 'it never came'
        time.sleep(0.01)


def killed_in(world, verb, *words, number=signal.SIGKILL):
    """Starts the command, whose plugin hangs in this call, and kills it there, with its watchdog."""
    process = start(world, *words)
    wait_for(lambda: verb in verbs(world))
    if number == signal.SIGKILL:
        status = kill_with_watchdog(process)
    else:
        process.send_signal(number)
        status = process.wait(60)
    time.sleep(0.1)
    return status


def test_all_are_frozen_before_the_first_is_read(app):
    app.ok('run', 'job')
    one, two = calls(app, 'one'), calls(app, 'two')
    assert [verb for verb, _ in one] == [verb for verb, _ in two] == ['freeze', 'backup', 'thaw']
    assert len({covering for _, covering in one}) == 1, one
    assert len({covering for _, covering in one + two}) == 2
    assert held(app, 'one') == held(app, 'two') == [] and holds(app) == []
    order = [(app.base / name / 'calls').stat().st_mtime_ns for name in ('one', 'two')]
    assert order == sorted(order), 'one is thawed before two'


def test_a_source_that_fails_is_thawed(app):
    configure(app, 'one', habit='fail', at='backup')
    app.fails(INCOMPLETE, 'run', 'job')
    assert verbs(app) == ['freeze', 'backup', 'thaw'] and held(app) == [] and holds(app) == []


def test_a_source_that_cannot_be_frozen_is_missing_and_thawed(app):
    configure(app, 'one', habit='fail', at='freeze')
    result = app.fails(INCOMPLETE, 'run', 'job')
    assert "no space left" in result.err
    assert verbs(app) == ['freeze', 'thaw'] and held(app) == [] and verbs(app, 'two') == ['freeze', 'backup', 'thaw']


@pytest.mark.parametrize('at', ['freeze', 'backup'])
def test_a_worker_that_crashes_is_thawed_by_another(app, at):
    configure(app, 'one', habit='crash', at=at)
    app.fails(INCOMPLETE, 'run', 'job')
    assert verbs(app)[-1] == 'thaw' and held(app) == [] and holds(app) == []


@pytest.mark.parametrize('at', ['freeze', 'backup'])
@pytest.mark.parametrize('next_start', [('run', 'job'), ('check',), ('restore', 'job', '--into', '/proc/nowhere')])
def test_the_next_start_thaws_what_a_killed_run_left(app, at, next_start):
    app.ok('run', 'job')
    (app.base / 'one' / 'calls').unlink()
    configure(app, 'one', habit='hang', at=at)
    killed_in(app, at, 'run', 'job')
    left = held(app)
    assert len(left) == 1 and len(holds(app)) == (2 if at == 'backup' else 1)
    configure(app, 'one')
    result = app(*next_start)
    assert 'freeze of source \'one\'' in result.err and 'is undone' in result.err and left[0][len('frozen-'):] in result.err
    assert held(app) == held(app, 'two') == [] and holds(app) == []
    # Nothing is left to do, and nothing is said.
    assert 'undo' not in app.ok('check').err


def test_thaw_may_come_twice(app):
    """The thaw works, and the process is killed before it could note that."""
    configure(app, 'one', habit='hang', at='backup')
    killed_in(app, 'backup', 'run', 'job')
    kept = {path: path.read_bytes() for path in (app.base / 'state' / 'holds').iterdir()}
    configure(app, 'one')
    app.ok('check')
    for path, content in kept.items():
        path.write_bytes(content)
    app.ok('check')
    assert verbs(app) == ['freeze', 'backup', 'thaw', 'thaw'] and holds(app) == []


def test_a_hold_of_a_living_process_is_left_alone(app):
    configure(app, 'one', habit='hang', at='backup')
    process = start(app, 'run', 'job')
    try:
        wait_for(lambda: 'backup' in verbs(app))
        assert 'undo' not in app.ok('check').err
        assert len(held(app)) == 1 and len(holds(app)) == 2 and 'thaw' not in verbs(app)
    finally:
        process.kill()
        process.wait()


def test_ctrl_c_thaws(app):
    configure(app, 'one', habit='hang', at='backup')
    assert killed_in(app, 'backup', 'run', 'job', number=signal.SIGTERM) == 128 + signal.SIGTERM
    assert verbs(app)[-1] == verbs(app, 'two')[-1] == 'thaw'
    assert held(app) == held(app, 'two') == [] and holds(app) == []


def test_ctrl_c_thaws_even_when_the_worker_had_to_be_killed(app):
    configure(app, 'one', habit='hang_', at='backup')
    process = start(app, 'run', 'job')
    wait_for(lambda: 'backup' in verbs(app))
    process.send_signal(signal.SIGTERM)
    time.sleep(0.1)
    for worker in children(process):
        os.kill(worker, signal.SIGKILL)
    assert process.wait(60) == 128 + signal.SIGTERM
    assert verbs(app)[-1] == 'thaw' and held(app) == [] and holds(app) == []


def test_a_thaw_that_fails_is_named_and_no_success(app):
    configure(app, 'one', habit='fail', at='thaw')
    result = app.fails(INCOMPLETE, 'run', 'job')
    name, = held(app)
    for command in (('run', 'job'), ('check',)):
        assert "freeze of source 'one' is not undone" in result.err and name[len('frozen-'):] in result.err
        result = app(*command)
        assert result.status in (INCOMPLETE, FAILED), result
    configure(app, 'one')
    app.ok('run', 'job')
    assert held(app) == [] and holds(app) == []


def test_a_source_that_is_no_longer_configured(app):
    configure(app, 'one', habit='hang', at='backup')
    killed_in(app, 'backup', 'run', 'job')
    (app.conf / 'source-one.conf').unlink()
    app.job(sources='two')
    result = app.fails(INCOMPLETE, 'run', 'job')
    assert "'one'" in result.err and 'configure it again' in result.err and str(app.base / 'state' / 'holds') in result.err


def test_a_source_that_has_another_plugin(app):
    configure(app, 'one', habit='hang', at='backup')
    killed_in(app, 'backup', 'run', 'job')
    app.section('source one', plugin='directory', path=app.base)
    app.job(sources='two')
    result = app.fails(INCOMPLETE, 'run', 'job')
    assert f"remove '{app.base}/state/holds/" in result.err.partition('hint: ')[2], result


def test_a_damaged_hold_is_named(app):
    app.ok('run', 'job')
    path = app.base / 'state' / 'holds' / 'cofre-20260101t000000z-abcdef'
    path.write_text('{"what": "fr')
    assert str(path) in app.fails(FAILED, 'check').err
    assert str(path) in app.fails(INCOMPLETE, 'run', 'job').err
    assert path.exists()


def test_a_restore_is_covered(app):
    app.ok('run', 'job')
    app.ok('restore', 'job', 'one', '--in-place', '--yes')
    verb, covering = calls(app)[-2]
    assert verb == 'restore' and calls(app)[-1] == ('thaw', covering) and covering != '-'
    assert held(app) == [] and holds(app) == []
    rescue = app.base / 'state' / 'sources' / 'one' / 'rescue'
    assert rescue.read_text() == 'what was there\n' and rescue.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGTERM])
def test_a_restore_that_was_ended(app, number, tmp_path):
    """With the place that --set led to; the secret that it gave is not written down."""
    app.ok('run', 'job')
    other = tmp_path / 'other'
    other.mkdir()
    secret = tmp_path / 'secret'
    secret.write_text('hunter2')
    secret.chmod(0o600)
    configure(app, 'one', habit='hang', at='restore')
    process = start(app, 'restore', 'job', 'one', '--in-place', '--yes', '--set', f'place={other}',
                    '--set', f'password=@file:{secret}')
    wait_for(lambda: 'restore' in verbs(app, 'other'))
    if number == signal.SIGKILL:
        kill_with_watchdog(process)
    process.send_signal(number)
    process.wait(60)
    time.sleep(0.1)
    if number == signal.SIGKILL:
        written = json.loads((app.base / 'state' / 'holds' / holds(app)[0]).read_text())
        assert written['what'] == 'restore' and 'hunter2' not in str(written)
        assert [row.partition('=')[0] for row in written['overrides']] == ['place', 'password']
        assert held(app, 'other') != []
        assert app.ok('check').status == DONE
    assert verbs(app, 'other')[-1] == 'thaw' and held(app, 'other') == [] and holds(app) == []
    assert (app.base / 'state').stat().st_mode & 0o777 == 0o700


# ---- the watchdog ----


def processes_of(directory):
    """Every process whose command line names this configuration."""
    found = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            if os.fsencode(directory) in Path(f'/proc/{pid}/cmdline').read_bytes():
                found.append(int(pid))
        except OSError:
            continue
    return found


@pytest.mark.parametrize('at', ['freeze', 'backup'])
def test_the_watchdog_thaws_what_a_killed_run_leaves(app, at):
    configure(app, 'one', habit='hang', at=at)
    process = start(app, 'run', 'job')
    wait_for(lambda: at in verbs(app))
    process.kill()
    process.wait()
    wait_for(lambda: held(app) == held(app, 'two') == [] and holds(app) == [])
    assert verbs(app)[-1] == 'thaw' and (at == 'freeze' or verbs(app, 'two')[-1] == 'thaw')
    wait_for(lambda: not processes_of(app.conf))
    configure(app, 'one')
    assert 'undo' not in app.ok('run', 'job').err


def test_the_watchdog_thaws_when_the_whole_group_is_killed(app):
    """As a terminal that closes, or timeout --kill-after, does it."""
    configure(app, 'one', habit='hang', at='backup')
    process = subprocess.Popen(app.command('run', 'job'), env=CLEAN, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, start_new_session=True)
    wait_for(lambda: 'backup' in verbs(app))
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    wait_for(lambda: held(app) == held(app, 'two') == [] and holds(app) == [])


def test_the_watchdog_undoes_a_restore_that_was_killed(app, tmp_path):
    app.ok('run', 'job')
    other = tmp_path / 'other'
    other.mkdir()
    configure(app, 'one', habit='hang', at='restore')
    process = start(app, 'restore', 'job', 'one', '--in-place', '--yes', '--set', f'place={other}')
    wait_for(lambda: 'restore' in verbs(app, 'other'))
    process.kill()
    process.wait()
    wait_for(lambda: verbs(app, 'other')[-1] == 'thaw' and held(app, 'other') == [] and holds(app) == [])


def test_the_watchdog_drops_scratch(app):
    """What another killed process left."""
    configure(app, 'one', habit='hang', at='backup')
    process = start(app, 'run', 'job')
    wait_for(lambda: 'backup' in verbs(app))
    name = 'cofre-20261120t020000z-ab12cd'
    (app.base / 'one' / f'scratch-{name}').mkdir()
    (app.base / 'state' / 'holds' / name).write_text(
        '{"what": "scratch", "source": "one", "plugin": "holding-source", "job": "", "overrides": []}')
    process.kill()
    process.wait()
    wait_for(lambda: held(app) == held(app, 'two') == [] and holds(app) == [])
    assert ('scratch_drop', name) in calls(app)


def test_the_watchdog_waits_for_who_still_has_the_lock(app):
    """As a child of the killed process has that has not become a worker yet."""
    configure(app, 'one', habit='hang', at='backup')
    process = start(app, 'run', 'job')
    wait_for(lambda: 'backup' in verbs(app))
    # The lock goes with the last descriptor: these are taken from the process itself.
    pidfd = os.pidfd_open(process.pid)
    kept = [duplicate(pidfd, int(path.name)) for path in Path(f'/proc/{process.pid}/fd').iterdir()
            if os.readlink(path).startswith(f'{app.base}/state/holds/')]
    assert len(kept) >= 2
    process.kill()
    process.wait()
    time.sleep(0.3)
    assert len(holds(app)) == 2
    for descriptor in kept:
        os.close(descriptor)
    os.close(pidfd)
    wait_for(lambda: held(app) == held(app, 'two') == [] and holds(app) == [])


def duplicate(pidfd, number):
    """pidfd_getfd(2)"""
    descriptor = ctypes.CDLL(None, use_errno=True).syscall(438, pidfd, number, 0)
    assert descriptor >= 0, os.strerror(ctypes.get_errno())
    return descriptor


def test_the_watchdog_says_what_it_did_where_the_run_wrote(app, tmp_path):
    configure(app, 'one', habit='hang', at='backup')
    log = tmp_path / 'log'
    with log.open('wb') as stderr:
        process = subprocess.Popen(app.command('run', 'job'), env=CLEAN, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=stderr)
    wait_for(lambda: 'backup' in verbs(app))
    process.kill()
    process.wait()
    wait_for(lambda: log.read_text().count('is undone') == 2)


def test_the_second_ctrl_c_leaves_it_to_the_watchdog(app):
    configure(app, 'one', habit='hang_', at='backup')
    process = start(app, 'run', 'job')
    wait_for(lambda: 'backup' in verbs(app))
    process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM
    wait_for(lambda: held(app) == held(app, 'two') == [] and holds(app) == [])


def test_what_ends_the_engine_does_not_end_the_watchdog(app):
    configure(app, 'one', habit='hang', at='backup')
    process = start(app, 'run', 'job')
    wait_for(lambda: 'backup' in verbs(app))
    watchdog, = watchdogs(process)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(watchdog, number)
    process.kill()
    process.wait()
    wait_for(lambda: held(app) == held(app, 'two') == [] and holds(app) == [])


def test_no_watchdog_is_left_by_a_run_that_ends(app, world):
    app.ok('run', 'job')
    assert processes_of(app.conf) == []


def test_there_is_none_where_nothing_is_attempted(world, tmp_path):
    (tmp_path / 'tree').mkdir()
    (tmp_path / 'tree' / 'file').write_text('x')
    world.simple(tmp_path / 'tree')
    trace = tmp_path / 'trace'
    world.ok('check', prefix=('strace', '-f', '-e', 'trace=execve,execveat', '-o', trace))
    world.ok('list', prefix=('strace', '-f', '-A', '-e', 'trace=execve,execveat', '-o', trace))
    assert 'worker' in trace.read_text() and 'watchdog' not in trace.read_text()


def test_nobody_can_ask_for_one(world):
    result = world('watchdog', world.conf)
    assert result.status == 2 and "unknown command 'watchdog'" in result.err
