"""The services around a restore in place (restore_stop), and the order of the sources in it."""
import os
import pty
import re
import shutil
import signal
import subprocess
import time

import pytest

from support.cli import BAD_CONFIG, CLEAN, DONE, FAILED, INCOMPLETE, USAGE, execute
from support.faults import sample
from support.watchdog import kill_with_watchdog

SOON = 5  # seconds until the watchdog has put things back


@pytest.fixture
def app(world, tmp_path):
    """One application with the services web and worker, and three sources in the job. No other plugin stops services."""
    plugins = tmp_path / 'plugins'
    plugins.mkdir(mode=0o755)
    for name in ('directory', 'local'):
        shutil.copy2(world.binary.parent / 'plugins' / f'{name}.so', plugins)
    engine(world, f'{plugins}, {world.binary.parent / "tests" / "plugins"}')
    world.place = tmp_path / 'app'
    (world.place / 'run').mkdir(parents=True)
    for service in ('web', 'worker'):
        (world.place / 'run' / service).touch()
    for name in ('one', 'two', 'three'):
        source(world, name)
    world.sink()
    job(world)
    world.ok('init', 'disk')
    world.ok('run', 'job')
    (world.place / 'calls').unlink()
    return world


def engine(world, plugins):
    world.section('engine', state_dir=world.base / 'state', cache_dir=world.base / 'cache', host='testhost', plugin_dir=plugins)


def source(world, name, **options):
    world.section(f'source {name}', plugin='serving-source', place=world.place, thing=name, **options)


def job(world, **options):
    world.job(sources='one, two, three', **{'restore_stop': 'web worker'} | options)


def calls(world):
    """Each call: its name, the id that covers it, the source; what was only looked at left out."""
    path = world.place / 'calls'
    rows = [tuple(line.split()) for line in path.read_text().splitlines()] if path.exists() else []
    return [row for row in rows if row[0] not in ('say', 'check')]


def running(world):
    return sorted(path.name for path in (world.place / 'run').iterdir())


def records(world):
    common = world.base / 'state' / 'plugins' / 'serving-source'
    return sorted(path.name for path in common.iterdir()) if common.exists() else []


def holds(world):
    return sorted(path.name for path in (world.base / 'state' / 'holds').glob('*'))


def as_before(world):
    return running(world) == ['web', 'worker'] and records(world) == [] and holds(world) == []


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, 'it never came'
        time.sleep(0.01)


def start(world, *words, env=CLEAN):
    return subprocess.Popen(world.command(*words), env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)


def rows_of(result):
    """The table's first two columns. A line of what was restored in all may follow it."""
    lines = [re.split(r' {2,}', line.strip()) for line in result.out.splitlines() if not line.startswith('restored ')]
    assert lines[0] == ['SOURCE', 'RESULT', 'ENTRIES', 'BYTES'], result
    return [tuple(line[:2]) for line in lines[1:]]


# ---- all goes well

def test_stopped_before_the_first_and_started_after_the_last(app):
    result = app.ok('restore', 'job', '--in-place', '--yes')
    stop, *inner, start_again = calls(app)
    assert stop[0] == 'stop' and start_again == ('thaw', stop[1], 'one'), calls(app)
    assert [row[0] for row in inner] == ['restore', 'thaw'] * 3
    assert [row[2] for row in inner if row[0] == 'restore'] == ['one', 'two', 'three']
    assert len({row[1] for row in inner} | {stop[1]}) == 4, 'each has an id of its own'
    assert as_before(app)
    assert rows_of(result) == [('one', 'restored'), ('two', 'restored'), ('three', 'restored'), ('services', 'started')]
    assert 'stops web' in result.err and 'stops worker' in result.err


def test_what_was_not_running_stays_so(app):
    (app.place / 'run' / 'web').unlink()
    app.ok('restore', 'job', '--in-place', '--yes')
    assert running(app) == ['worker'] and holds(app) == []


def test_a_part_is_enough(app):
    app.ok('restore', 'job', 'two', '--in-place', '--yes')
    assert [(row[0], row[2]) for row in calls(app)] == [('stop', 'one'), ('restore', 'two'), ('thaw', 'two'), ('thaw', 'one')]


@pytest.mark.parametrize('where, called', [(('--into', 'elsewhere'), []), (('--set', 'thing=other'), ['restore', 'thaw'])])
def test_elsewhere_nothing_is_stopped(app, where, called, tmp_path):
    app.ok('restore', 'job', 'one', *where, cwd=tmp_path)
    assert [row[0] for row in calls(app)] == called


