"""The publish gate: what is unlike it was before is suspect, counts for nothing until it is accepted, and is told everywhere."""
import json
import random
import statistics
import subprocess
from contextlib import closing
from dataclasses import dataclass, field

import pytest
from support.cli import BAD_CONFIG, DONE, FAILED, INCOMPLETE, USAGE
from support.decoder import Repository, read_manifest
from support.postgres import cluster, running_cluster  # noqa: F401
from support.records import place, records
from support.redis_world import configure, servers, vault  # noqa: F401
from test_redis_identity import put

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


# ---- the judge ----

@dataclass
class Case:
    """now and before (the newest first): (entries, bytes) as a manifest has them. rooted: one of the entries is the source's own root."""
    now: tuple[int, int]
    before: list[tuple[int, int]] = field(default_factory=list)
    shrink: int = 50
    min_size: int = 0
    min_entries: int = 0
    rooted: bool = True

    @property
    def below(self) -> int:
        return self.now[0] - self.rooted

    def text(self) -> str:
        past = ''.join(f'\n{entries} {size}' for entries, size in self.before)
        return f'{self.shrink} {self.min_size} {self.min_entries} {self.now[0]} {self.now[1]} {self.below} {len(self.before)}{past}\n'


def suspicions(case: Case) -> set[str]:
    """Why it is suspect, from what the manual says."""
    found = set()
    if case.before and case.shrink:
        entries, size = (statistics.median_low(column) for column in zip(*case.before))
        was_something, is_nothing = entries > 1 or size > 0, case.below == 0 or case.now == (1, 0)
        if was_something and is_nothing:
            found.add('empty')
        else:
            kept = 100 - case.shrink
            found |= {'bytes'} if size - case.now[1] >= 64 * KIB and 100 * case.now[1] < kept * size else set()
            found |= {'entries'} if entries - case.now[0] >= 10 and 100 * case.now[0] < kept * entries else set()
    found |= {'min_size'} if case.now[1] < case.min_size else set()
    return found | ({'min_entries'} if case.below < case.min_entries else set())


WORDS = {'nothing is in it': 'empty', 'it shrank by': 'bytes', 'fewer entries than before': 'entries', 'min_size': 'min_size',
         'min_entries': 'min_entries'}


@pytest.fixture(scope='module')
def judge(binary):
    program = binary.parent / 'tests' / 'gate_cases'
    assert program.is_file(), f"'{program}' does not exist: build the tests"

    def ask(cases: list[Case]) -> list[set[str]]:
        done = subprocess.run([program], input=''.join(case.text() for case in cases), capture_output=True, text=True, check=True, timeout=60)
        lines = done.stdout.split('\n')[:-1]
        assert len(lines) == len(cases)
        return [{what for words, what in WORDS.items() if words in line} for line in lines]

    return ask


WEEK = [(1200, 8 * GIB)] * 5  # a directory
DUMP = [(3, 400 * MIB)] * 5  # a database: roles, settings, the dump
SMALL = [(4, 12)] * 5  # a few files

