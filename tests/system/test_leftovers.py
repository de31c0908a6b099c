"""What plugins name that restores have left, and status tells of: whatever they name, whatever becomes of them, and of what is remembered."""
import json
import os
import re
import subprocess

import pytest

from support.cli import CLEAN, DONE, FAILED, INCOMPLETE
from support.wait import wait_until
from support.watchdog import kill_with_watchdog

SEVERAL = 100  # so many are remembered of one source
NOT_ALL = 'there may be more'


@pytest.fixture
def app(world, tmp_path):
    """A source that is saved, and whose restores leave something; there(...) says what there is."""
    built = world.binary.parent
    world.section('engine', state_dir=tmp_path / 'state', cache_dir=tmp_path / 'cache', host='testhost',
                  plugin_dir=f'{built / "plugins"}, {built / "tests" / "plugins"}')
    world.place, world.remembered = tmp_path / 'app', tmp_path / 'state' / 'leftovers' / 'app'
    world.place.mkdir()
    configure(world)
    world.sink()
    world.job(sources='app')
    world.ok('init', 'disk')
    world.ok('run', 'job')
    return world


def configure(world, **options):
    world.section('source app', plugin='leaving-source', place=world.place, **options)


def there(world, *names):
    (world.place / 'there').write_text(''.join(f'{name}\n' for name in names))


def findings(world) -> list[str]:
    result = world('--json', 'status')
    assert result.status in (DONE, INCOMPLETE), result
    return [line['text'] for line in result.json() if line['type'] == 'finding']


def left(world) -> list[str]:
    """The names that status tells."""
    found = [re.fullmatch(r"source 'app': a restore has left (.*), known for .*, which no job saves; when all is well: drop (.*)", text, re.S)
             for text in findings(world)]
    assert all(one[1].startswith(one[2]) for one in found if one)
    return [one[1] for one in found if one]


def restore(world, name, *words):
    return world('restore', 'job', '--in-place', '--yes', '--set', f'leaves={name}', *words)