def test_the_order(app):
    job(app, restore_order='three, one')
    result = app.ok('restore', 'job', '--in-place', '--yes')
    assert [row[2] for row in calls(app) if row[0] == 'restore'] == ['three', 'one', 'two']
    assert [row[0] for row in rows_of(result)] == ['three', 'one', 'two', 'services']


def test_without_services_there_is_an_order_too(app):
    job(app, restore_stop=None, restore_order='two')
    app.ok('restore', 'job', '--in-place', '--yes')
    assert [row[2] for row in calls(app) if row[0] == 'restore'] == ['two', 'one', 'three']
    assert not [row for row in calls(app) if row[0] == 'stop']


def test_json(app):
    told = app.ok('--json', 'restore', 'job', 'one', '--in-place', '--yes').json()
    assert [line for line in told if line['type'] in ('restored', 'services')] == [
        {'type': 'restored', 'source': 'one', 'status': 'restored', 'entries': 1, 'bytes': 0, 'without_metadata': 0,
         'problems': 0},
        {'type': 'services', 'by': "source 'one'", 'status': 'started'}]


def answer(world, text, *words):
    """At a terminal."""
    leader, follower = pty.openpty()
    os.write(leader, text.encode())
    try:
        return execute(world.command(*words), stdin=follower)
    finally:
        os.close(leader)
        os.close(follower)


def test_the_question_says_it(app):
    result = answer(app, 'no\n', 'restore', 'job', '--in-place')
    assert result.status == FAILED and "Services around it, by source 'one':\n  stops web\n  stops worker\n" in result.err
    assert calls(app) == [] and as_before(app)
    assert answer(app, 'yes\n', 'restore', 'job', '--in-place').status == DONE
    assert calls(app)[0][0] == 'stop' and as_before(app)


def test_kept_stopped(app):
    result = app.ok('restore', 'job', '--in-place', '--yes', '--keep-stopped')
    assert running(app) == [] and records(app) == [] and holds(app) == []
    assert 'start web by hand' in result.err and rows_of(result)[-1] == ('services', 'kept stopped')
    assert 'undo' not in app.ok('check').err and running(app) == []


def test_who_stops_services_is_frozen_first(app):
    """Whatever the order of the job: a database's moment must not be from before the writers were stopped."""
    app.section('source held', plugin='holding-source', place=app.place)
    job(app)
    app.section('job both', sources='held, one', sinks='disk')
    app.ok('run', 'both')
    assert [(row[0], row[2:]) for row in calls(app)] == [('freeze', ('one',)), ('freeze', ()), ('backup', ()), ('thaw', ()),
                                                         ('backup', ('one',)), ('thaw', ('one',))]


# ---- a plugin that no source has

def test_by_defaults(app):
    """The job has no source that can; the plugin is there all the same, and reaches what its defaults lead to."""
    tree = app.base / 'tree'
    tree.mkdir()
    (tree / 'file').write_text('x')
    app.source('tree', tree)
    app.section('job files', sources='tree', sinks='disk', restore_stop='web')
    env = CLEAN | {'SERVING_PLACE': str(app.place)}
    app.ok('run', 'files')
    app.ok('restore', 'files', '--in-place', '--yes', env=env)
    assert [(row[0], row[2]) for row in calls(app)] == [('stop', '-'), ('thaw', '-')] and as_before(app)
    # Nothing to reach: nothing is restored.
    (tree / 'file').write_text('changed')
    result = app.fails(FAILED, 'restore', 'files', '--in-place', '--yes')
    assert "plugin 'serving-source'" in result.err and (tree / 'file').read_text() == 'changed'


@pytest.mark.parametrize('watched', [True, False])
def test_what_defaults_stopped_is_started(app, watched):
    """By the watchdog, or the next start: from the plugin's name alone."""
    held = app.base / 'held'
    held.mkdir()
    app.section('source held', plugin='holding-source', place=held)
    app.section('job files', sources='held', sinks='disk', restore_stop='web')
    app.ok('run', 'files')
    app.section('source held', plugin='holding-source', place=held, habit='hang', at='restore')
    env = CLEAN | {'SERVING_PLACE': str(app.place)}
    process = start(app, 'restore', 'files', '--in-place', '--yes', env=env)
    wait_for(lambda: 'restore' in (held / 'calls').read_text())
    assert running(app) == ['worker']
    app.section('source held', plugin='holding-source', place=held)
    if watched:
        process.kill()
        process.wait()
        wait_for(lambda: as_before(app))
    else:
        kill_with_watchdog(process)
        time.sleep(0.1)
        assert "the stop of services by plugin 'serving-source' (job 'files', " in app.ok('check', 'held', env=env).err
        assert as_before(app)


