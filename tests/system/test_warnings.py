"""What status warns of with numbers, and that each of its forms says the same: from records as a machine would have them."""
import re
import time
from datetime import datetime, timezone

import pytest

from support.cli import DONE, INCOMPLETE
from support.notify import Told
from support.records import history, place, write
from support.tree import plain_tree
from test_status import samples, seconds

DAY = 86400
NOW = int(time.time()) - 5


@pytest.fixture
def machine(world, tmp_path):
    """Two jobs in one sink, and one of them also in another."""
    world.source('tree', plain_tree(tmp_path / 'tree', files=2))
    for sink in ('nas', 'usb'):
        world.sink(sink, path=tmp_path / sink)
    world.job('first', sinks='nas')
    world.job('second', sinks='nas, usb')
    return world


def remember(world, used=lambda day: 100, space: int = 1000, first: list[dict] | None = None, second: list[dict] | None = None) -> None:
    write(place(world, 'first'), history(NOW, used, space, sinks=('nas',)) if first is None else first)
    write(place(world, 'second'), history(NOW - 3600, used, space, sinks=('nas', 'usb')) if second is None else second)


def findings(world, *words) -> list[tuple]:
    return [(one['level'], one['job'], one['sink'], one['text']) for one in world('--json', 'status', *words).json() if one['type'] == 'finding']


def sinks(world, *words) -> dict[str, dict]:
    return {one['sink']: one for one in world('--json', 'status', *words).json() if one['type'] == 'sink'}


def said_everywhere(world, what: str) -> None:
    """A problem is the same in every form, and no form is fine."""
    text = world.fails(INCOMPLETE, 'status').out
    assert re.search(f'^warning: {what}', text, re.M), text
    one = world('status', '--nagios')
    assert one.status == 1 and re.search(what, one.out), one
    assert re.search(f'^warning: {what}', world('report').out, re.M)
    page = world.base / 'report.html'
    world('report', '--html', page)
    assert re.search(what, re.sub(r'<[^>]*>', '', page.read_text()).replace('&#39;', "'"))
    assert any(row['type'] == 'finding' and row['level'] == 'warning' for row in world('--json', 'report').json())


def nothing_said(world) -> None:
    done = world.ok('status')
    assert not re.search('^(warning|unknown|stale|damaged)', done.out, re.M), done
    assert world('status', '--nagios').status == DONE and findings(world) == []


# ---- when it will be full ----

def day_of(moment: float) -> str:
    return datetime.fromtimestamp(moment, timezone.utc).strftime('%Y-%m-%d')


def test_when_a_place_will_be_full(machine):
    """GiB in use of a thousand: ten more each day."""
    remember(machine, lambda day: 400 + 10 * day)
    found = sinks(machine)['nas']
    assert 9.5 < found['growth'] / (1 << 30) < 10.5 and abs(seconds(found['full']) - NOW - 31 * DAY) < DAY
    assert f"\nsink 'nas': 69 % full, 310.0 GiB of 1000.0 GiB left, full about {found['full'][:10]} (in 4 weeks)\n" in machine.ok('status').out
    assert samples(machine.ok('status', '--prometheus').out)['cofre_sink_full_timestamp_seconds', (('sink', 'nas'),)] == pytest.approx(seconds(found['full']), abs=1)
    assert "'nas used'=69.0%;;;0;100" in machine.ok('status', '--nagios').out
    assert f"full about {found['full'][:10]} (in 4 weeks)" in machine.ok('report').out
    assert sinks(machine, 'first')['nas']['full'] == found['full'], 'whichever jobs are asked for'
    assert set(sinks(machine, 'first')) == {'nas'} and set(sinks(machine)) == {'nas', 'usb'}
    nothing_said(machine)


def test_it_is_a_problem_when_that_is_near(machine, tmp_path):
    told = Told(machine, tmp_path)
    machine.section('engine', state_dir=machine.base / 'state', host='testhost', notify='ops')
    remember(machine, lambda day: 600 + 10 * day)
    said_everywhere(machine, r"sink 'nas': it is going to be full about \S+ \(in 11 days\): 110.0 GiB are left, and it grows by (9|10)\.\d GiB a day")
    assert len([one for one in findings(machine) if one[2] == 'nas']) == 1, 'once, not for each job'
    for value, problem in (('0', False), ('7d', False), ('30d', True), ('12d', True)):
        for sink in ('nas', 'usb'):
            machine.sink(sink, path=tmp_path / sink, warn_full=value)
        assert bool(findings(machine)) == problem, value
    machine.ok('due')
    found = [one for one in told.events() if one['event'] == 'space']
    assert {one['sink'] for one in found} == {'nas', 'usb'} and len(found) == 2
    assert 'is going to be full about' in found[0]['title'] and 'it grows by' in found[0]['text']
    machine.sink('nas', path=tmp_path / 'nas', warn_full='12d', warn_space='80%')
    machine.ok('due')
    [full] = [one for one in told.events() if one['event'] == 'space'][2:]
    assert 'is 89 % full' in full['title'] and 'warn_space is 80%' in full['text'] and 'will be full about' in full['text']


@pytest.mark.parametrize('used', [
    lambda day: 990,
    lambda day: 990 - 3 * day,
    lambda day: 950 + 5 * (day % 7),
    lambda day: 100 + (850 if day > 12 else 0),
    lambda day: 100 + (850 if day == 29 else 0),
], ids=['it stays', 'it shrinks', 'what comes in a week goes', 'once a lot came', 'today a lot came'])
def test_no_false_alarm(machine, used):
    remember(machine, used)
    assert sinks(machine)['nas']['full'] is None
    nothing_said(machine)


def test_a_job_that_is_new_in_a_sink_is_no_growth(machine):
    """The first job is there for long; the second has come five days ago, with most of what is in use now."""
    def used(day: int) -> int:
        return 100 + (850 if day >= 25 else 0) + day // 10
    new = history(NOW - 3600, lambda day: used(day + 25), 1000, days=5, sinks=('nas',))
    new[0]['sinks'][0]['added'] = 850 << 30
    remember(machine, used, first=history(NOW, used, 1000, days=30, sinks=('nas',))[20:], second=new)
    assert findings(machine) == [('warning', 'second', 'usb', 'no complete snapshot is known to be there')]
    new[0]['sinks'][0]['added'] = 5
    remember(machine, used, first=history(NOW, used, 1000, days=30, sinks=('nas',))[20:], second=new)
    assert any('it is going to be full' in text for *_, text in findings(machine)), 'that is what makes the difference'


def test_too_little_is_known(machine):
    remember(machine, first=history(NOW, lambda day: 800 + 20 * day, 1000, days=9, sinks=('nas',)),
             second=history(NOW, lambda day: 800 + 20 * day, 1000, days=9, sinks=('nas', 'usb')))
    assert sinks(machine)['nas']['full'] is None
    nothing_said(machine)
