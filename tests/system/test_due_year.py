"""A year of cofre due: four jobs, three sinks, reboots, outages, two changes of the clocks, killed runs, a lost state directory, a host that is
off for a week. Everything due is done once, at the first look at which it can be, by a second opinion that knows no records."""
import bisect
import random
import subprocess
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from support.schedule import next_due

DAY, HOUR, MINUTE = 86400, 3600, 60
SCHEDULES = {'a': '30 2 * * *', 'b': '15 */6 * * *', 'c': '0 3 * * 0', 'd': '10 1,3 * * 1-5'}
EVERY = {'verify a': 7 * DAY, 'verify c': 30 * DAY, 'gc x': DAY, 'gc y': 3 * DAY, 'gc z': 7 * DAY}
PATIENCE = 15 * MINUTE


class Thing:
    """What should become of one thing, told of its attempts and of nothing else."""

    def __init__(self, slots: list[int] | None, every: int | None) -> None:
        self.slots, self.every = slots, every
        self.forget()

    def forget(self) -> None:
        self.from_now = self.again = None  # since when it counts; when it is tried once more

    def its_time(self, now: int) -> int | None:
        """The first time that it has not had its turn at."""
        if self.every:
            first = self.from_now + self.every
        else:
            at = bisect.bisect_right(self.slots, self.from_now)
            first = self.slots[at] if at < len(self.slots) else now + 1
        return first if first <= now else None

    def is_due(self, now: int) -> bool:
        if self.from_now is None:
            self.from_now = now
        return self.its_time(now) is not None or (self.again is not None and self.again <= now)

    def begin(self, now: int) -> bool:
        """Is it at a time of its own, and not a second try?"""
        own = self.its_time(now) is not None
        self.from_now, self.again = now, None
        return own


class Driver:
    """tests/unit/operation/due_cases.c: the real thing, with a clock that is told."""

    def __init__(self, program, directory) -> None:
        self.process = subprocess.Popen([program, directory], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def tell(self, *words) -> None:
        print(*words, file=self.process.stdin)

    def look(self, now: int) -> list[str]:
        self.tell('look', now)
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line.endswith('\n'), 'it has ended'
        return line.strip().split(';')[:-1]


def configure(world, state) -> None:
    world.section('engine', state_dir=state, cache_dir=world.base / 'cache', host='testhost')
    world.source('tree', world.base)
    for sink, every in (('x', '1d'), ('y', '3d'), ('z', '7d')):
        world.sink(sink, path=world.base / sink, encryption='none', gc_every=every)
    for job, (sinks, verify) in {'a': ('x, y', '7d'), 'b': ('x', None), 'c': ('y, z', '30d'), 'd': ('z', None)}.items():
        world.job(job, sinks=sinks, schedule=SCHEDULES[job], verify_every=verify)


def slots(schedule: str, start: int, end: int, zone: ZoneInfo) -> list[int]:
    found = [next_due(schedule, start, zone)]
    while found[-1] < end:
        found.append(next_due(schedule, found[-1], zone))
    return found


def windows(rng: random.Random, start: int, days: int, count: int, longest: int) -> list[tuple[int, int]]:
    begins = [start + rng.randrange(5, days - 6) * DAY + rng.randrange(DAY) for _ in range(count)]
    return [(begin, begin + rng.randrange(HOUR, longest)) for begin in begins]


def lies_in(now: int, spans: list[tuple[int, int]]) -> bool:
    return any(begin <= now < end for begin, end in spans)


def subject(name: str) -> tuple[bool, str]:
    what, _, of = name.partition(' ')
    return what == 'gc', of


@pytest.mark.parametrize('seed, step, days', [(0, HOUR, 92), pytest.param(0, HOUR, 366, marks=pytest.mark.long),
                                              *(pytest.param(seed, 5 * MINUTE, 366, marks=pytest.mark.long) for seed in range(1, 9))])
@pytest.mark.parametrize('place', ['Europe/Madrid', pytest.param('America/Sao_Paulo', marks=pytest.mark.long),
                                   pytest.param('Australia/Lord_Howe', marks=pytest.mark.long)])
def test_a_year(world, tmpfs, binary, monkeypatch, place, seed, step, days):
    monkeypatch.setenv('TZ', place)
    zone, rng = ZoneInfo(place), random.Random(f'{place} {seed}')
    start = int(datetime(2026, 1, 5, 12, 7, 31, tzinfo=zone).timestamp())
    end = start + days * DAY
    configure(world, tmpfs('memory', 'size=64m'))
    driver = Driver(binary.parent / 'tests' / 'due_cases', world.conf)
    things = {f'run {job}': Thing(slots(text, start, end, zone), None) for job, text in SCHEDULES.items()}
    things |= {name: Thing(None, every) for name, every in EVERY.items()}
    off = windows(rng, start, days, 12, 9 * HOUR) + [(start + days * 5 // 9 * DAY, start + (days * 5 // 9 + 7) * DAY)]
    outages, lost_at = windows(rng, start, days, 10, 8 * HOUR), start + days // 3 * DAY
    at_work: dict[str, tuple[int, str, bool]] = {}  # until when, what then, is it the first try
    killed: dict[str, bool] = {}
    looks = begun = waited = again = deaths = 0
    for now in range(start, end, step):
        dark = lies_in(now, off)
        for name, (until, result, first) in sorted(at_work.items(), key=lambda item: item[1][0]):
            if dark or until <= now:
                until, result = (min(until, now), result) if until <= now else (now, 'failed retry')
                driver.tell('end', until, name, result)
                del at_work[name]
                if first and result == 'failed retry':
                    things[name].again = until + PATIENCE
        if dark:
            continue
        if now >= lost_at and not at_work:
            driver.tell('lose')
            lost_at, killed = end, {}
            for thing in things.values():
                thing.forget()
        for name, first in killed.items():  # found now
            if first:
                things[name].again = now + PATIENCE
        killed, looks = {}, looks + 1
        busy = {subject(name) for name in at_work}
        due = {name for name, thing in things.items() if thing.is_due(now)}
        expected = {name for name in due if subject(name) not in busy}
        waited += len(due - expected)
        found = driver.look(now)
        assert set(found) == expected and len(found) == len(expected), (datetime.fromtimestamp(now, zone), found, expected, at_work)
        for name in found:
            if subject(name) in busy:
                continue
            busy.add(subject(name))
            begun += 1
            first = things[name].begin(now)
            again += not first
            if rng.random() < 0.01:
                driver.tell('kill', now, name)
                killed[name] = first
                off.append((now + 1, now + 1 + rng.choice([MINUTE, HOUR, 30 * HOUR])))
                deaths += 1
                break
            driver.tell('begin', now, name)
            result = ('failed retry' if lies_in(now, outages) else
                      rng.choice(['complete -'] * 20 + ['incomplete -', 'failed permanent', 'failed retry']))
            at_work[name] = now + rng.choice([30, 5 * MINUTE, 40 * MINUTE, 3 * HOUR, 9 * HOUR]), result, first
    driver.process.stdin.close()
    assert driver.process.wait(timeout=60) == 0
    assert looks > 0.8 * days * DAY / step and begun > 5 * days and again > days / 18 and deaths > days / 73 and waited > days / 4, (
        looks, begun, again, deaths, waited)