def test_nobody_can(app):
    """In a plugin directory with no plugin that could."""
    engine(app, app.base / 'plugins')
    tree = app.base / 'tree'
    tree.mkdir()
    for name in ('one', 'two', 'three'):
        app.source(name, tree)
    for command in (('check', 'job', '--offline'), ('check', 'job'), ('restore', 'job', '--in-place', '--yes')):
        result = app.fails(BAD_CONFIG, *command)
        assert "'restore_stop': no plugin that is there can stop services" in result.err
        assert 'take restore_stop out' in result.err
    assert as_before(app)


# ---- the configuration

@pytest.mark.parametrize('order, said', [
    ('one, tow', "there is no [source tow]"), ('spare', "'spare' is not among the job's sources"),
    ('one, one', "names the source 'one' twice"), ('disk', "'disk' is a sink")])
@pytest.mark.parametrize('command', [('check',), ('check', '--offline'), ('run', 'job')])
def test_a_wrong_order(app, order, said, command):
    source(app, 'spare')
    job(app, restore_order=order)
    result = app.fails(BAD_CONFIG, *command)
    assert said in result.err and 'job-job.conf:' in result.err


def test_check_says_what_would_be_stopped(app):
    result = app.ok('check', 'job')
    assert "ok: job 'job': stops web" in result.out
    app.ok('check', 'job', '--offline')
    job(app, restore_stop='web nobody')
    result = app.fails(FAILED, 'check', 'job')
    assert "job 'job': stops nobody" in result.err
    result = app.fails(FAILED, 'restore', 'job', '--in-place', '--yes')
    assert calls(app) == [] and 'nothing was restored' in result.err and as_before(app)


@pytest.mark.parametrize('words', [('--into', '/nowhere'), ('--set', 'thing=x')])
def test_keep_stopped_needs_something_that_is_stopped(app, words):
    app.fails(USAGE, 'restore', 'job', 'one', *words, '--keep-stopped')
    job(app, restore_stop=None)
    assert 'no restore_stop' in app.fails(USAGE, 'restore', 'job', '--in-place', '--yes', '--keep-stopped').err
    assert calls(app) == []


# ---- failures

def test_when_they_cannot_be_stopped_nothing_is_restored(app):
    source(app, 'one', habit='fail', at='stop')
    result = app.fails(FAILED, 'restore', 'job', '--in-place', '--yes')
    assert [row[0] for row in calls(app)] == ['stop', 'thaw'] and as_before(app)
    assert "nothing was restored" in result.err and 'no space left' in result.err and result.out == ''


@pytest.mark.parametrize('habit', ['fail', 'crash', 'hang_'])
def test_a_source_that_fails_ends_the_restore_and_they_are_started(app, habit):
    source(app, 'two', habit=habit, at='restore', stall_timeout='500ms')
    result = app.fails(FAILED, 'restore', 'job', '--in-place', '--yes')
    assert as_before(app) and calls(app)[-1][0] == 'thaw' and not [row for row in calls(app) if row[2] == 'three']
    assert rows_of(result) == [('one', 'restored'), ('two', 'failed'), ('three', 'not restored'), ('services', 'started')]


def test_what_fails_is_kept_stopped_too(app):
    source(app, 'two', habit='fail', at='restore')
    result = app.fails(FAILED, 'restore', 'job', '--in-place', '--yes', '--keep-stopped')
    assert running(app) == [] and holds(app) == [] and rows_of(result)[-1] == ('services', 'kept stopped')


@pytest.mark.parametrize('name, at, habit, said', [
    ('one', 'stop', 'misplaced_finding', 'services: it had a finding where it was to act'),
    ('two', 'restore', 'misplaced_finding', "restore: it used the host's 'finding'"),
    ('one', 'say', 'misplaced_offer', "services: it used the host's 'offer'"),
    ('two', 'restore', 'misplaced_configured', "restore: it used the host's 'configured'")])
def test_what_there_is_not_in_a_call(app, name, at, habit, said):
    source(app, name, habit=habit, at=at)
    result = app.fails(FAILED, 'restore', 'job', '--in-place', '--yes')
    assert f'broke its contract in {said}' in result.err and as_before(app)


def test_a_stopper_that_crashes_is_undone_by_a_fresh_one(app):
    source(app, 'one', habit='crash', at='stop')
    app.fails(FAILED, 'restore', 'job', '--in-place', '--yes')
    assert [row[0] for row in calls(app)] == ['stop', 'thaw'] and as_before(app)