CASES = {
    'an ordinary night': (Case((1203, 8 * GIB), WEEK), ''),
    'the same again': (Case((1200, 8 * GIB), WEEK), ''),
    'an empty mount': (Case((1, 0), WEEK), 'empty'),
    'an empty mount with a lost+found': (Case((2, 0), WEEK), 'bytes entries'),
    'a small directory that is empty': (Case((1, 0), SMALL), 'empty'),
    'a single file, and it is empty': (Case((1, 0), [(1, 40)] * 5, rooted=False), 'empty'),
    'a single file, truncated to a little': (Case((1, 40), [(1, 5 * MIB)] * 5, rooted=False), 'bytes'),
    'it was always empty': (Case((1, 0), [(1, 0)] * 5), ''),
    'it was empty, and is not any more': (Case((900, GIB), [(1, 0)] * 5), ''),
    'half a dump': (Case((3, 199 * MIB), DUMP, rooted=False), 'bytes'),
    'exactly half a dump': (Case((3, 200 * MIB), DUMP, rooted=False), ''),
    'a tenth of a dump': (Case((3, 40 * MIB), DUMP, rooted=False), 'bytes'),
    'a table less': (Case((3, 371 * MIB), DUMP, rooted=False), ''),
    'the table less that had nearly all': (Case((3, 9 * MIB), DUMP, rooted=False), 'bytes'),
    'a vacuumed database': (Case((3, 231 * MIB), DUMP, rooted=False), ''),
    'a database that grew tenfold': (Case((3, 4 * GIB), DUMP, rooted=False), ''),
    'one file more than usual': (Case((1201, 8 * GIB + 10), WEEK), ''),
    'one file less than usual': (Case((1199, 8 * GIB - 10), WEEK), ''),
    'the one large file less': (Case((1199, 3 * GIB), WEEK), 'bytes'),
    'all small files less': (Case((20, 7 * GIB), WEEK), 'entries'),
    'half of the files, and none of the bytes': (Case((599, 8 * GIB), WEEK), 'entries'),
    'files of three, one left': (Case((2, 4), SMALL), ''),
    'ten entries, all but two gone': (Case((2, 4), [(11, 50)] * 5), ''),
    'eleven entries, all but one gone': (Case((2, 4), [(12, 50)] * 5), 'entries'),
    'less than 64 KiB gone': (Case((3, 10), [(3, 64 * KIB + 9)] * 5), ''),
    '64 KiB gone': (Case((3, 10), [(3, 64 * KIB + 10)] * 5), 'bytes'),
    'the first run ever': (Case((1200, 8 * GIB)), ''),
    'the first run ever, and it is empty': (Case((1, 0)), ''),
    'a source renamed: nothing is known of it': (Case((3, MIB)), ''),
    'the second run, and it is empty': (Case((1, 0), WEEK[:1]), 'empty'),
    'two before: the smaller of them': (Case((500, GIB), [(1800, 4 * GIB), (200, 0)]), ''),
    'two before: below half of the smaller': (Case((499, 2 * GIB), [(1800, 2 * GIB), (1000, 2 * GIB)]), 'entries'),
    'one odd one among five does not matter': (Case((1200, 8 * GIB), [(90_000, 900 * GIB), *WEEK[:4]]), ''),
    'nor does one that was nearly nothing': (Case((599, 8 * GIB), [(3, 5), *WEEK[:4]]), 'entries'),
    'after something large was accepted away': (Case((300, GIB), [(290, GIB)]), ''),
    'it shrinks by a third every night': (Case((350, 350 * MIB), [(n, n * MIB) for n in (500, 700, 1000, 1000, 1000)]), 'bytes entries'),
    'it shrinks by a tenth every night': (Case((590, 590 * MIB), [(n, n * MIB) for n in (656, 729, 810, 900, 1000)]), ''),
    'shrink = 90%': (Case((130, GIB), WEEK, shrink=90), ''),
    'shrink = 90%, and it is empty': (Case((1, 0), WEEK, shrink=90), 'empty'),
    'shrink = 10%': (Case((1200, 7 * GIB), WEEK, shrink=10), 'bytes'),
    'shrink = off': (Case((1, 0), WEEK, shrink=0), ''),
    'below min_size at the first run': (Case((3, MIB), min_size=MIB + 1), 'min_size'),
    'at min_size': (Case((3, MIB), min_size=MIB), ''),
    'below min_entries; the root does not count': (Case((3, MIB), min_entries=3), 'min_entries'),
    'at min_entries': (Case((4, MIB), min_entries=3), ''),
    'a stream has no root': (Case((3, MIB), min_entries=3, rooted=False), ''),
    'off, but below the floors': (Case((1, 0), WEEK, 0, 1, 1), 'min_size min_entries'),
}


def test_cases(judge):
    cases = [case for case, _ in CASES.values()]
    for (name, (case, wanted)), got in zip(CASES.items(), judge(cases)):
        assert got == set(wanted.split()) == suspicions(case), f'{name}: {got}'


def test_a_second_implementation(judge):
    r = random.Random(1)

    def size() -> tuple[int, int]:
        return r.choice([r.randrange(4), r.randrange(40), r.randrange(10**6)]) + 1, r.choice([0, r.randrange(300 * KIB), r.randrange(10**15)])

    def near(one: tuple[int, int]) -> tuple[int, int]:
        return tuple(max(1 - i, int(n * r.choice([r.uniform(0, 2), r.uniform(.4, .6)]))) for i, n in enumerate(one))

    cases = []
    for _ in range(20_000):
        first = size()
        before = [r.choice([near, lambda _: size()])(first) for _ in range(r.randrange(6))]
        cases.append(Case(near(first), before, r.choice([0, 1, 50, 50, 99, r.randrange(1, 100)]), r.choice([0, 0, r.randrange(MIB)]),
                          r.choice([0, 0, r.randrange(9)]), r.random() < .5))
    wanted = [suspicions(case) for case in cases]
    for case, want, got in zip(cases, wanted, judge(cases)):
        assert got == want, case
    assert {frozenset(want) for want in wanted} >= {frozenset(), frozenset({'empty'}), frozenset({'bytes', 'entries'}), frozenset({'min_size'})}