class Held:
    """A command that waits inside of the plugin, so long as this lasts."""

    def __init__(self, world, *words) -> None:
        self.world, self.wait = world, world.place / 'wait'
        self.wait.touch()
        (world.place / 'arrived').unlink(missing_ok=True)
        self.process = subprocess.Popen(world.command(*words), env=CLEAN, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def __enter__(self):
        wait_until((self.world.place / 'arrived').exists, 'the call of the plugin')
        return self.process

    def __exit__(self, *_):
        self.wait.unlink()
        self.process.communicate(timeout=60)


# ---- what is named

WORDS = {'backup': ['run', 'job'], 'check': ['check', 'app'], 'restore': ['restore', 'job', '--in-place', '--yes']}


@pytest.mark.parametrize('call', WORDS)
@pytest.mark.parametrize('habit, expected', [
    ('none', []),
    ('same', ['the same', 'another']),
    ('odd', ['\\x1b[31mred\\x1b[0m\\x07\\nlast run: fine', 'bytes \\xff\\xfe and \u202e turned', '100% of %s%n']),
    ('secret', ['database of ***']),
])
def test_named_in_an_odd_way(app, call, habit, expected):
    configure(app, habit=habit, at=call, password='hunter2-and-more')
    app.ok(*WORDS[call])
    assert [name for name in left(app) if name != 'thing'] == expected
    shown = app('status')
    assert shown.status == (INCOMPLETE if left(app) else DONE)
    assert not any(bad in shown.out for bad in ('\033', '\a', '\nlast run', '\u202e', 'hunter2'))


def test_a_name_that_is_too_long_is_cut_and_a_command_is_whole_or_not_there(app):
    """A command that is cut may remove something else."""
    configure(app, habit='long', at='check')
    app.ok('check', 'app')
    cut, whole = findings(app)
    assert re.search(r'has left x{200,}\.\.\., known for', cut) and re.search(r'when all is well: [^x]*$', cut)
    assert whole.endswith(' ' + 1000 * 'x') and 'x' not in whole[:-1000].replace('xxx', '')


def test_a_million_of_them(app):
    """Some are told of, and that there are more; what is kept is small."""
    configure(app, habit='many', at='check')
    app.ok('check', 'app')
    assert left(app) == [f'thing {n}' for n in range(SEVERAL)]
    assert [NOT_ALL in text for text in findings(app)].count(True) == 1
    assert app.remembered.stat().st_size < 100000
    # One more is no reason to forget, nor to grow.
    assert restore(app, 'one more').status == DONE
    assert left(app) == [f'thing {n}' for n in range(SEVERAL)]
    configure(app)
    app.ok('check', 'app')
    assert left(app) == ['one more'] and not any(NOT_ALL in text for text in findings(app))


# ---- a call that does not end well

@pytest.mark.parametrize('habit', ['fail', 'crash', 'exit', 'hang', 'empty', 'null'])
@pytest.mark.parametrize('call', ['backup', 'check'])
def test_a_call_that_fails_forgets_nothing(app, habit, call):
    """It may have named some of them: those are remembered as well."""
    there(app, 'old', 'older')
    app.ok('check', 'app')
    there(app, 'new')
    configure(app, habit=habit, at=call, stall_timeout='1s')
    assert app(*WORDS[call]).status not in (DONE, INCOMPLETE)
    assert left(app) == ['old', 'older', 'new']
    configure(app)
    app.ok(*WORDS[call])
    assert left(app) == ['new']


@pytest.mark.parametrize('habit', ['fail', 'crash', 'hang', 'null'])
def test_a_restore_that_fails_after_it_left_something(app, habit):
    configure(app, habit=habit, at='restore', stall_timeout='1s')
    assert restore(app, 'left').status not in (DONE, INCOMPLETE)
    assert left(app) == ['left']


def test_a_server_that_is_away(app):
    """Status needs none; a check that does not reach it knows nothing of what is gone."""
    there(app, 'thing')
    app.ok('check', 'app')
    there(app)
    configure(app, habit='away')
    assert app('check', 'app').status == FAILED
    assert left(app) == ['thing']


def test_a_source_that_no_job_saves_any_more(app):
    restore(app, 'thing')
    app.section('source other', plugin='directory', path=app.base)
    app.job(sources='other')
    assert left(app) == ['thing'] and 'a restore has left thing' in app('status', 'job').out
    there(app)
    app.ok('check', 'app')
    assert left(app) == []


# ---- at the same time

def test_killed_before_it_is_remembered(app):
    """The next run or check finds it."""
    configure(app, habit='late')
    with Held(app, 'restore', 'job', '--in-place', '--yes') as process:
        kill_with_watchdog(process)
    assert left(app) == []
    configure(app)
    app.ok('run', 'job')
    assert left(app) == ['thing']


def test_killed_when_it_was_named(app):
    configure(app, at='restore')
    with Held(app, 'restore', 'job', '--in-place', '--yes') as process:
        kill_with_watchdog(process)
    app.ok('check', 'app')
    assert left(app) == ['thing']


@pytest.mark.parametrize('call', ['backup', 'check'])
def test_left_while_others_look(app, call):
    """They named what there was before: it is not gone for that."""
    there(app, 'gone')
    app.ok('check', 'app')
    there(app)
    with Held(app, *WORDS[call]):
        assert restore(app, 'left').status == DONE
    assert left(app) == ['left']
    there(app)
    app.ok('check', 'app')
    assert left(app) == []


def test_removed_by_hand_before_the_restore_ends(app):
    with Held(app, *WORDS['restore'], '--set', 'at=restore'):
        there(app)
    assert left(app) == ['thing']
    app.ok('run', 'job')
    assert left(app) == []


# ---- what is remembered

ONE = {'what': 'thing', 'removal': 'drop thing', 'since': '2026-01-01T00:00:00.000000000Z'}


@pytest.mark.parametrize('make', [
    lambda path: path.write_text('['),
    lambda path: path.write_text(''),
    lambda path: path.write_bytes(b'\0' * 100),
    lambda path: path.write_text('[1, {}, "thing"]'),
    lambda path: path.write_text(json.dumps({'version': 2, 'leftovers': [ONE]})),
    lambda path: path.write_text(json.dumps([ONE | {'what': 1}])),
    lambda path: path.write_text(json.dumps([ONE | {'since': 'yesterday'}])),
    lambda path: path.write_text(json.dumps([ONE] * 20000)),
    lambda path: path.write_text('[' * 100000),
    lambda path: path.write_bytes(b'[' + b' ' * (64 << 20) + b']'),
    lambda path: os.truncate(path, 1 << 40),
], ids=['half', 'empty', 'zeros', 'others', 'future', 'number', 'time', 'many', 'deep', 'huge', 'endless'])
def test_damaged(app, make):
    """Status says so, and goes on; a restore adds nothing to what is not known; the next check makes it anew."""
    there(app, 'old')
    app.ok('check', 'app')
    make(app.remembered)
    [said] = findings(app)
    assert "what restores of source 'app' have left is not known: " in said and str(app.remembered) in said and 'cofre check app' in said
    result = restore(app, 'new')
    assert result.status == DONE and "status will not know what restores of source 'app' have left" in result.err
    assert findings(app) == [said]
    app.ok('check', 'app')
    assert left(app) == ['old', 'new'] and len(findings(app)) == 2


@pytest.mark.parametrize('make', [
    lambda path: os.mkfifo(path),
    lambda path: path.symlink_to(path.with_name('other')),
    lambda path: path.mkdir(),
    lambda path: (path.write_text('[]'), os.chown(path, 65534, 65534)),
], ids=['FIFO', 'link', 'directory', 'of somebody else'])
def test_not_ours(app, make):
    """Somebody has to look at it: it is left alone, and every run says so."""
    there(app, 'old')
    app.ok('check', 'app')
    app.remembered.unlink()
    app.remembered.with_name('other').write_text('[]')
    make(app.remembered)
    before = app.remembered.lstat()
    [said] = findings(app)
    assert 'is not known: ' in said and str(app.remembered) in said and 'find out who put it there' in said
    result = app.ok('check', 'app')
    assert 'status will not know' in result.err and app.remembered.lstat().st_ino == before.st_ino
    app.remembered.rmdir() if app.remembered.is_dir() and not app.remembered.is_symlink() else app.remembered.unlink()
    app.ok('check', 'app')
    assert left(app) == ['old']


def test_a_place_that_is_none(app):
    there(app, 'old')
    app.remembered.parent.write_text('')
    assert 'status will not know' in app.ok('check', 'app').err
    [said] = findings(app)
    assert 'is not known' in said and not said.endswith(': ')