def test_what_cannot_be_started_is_said_each_time(app):
    source(app, 'one', habit='fail', at='thaw')
    result = app.fails(INCOMPLETE, 'restore', 'job', 'two', '--in-place', '--yes')
    assert rows_of(result)[-1] == ('services', 'not started')
    assert "the stop of services by source 'one' is not undone" in result.err
    assert app('check').status == FAILED and len(holds(app)) == 1
    source(app, 'one')
    app.ok('check')
    assert as_before(app)


def test_when_they_cannot_be_kept_they_are_started(app):
    source(app, 'one', habit='fail', at='keep')
    result = app.ok('restore', 'job', 'two', '--in-place', '--yes', '--keep-stopped')
    assert as_before(app) and rows_of(result)[-1] == ('services', 'started') and 'no space left' in result.err


# ---- ended

@pytest.mark.parametrize('name, at', [('one', 'stop'), ('two', 'restore'), ('one', 'thaw')])
def test_the_watchdog_starts_them(app, name, at):
    source(app, name, habit='hang', at=at)
    process = start(app, 'restore', 'job', '--in-place', '--yes')
    wait_for(lambda: [row for row in calls(app) if row[0] == at and row[2] == name])
    source(app, name)
    process.kill()
    process.wait()
    wait_for(lambda: as_before(app))
    assert calls(app)[-1][:1] + calls(app)[-1][2:] == ('thaw', 'one'), 'services last'


def test_the_next_start_starts_them(app):
    source(app, 'two', habit='hang', at='restore')
    process = start(app, 'restore', 'job', '--in-place', '--yes')
    wait_for(lambda: [row for row in calls(app) if row[0] == 'restore' and row[2] == 'two'])
    kill_with_watchdog(process)
    time.sleep(0.1)
    assert running(app) == [] and len(holds(app)) == 2
    source(app, 'two')
    result = app.ok('check')
    assert as_before(app) and "the stop of services by source 'one'" in result.err
    assert [row[2] for row in calls(app)[-2:]] == ['two', 'one'], 'services last'


@pytest.mark.parametrize('name, at', [('one', 'stop'), ('two', 'restore')])
@pytest.mark.parametrize('option', [(), ('--keep-stopped',)])
def test_ctrl_c_starts_them(app, name, at, option):
    source(app, name, habit='hang', at=at)
    process = start(app, 'restore', 'job', '--in-place', '--yes', *option)
    wait_for(lambda: [row for row in calls(app) if row[0] == at and row[2] == name])
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM
    assert as_before(app)


def test_kept_stopped_is_kept_when_it_is_killed_later(app):
    """The record is gone with KEEP: a hold that a killed process leaves after it undoes nothing."""
    app.ok('restore', 'job', '--in-place', '--yes', '--keep-stopped')
    stop, = [row for row in calls(app) if row[0] == 'stop']
    hold = app.base / 'state' / 'holds' / stop[1]
    hold.write_text('{"what": "services", "source": "one", "plugin": "serving-source", "job": "job", "overrides": []}')
    app.ok('check')
    assert running(app) == [] and holds(app) == []


# ---- killed anywhere

def settles_after(app, faults, number, watchdog):
    """How long it takes, in seconds. The watchdog has our standard error, so nobody waits for its end."""
    result = app('restore', 'job', '--in-place', '--yes', prefix=faults.killat(number, watchdog=watchdog),
                 stderr=subprocess.DEVNULL)
    assert result.status in (DONE, 128 + signal.SIGKILL), result
    if not watchdog:
        app('check')
        assert as_before(app), f'{running(app)} {records(app)} {holds(app)}'
    killed = time.monotonic()
    wait_for(lambda: as_before(app), 60)
    return time.monotonic() - killed


@pytest.mark.parametrize('wanted', [10, pytest.param(300, marks=pytest.mark.long)])
@pytest.mark.parametrize('watchdog', [True, False])
def test_killed_anywhere_they_run_again(app, faults, wanted, watchdog):
    """By the watchdog, or, when that is killed, too, by the next start."""
    settles_after(app, faults, 0, watchdog)
    total, took, failures = faults.count(), [], []
    for number in sample(total, wanted):
        try:
            took.append(settles_after(app, faults, number, watchdog))
        except AssertionError as error:
            failures.append(f'point {number} of {total}: {error}')
            app('check')
    print(f'{wanted} points, {len(failures)} failed, at most {max(took):.1f} s')
    assert not failures, '\n'.join(failures[:5])
    # One may meet a busy moment of the machine.
    assert sorted(took)[len(took) // 2] < SOON