def ordinary_year(r: random.Random):
    """What the sources of a small firm hold, night by night."""
    uploads, database, mails, logs, settings = [9000, 20 * GIB], 3 * GIB, [40_000, 9 * GIB], [120, 800 * MIB], 60
    for night in range(366):
        working = night % 7 < 5
        uploads = [uploads[0] + r.randrange(40) * working - r.randrange(20), int(uploads[1] * r.uniform(.995, 1.008))]
        database = int(database * r.uniform(1, 1.004)) if night % 30 else int(database * r.uniform(.7, .95))  # vacuumed once a month
        mails = [mails[0] + r.randrange(300) * working, int(mails[1] * 1.001)] if night != 200 else [mails[0] * 6 // 10, mails[1] * 6 // 10]
        logs = [100 + r.randrange(40), int(800 * MIB * r.uniform(.8, 1.4))]  # rotated
        settings += r.randrange(3) - 1
        yield {'uploads': tuple(uploads), 'database': (3, database), 'mails': tuple(mails), 'logs': tuple(logs), 'cache': (1, 0),
               'settings': (max(settings, 4), max(settings, 4) * 900), 'notes': (2 + r.randrange(4), r.randrange(1, 50_000))}


def test_no_false_alarm_in_an_ordinary_year(judge):
    for seed in range(20):
        nights = list(ordinary_year(random.Random(seed)))
        cases = [Case(nights[n][name], [nights[k][name] for k in range(n - 1, max(n - 6, -1), -1)])
                 for n in range(len(nights)) for name in nights[0]]
        alarms = [case for case, got in zip(cases, judge(cases)) if got]
        assert not alarms, alarms[:3]


# ---- parts ----

Parts = dict[str, tuple[int, int]]
PART_WORDS = {'is not in it': 'gone', 'is empty': 'empty', 'shrank by': 'bytes', 'fewer entries than before': 'entries'}


@dataclass
class PartCase:
    """now and before (the newest first): what each part has, as (entries, bytes)."""
    now: Parts
    before: list[Parts]
    shrink: int = 50
    said: set[str] = field(default_factory=set)  # parts of which the plugin says that they could not be read

    def text(self) -> str:
        now, *before = ([{'name': name, 'entries': entries, 'bytes': size} for name, (entries, size) in parts.items()] for parts in (self.now, *self.before))
        return json.dumps({'shrink': self.shrink, 'now': now, 'before': before, 'except': dict.fromkeys(self.said, True)})


def part_suspicions(case: PartCase) -> set[str]:
    found = set()
    for name in {name for parts in (case.now, *case.before) for name in parts} - case.said:
        past = [parts[name] for parts in case.before if name in parts]
        if not past or not case.shrink:
            continue
        if name in case.now:
            found |= {f'{name} {what}' for what in suspicions(Case(case.now[name], past, case.shrink, rooted=False))}
        elif len(past) > len(case.before) // 2 and tuple(map(statistics.median_low, zip(*past))) > (1, 0):
            found.add(f'{name} gone')
    return found


@pytest.fixture(scope='module')
def judge_parts(binary):
    def ask(cases: list[PartCase]) -> list[set[str]]:
        done = subprocess.run([binary.parent / 'tests' / 'gate_cases', 'parts'], input='\n'.join(case.text() for case in cases), capture_output=True,
                              text=True, check=True, timeout=60)
        lines = done.stdout.split('\n')[:-1]
        assert len(lines) == len(cases)
        return [set(said(line)) for line in lines]

    def said(line: str):
        name = ''
        for reason in line.split('; ') if line else ():
            if reason.endswith('more of its parts'):
                yield reason
                continue
            name = reason.split("'")[1]
            yield from (f'{name} {what}' for words, what in PART_WORDS.items() if words in reason)

    return ask


DATABASES = {'shop.dump': (1, 8 * GIB), 'crm.dump': (1, 400 * MIB), 'wiki.dump': (1, 3 * MIB), 'globals.sql': (1, 4000)}
VOLUMES = {'uploads': (9000, 20 * GIB), 'config': (12, 9000), 'cache': (1, 0), 'mails': (400, GIB)}


def changed(parts: Parts, *gone: str, **others: tuple[int, int]) -> Parts:
    return {name: size for name, size in parts.items() if name not in gone} | {name.replace('_', '.'): size for name, size in others.items()}


PART_CASES = {
    'the same again': (PartCase(DATABASES, [DATABASES] * 5), ''),
    'one of three databases came back empty': (PartCase(changed(DATABASES, crm_dump=(1, 1800)), [DATABASES] * 5), 'crm.dump bytes'),
    'the smallest of them did': (PartCase(changed(DATABASES, wiki_dump=(1, 1800)), [DATABASES] * 5), 'wiki.dump bytes'),
    'one of them is not there': (PartCase(changed(DATABASES, 'wiki.dump'), [DATABASES] * 5), 'wiki.dump gone'),
    'and could not be read, as the plugin says': (PartCase(changed(DATABASES, 'wiki.dump'), [DATABASES] * 5, said={'wiki.dump'}), ''),
    'one is new': (PartCase(changed(DATABASES, new_dump=(1, 5)), [DATABASES] * 5), ''),
    'one is new since a night, and goes': (PartCase(DATABASES, [changed(DATABASES, try_dump=(1, GIB))] + [DATABASES] * 4), ''),
    'since two nights': (PartCase(DATABASES, [changed(DATABASES, try_dump=(1, GIB))] * 2 + [DATABASES] * 3), ''),
    'since three nights': (PartCase(DATABASES, [changed(DATABASES, try_dump=(1, GIB))] * 3 + [DATABASES] * 2), 'try.dump gone'),
    'one is new since a night, and is empty now': (PartCase(changed(VOLUMES, new=(1, 0)), [changed(VOLUMES, new=(40, GIB))] + [VOLUMES] * 4), 'new empty'),
    'a renamed database': (PartCase(changed(DATABASES, 'crm.dump', crm2_dump=(1, 400 * MIB)), [DATABASES] * 5), 'crm.dump gone'),
    'a vacuumed database': (PartCase(changed(DATABASES, crm_dump=(1, 210 * MIB)), [DATABASES] * 5), ''),
    'an empty volume': (PartCase(changed(VOLUMES, config=(1, 0)), [VOLUMES] * 5), 'config empty'),
    'one that was always empty goes': (PartCase(changed(VOLUMES, 'cache'), [VOLUMES] * 5), ''),
    'most files of one are gone': (PartCase(changed(VOLUMES, mails=(20, 900 * MIB)), [VOLUMES] * 5), 'mails entries'),
    'both of one': (PartCase(changed(VOLUMES, mails=(20, 9)), [VOLUMES] * 5), 'mails entries mails bytes'),
    'a few files less of a small one': (PartCase(changed(VOLUMES, config=(4, 900)), [VOLUMES] * 5), ''),
    'one shrank, another grew': (PartCase(changed(VOLUMES, mails=(400, 9 * MIB), uploads=(9000, 30 * GIB)), [VOLUMES] * 5), 'mails bytes'),
    'one odd night before': (PartCase(VOLUMES, [changed(VOLUMES, mails=(90_000, 900 * GIB)), *[VOLUMES] * 4]), ''),
    'the first run ever': (PartCase(VOLUMES, []), ''),
    'the second, one less': (PartCase(changed(VOLUMES, 'mails'), [VOLUMES]), 'mails gone'),
    'nothing was known of parts': (PartCase(VOLUMES, [{}] * 5), ''),
    'shrink = 95%': (PartCase(changed(VOLUMES, mails=(400, 100 * MIB)), [VOLUMES] * 5, shrink=95), ''),
    'shrink = off': (PartCase({}, [VOLUMES] * 5, shrink=0), ''),
    'many at once': (PartCase({'a': (1, 9)}, [dict.fromkeys('abcdefg', (9, 9))] * 5), 'b gone, c gone, d gone, and 3 more of its parts'),
}


def test_part_cases(judge_parts):
    for (name, (case, wanted)), got in zip(PART_CASES.items(), judge_parts([case for case, _ in PART_CASES.values()])):
        if name == 'many at once':
            assert got == set(wanted.split(', ')), got
        else:
            words = wanted.split()
            assert got == {f'{part} {what}' for part, what in zip(words[::2], words[1::2])} == part_suspicions(case), f'{name}: {got}'


def test_a_second_implementation_of_parts(judge_parts):
    r = random.Random(3)

    def size() -> tuple[int, int]:
        return r.choice([1, r.randrange(1, 40)]), r.choice([0, r.randrange(300 * KIB)])

    def parts() -> Parts:
        return {name: size() for name in 'abc' if r.random() < .7}

    cases = [PartCase(parts(), [parts() for _ in range(r.randrange(6))], r.choice([0, 1, 50, 50, 99]), {name for name in 'ab' if r.random() < .1})
             for _ in range(5000)]
    for case, got in zip(cases, judge_parts(cases)):
        wanted = part_suspicions(case)
        if len({one.split()[0] for one in wanted}) <= 3:
            assert got == wanted, case


def test_no_false_alarm_of_parts_in_an_ordinary_year(judge_parts):
    """The sources of the firm as volumes of one, and now and then a database that somebody tries something with for a night or two."""
    for seed in range(10):
        r = random.Random(seed)
        nights = [dict(night) for night in ordinary_year(r)]
        for n in range(20, len(nights), 45):
            tried = (r.randrange(1, 90), r.randrange(GIB))
            for night in range(r.randrange(1, 3)):
                nights[n + night][f'try{n}'] = tried
        cases = [PartCase(nights[n], [nights[k] for k in range(n - 1, max(n - 6, -1), -1)]) for n in range(len(nights))]
        alarms = [case for case, got in zip(cases, judge_parts(cases)) if got]
        assert not alarms, alarms[:2]


# ---- runs ----

@pytest.fixture(params=['repository', 'archive'])
def job(world, request):
    """A job of one source, whose size a test sets; in both formats."""
    built = world.binary.parent
    world.section('engine', state_dir=world.base / 'state', cache_dir=world.base / 'cache', host='testhost',
                  plugin_dir=f'{built / "plugins"}, {built / "tests" / "plugins"}')
    if request.param == 'archive':
        world.section('sink disk', plugin='local', path=world.repository, format='archive', encryption='none')
    else:
        world.sink()
    world.format = request.param

    def configure(size: str, streams: str = 'one.dump', **options) -> None:
        world.section('source memory', plugin='memory-source', streams=streams, size=size, lacking=world.base / 'lacking')
        world.job(sources='memory', sinks='disk', **options)

    world.configure = configure
    configure('4MiB')
    world.ok('init', 'disk')
    return world


def listed(world) -> list[tuple]:
    return [(one['id'], one['status'], one['suspect'], one['accepted']) for one in world.ok('--json', 'list', 'job').json()
            if one['type'] == 'snapshot']


def test_suspect_until_it_is_accepted(job):
    job.ok('run', 'job')
    job.configure('1MiB')
    result = job.fails(INCOMPLETE, '--json', 'run', 'job')
    stored, summary = (one for one in result.json() if one['type'] in ('snapshot', 'summary'))
    [_, (bad, *state)] = listed(job)
    assert stored['id'] == bad and stored['status'] == summary['status'] == 'suspect' and state == ['suspect', True, False], result
    assert 'it shrank by 75 %, from 4.0 MiB to 1.0 MiB' in result.err and f'cofre accept job@{bad}' in result.err, result
    assert 'SUSPECT: it shrank by 75 %' in job.fails(INCOMPLETE, 'run', 'job').out  # compared with the first, again
    shown = job.ok('show', f'job@{bad}')
    assert 'status    suspect' in shown.out and 'suspect   it shrank by 75 %' in shown.out, shown
    assert job.ok('--json', 'show', f'job@{bad}').json()[-1]['sources'][0]['suspect'].startswith('it shrank')
    assert 'memory~' in job.ok('list', 'job').out

    result = job.ok('accept', f'job@{bad}')
    assert f"{bad}: sink 'disk': accepted" in result.out, result
    assert 'accepted before' in job.ok('accept', f'job@{bad}').out
    states = [state for _, *state in listed(job)]
    assert states == [['complete', False, False], ['complete', True, True], ['suspect', True, False]], states
    assert 'accepted' in job.ok('list', 'job').out and 'although it is suspect' in job.ok('show', f'job@{bad}').out
    job.ok('run', 'job')  # compared with the accepted one alone
    job.configure('1KiB')
    job.fails(INCOMPLETE, 'run', 'job')
    assert "sink 'disk': accepted" in job.ok('accept', 'job').out
    assert 'nothing to accept' in job.ok('accept', 'job').out
    job.ok('run', 'job')
    job.ok('verify')


def test_the_old_size_again_needs_no_acceptance(job):
    job.ok('run', 'job')
    job.configure('1MiB')
    job.fails(INCOMPLETE, 'run', 'job')
    job.configure('4MiB')
    job.ok('run', 'job')


THREE = 'crm.dump, shop.dump, wiki.dump'


@pytest.mark.parametrize('lost', [False, True])
def test_one_part_of_three(job, lost):
    """Also when the state is lost: then the manifests tell."""
    job.configure('1MiB', THREE)
    job.ok('run', 'job')
    first = job.ok('--json', 'show', 'job').json()[-1]['sources'][0]
    assert first['parts'] == [{'name': name, 'entries': 1, 'bytes': MIB} for name in THREE.split(', ')]
    assert records(job)[0]['sources'][0]['parts'] == first['parts']
    if lost:
        place(job, 'job').unlink()
    (job.base / 'lacking').write_text('small shop.dump')
    result = job.fails(INCOMPLETE, 'run', 'job')
    assert "source 'memory': suspect: 'shop.dump' shrank by 99 %, from 1.0 MiB to 1 B" in result.err, result
    (job.base / 'lacking').write_text('gone shop.dump')
    result = job.fails(INCOMPLETE, 'run', 'job')
    assert "suspect: 'shop.dump' is not in it, and was before" in result.err, result
    job.ok('accept', 'job')
    job.ok('run', 'job')
    job.configure('1MiB', 'crm.dump, other.dump')  # not asked for any more
    job.ok('run', 'job')
    job.ok('verify', '--all')


def test_a_suspect_one_is_no_age(job):
    job.ok('run', 'job')
    [good] = job.snapshots()
    job.configure('1MiB')
    job.fails(INCOMPLETE, 'run', 'job')
    [_, bad] = job.snapshots()
    for selector in ('job', 'job@latest', 'job@complete'):
        result = job.ok('--json', 'show', selector)
        assert result.json()[-1]['id'] == good and f'{bad} is newer and suspect' in result.err, result
    assert job.ok('--json', 'show', f'job@{bad}').json()[-1]['id'] == bad
    assert good in job.ok('restore', 'job', '--into', job.base / 'restored').text
    assert 'pinned' in job.ok('pin', 'job@latest').out and good in job.ok('pin', 'job').out
    job.ok('accept', f'job@{bad}')
    for selector in ('job', 'job@latest', 'job@complete'):
        result = job.ok('--json', 'show', selector)
        assert result.json()[-1]['id'] == bad and 'suspect,' not in result.err, result


def test_where_there_is_no_other_the_suspect_one_is_given(job):
    job.section('source memory', plugin='memory-source', streams='one.dump', size='1KiB', min_size='1MiB')
    result = job.fails(INCOMPLETE, 'run', 'job')
    assert 'it has 1.0 KiB, less than min_size (1.0 MiB)' in result.err, result
    result = job.ok('show', 'job')
    assert 'as every other one is' in result.err, result
    assert 'no' in job.fails(FAILED, 'show', 'job@complete').err


def test_beside_another_host(job):
    """In an archive whose a snapshot is only its manifest tells."""
    built = job.binary.parent

    def be(host: str, **options) -> None:
        job.section('engine', state_dir=job.base / f'state-{host}', cache_dir=job.base / f'cache-{host}', host=host,
                    plugin_dir=f'{built / "plugins"}, {built / "tests" / "plugins"}')
        job.section('source memory', plugin='memory-source', streams='one.dump', size='1KiB', **options)

    be('other')
    job.ok('run', 'job')
    be('testhost', min_size='1MiB')
    for _ in range(2):
        job.fails(INCOMPLETE, 'run', 'job')
    result = job.ok('--json', 'show', 'job')
    assert result.json()[-1]['id'] == job.snapshots()[-1] and 'as every other one is' in result.err, result


def test_it_pushes_nothing_out(job):
    job.configure('4MiB', keep_last=1, keep_min=1)
    job.ok('run', 'job')
    [good] = job.snapshots()
    job.configure('1MiB', keep_last=1, keep_min=1)
    for _ in range(3):
        job.fails(INCOMPLETE, 'run', 'job')
    suspect = [id for id in job.snapshots() if id != good]
    assert len(suspect) == 3 and good in job.snapshots()
    job.ok('accept', f'job@{suspect[-1]}')
    result = job.ok('prune', 'job', '--yes')
    assert good not in job.snapshots() and suspect[-1] in job.snapshots(), result


def test_status_counts_it_when_it_is_accepted(job):
    job.configure('4MiB', max_age='365d')
    job.ok('run', 'job')
    [good] = job.snapshots()
    job.configure('1MiB', max_age='365d')
    job.fails(INCOMPLETE, 'run', 'job')
    bad = job.snapshots()[-1]

    def status() -> tuple[str, str]:
        result = job('--json', 'status')
        assert result.status in (DONE, INCOMPLETE), result
        [of_job] = [one for one in result.json() if one['type'] == 'status']
        return of_job['sinks'][0]['snapshot'], result.text

    newest, text = status()
    assert newest == good and 'was suspect: it shrank by 75' in text, text
    assert 'suspect' in job('status').out
    job.ok('accept', 'job')
    newest, text = status()
    assert newest == bad and 'was suspect' not in text, text
    assert [one['command'] for one in records(job)] == ['run', 'run', 'accept']
    run, accept = records(job)[1:]
    assert run['status'] == run['snapshot_status'] == 'suspect' and run['sources'][0]['suspect'].startswith('it shrank'), run
    assert accept['snapshot'] == bad and accept['status'] == 'complete', accept
    assert 'it shrank by 75' in job.ok('log', 'job').out


def test_a_dry_run_says_what_it_would_be(job):
    job.ok('run', 'job')
    job.configure('1MiB')
    result = job.fails(INCOMPLETE, 'run', 'job', '--dry-run')
    assert 'and be suspect' in result.out and 'would be suspect' in result.err and len(job.snapshots()) == 1, result
    assert 'nothing to accept' in job.ok('accept', 'job').out


@pytest.mark.parametrize('accepted', [False, True])
def test_a_lost_state_is_learnt_from_the_snapshots(job, accepted):
    job.ok('run', 'job')
    job.configure('1MiB')
    job.fails(INCOMPLETE, 'run', 'job')
    if accepted:
        job.ok('accept', f'job@{job.snapshots()[-1]}')
    place(job, 'job').unlink()
    job.fails(INCOMPLETE if not accepted else DONE, 'run', 'job')


def test_a_copy_is_accepted_too(job):
    if job.format == 'archive':
        job.section('sink other', plugin='local', path=job.base / 'other', format='archive', encryption='none')
    else:
        job.sink('other', path=job.base / 'other')
    job.ok('init', 'other')
    job.ok('run', 'job')
    job.configure('1MiB')
    for accept in (False, True):
        job.fails(INCOMPLETE, 'run', 'job')
        bad = job.snapshots()[-1]
        if accept:
            job.ok('accept', f'job@{bad}')
        job.ok('copy', f'job@{bad}', '--from', 'disk', '--to', 'other')
        last = [one for one in job.ok('--json', 'list', 'job', '--sink', 'other').json() if one['type'] == 'snapshot'][-1]
        assert (last['id'], last['suspect'], last['accepted']) == (bad, True, accept)


def test_shrink_in_the_configuration(job):
    job.ok('run', 'job')
    job.configure('1MiB', shrink='80%')
    job.ok('run', 'job')
    job.configure('1KiB', shrink='off')
    job.ok('run', 'job')
    for value in ('0%', '100%', '50', 'of', '', '5 %', '-1%'):
        job.configure('1KiB', shrink=value)
        assert 'shrink' in job.fails(BAD_CONFIG, 'run', 'job').err
    job.configure('1KiB')
    job.section('source memory', plugin='memory-source', streams='one.dump', shrink='150%')
    assert 'shrink' in job.fails(BAD_CONFIG, 'run', 'job').err


def test_accept_names_what_is_wrong(job):
    job.ok('run', 'job')
    assert 'has no snapshot' in job.fails(FAILED, 'accept', 'job@20260101T000000Z-ab12cd').err
    assert 'by its id' in job.fails(USAGE, 'accept', 'job@latest').err
    assert 'is not suspect' in job.ok('accept', f'job@{job.snapshots()[0]}').out


# ---- of a repository ----

def test_the_reference_decoder_knows_it(world, tmp_path):
    tree = tmp_path / 'tree'
    tree.mkdir()
    (tree / 'a').write_text('a')
    world.simple(tree)
    world.ok('run', 'job')
    (tree / 'a').unlink()
    world.fails(INCOMPLETE, 'run', 'job')
    repository = Repository(world.store.as_directory(), world.key, True)
    good, bad = (read_manifest(repository, f'testhost/job/{id}') for id in world.snapshots())
    assert not any('suspect' in one for one in good['sources'])
    assert bad['sources'][0]['suspect'].startswith(b'nothing is in it')


def test_a_put_key_judges_and_accepts(world, tmp_path):
    """What it cannot open it has records of."""
    tree = tmp_path / 'tree'
    tree.mkdir()
    (tree / 'a').write_text('a')
    world.simple(tree)
    world.sink(key=world.put_key())
    world.ok('run', 'job')
    (tree / 'a').unlink()
    world.fails(INCOMPLETE, 'run', 'job')
    assert 'accepted' in world.ok('accept', 'job').out
    world.ok('run', 'job')
    world.sink()
    assert [state for _, *state in listed(world)][1] == ['complete', True, True]
    world.ok('verify', '--all')


def test_a_partial_run_judges_what_it_saves(world, tmp_path):
    for name in 'ab':
        (tmp_path / name).mkdir()
        (tmp_path / name / 'file').write_text(name)
        world.source(name, tmp_path / name)
    world.sink()
    world.job(sources='a, b')
    world.ok('init', 'disk')
    world.ok('run', 'job')
    (tmp_path / 'a' / 'file').unlink()
    world.ok('run', 'job', 'b')
    assert "source 'a': suspect" in world.fails(INCOMPLETE, 'run', 'job', 'a').err
    world.fails(INCOMPLETE, 'run', 'job')
    whole = world.snapshots()[-1]
    # What is asked for is not suspect there.
    assert whole in world.ok('restore', 'job', 'b', '--into', tmp_path / 'restored').text
    assert (tmp_path / 'restored' / 'b' / 'file').read_text() == 'b'


def test_half_a_database(world, cluster):  # noqa: F811
    cluster.sql('CREATE DATABASE shop')
    cluster.sql("CREATE TABLE small AS SELECT n, md5(n::text) FROM generate_series(1, 1000) n;"
                         "CREATE TABLE large AS SELECT n, md5(n::text) || md5((-n)::text) AS text FROM generate_series(1, 100000) n", 'shop')
    world.section('source db', plugin='postgres', host=cluster.sockets, port=cluster.port, user='postgres', database='shop')
    world.sink()
    world.job(sources='db')
    world.ok('init', 'disk')
    world.ok('run', 'job')
    cluster.sql('DELETE FROM large WHERE n % 4 = 0', 'shop')
    world.ok('run', 'job')
    cluster.sql('DROP TABLE small', 'shop')
    world.ok('run', 'job')
    cluster.sql('TRUNCATE large', 'shop')
    result = world.fails(INCOMPLETE, 'run', 'job')
    assert "source 'db': suspect: it shrank by" in result.err, result


def test_one_of_three_databases(world, cluster):  # noqa: F811
    """It is empty; the sum of all hides it."""
    for name, rows in ('crm', 3000), ('forum', 90_000), ('wiki', 90_000):
        cluster.sql(f'CREATE DATABASE {name}')
        cluster.sql(f"CREATE TABLE t AS SELECT n, md5(n::text) || md5((-n)::text) AS text FROM generate_series(1, {rows}) n", name)
    world.section('source db', plugin='postgres', host=cluster.sockets, port=cluster.port, user='postgres', databases='crm, forum, wiki')
    world.sink()
    world.job(sources='db')
    world.ok('init', 'disk')
    world.ok('run', 'job')
    world.ok('run', 'job')
    cluster.sql('TRUNCATE t', 'crm')
    result = world.fails(INCOMPLETE, 'run', 'job')
    assert "source 'db': suspect: 'crm.dump' shrank by 9" in result.err, result
    assert 'forum' not in world.ok('show', f'job@{world.snapshots()[-1]}').out.partition('suspect   ')[2].partition('\n')[0]


def test_most_keys_are_gone(vault, servers):  # noqa: F811
    server = servers()
    put(server, 'session', 'bull', count=4000)
    configure(vault, server)
    vault.ok('run', 'job')
    with closing(server.client()) as client:
        client.many(('DEL', f'{word}:{n}:{"x" * (n % 40)}') for word in ('session', 'bull') for n in range(200, 4000))
    result = vault.fails(INCOMPLETE, 'run', 'job')
    assert "source 'app': suspect: it shrank by" in result.err, result
    vault.ok('accept', 'job')
    vault.ok('run', 'job')


# ---- require_mount, require ----

def test_nothing_is_saved_unless_it_is_mounted(world, tmp_path, tmpfs):
    data = tmpfs('data', 'size=1m')
    (data / 'file').write_text('x')
    other = tmp_path / 'other'
    other.mkdir()
    (other / 'file').write_text('x')
    world.simple(data)
    world.source('tree', data, require_mount='yes')
    world.ok('check', 'tree')
    world.ok('run', 'job')
    world.source('tree', other, require_mount='yes')
    result = world.fails(FAILED, 'run', 'job')
    assert f"nothing is mounted at '{other}'" in result.err and 'mount it' in result.err, result
    assert 'nothing is mounted' in world('check', 'tree').text
    subprocess.run(['mount', '--bind', other, other], check=True)
    try:
        world.ok('run', 'job')
    finally:
        subprocess.run(['umount', other], check=True)


def test_nothing_is_saved_without_the_marker(world, tmp_path):
    tree = tmp_path / 'tree'
    (tree / 'sub').mkdir(parents=True)
    world.simple(tree)
    world.source('tree', tree, require='sub/.mounted')
    result = world.fails(FAILED, 'run', 'job')
    assert f"'sub/.mounted' is not below '{tree}'" in result.err and f'touch {tree}/sub/.mounted' in result.err, result
    assert "'sub/.mounted' is not below" in world('check', 'tree').text
    (tree / 'sub' / '.mounted').touch()
    world.ok('run', 'job')
    for value in ('/etc', '..', '../x', 'a/../../x', 'a/..'):
        world.source('tree', tree, require=value)
        assert 'names nothing below path' in world.fails({FAILED, BAD_CONFIG}, 'run', 'job').err
