"""What has to be due, told and shown of a host, by a second opinion: the manual alone, and what was done to it; it reads nothing that cofre keeps."""
from __future__ import annotations

import bisect
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from .schedule import next_due

DAY, HOUR, MINUTE = 86400, 3600, 60
PATIENCE, UNSEEN, LATE, WAITS = 15 * MINUTE, 2 * HOUR, HOUR, 7 * DAY
LEVELS = ['ok', 'unknown', 'warning', 'damaged', 'stale']
GOOD = {'complete', 'verified', 'collected', 'done'}
EVENTS = {'failed': 'failure', 'killed': 'failure', 'damaged': 'failure', 'doubt': 'failure', 'incomplete': 'incomplete', 'suspect': 'suspect'}


@dataclass
class Attempt:
    """Times in seconds, as far as it is known when it was: somewhere between two. ended: None, it was killed and nobody has found that."""
    command: str
    subject: str  # job or sink
    began: tuple[float, float]
    ended: float | None
    status: str
    cause: object = None  # what tells one failure from another
    passing: bool = False
    id: str | None = None  # of the snapshot
    whole: bool = False  # it is complete: of all sources, and not suspect
    sinks: tuple[str, ...] = ()  # that have it; that were verified
    damaged: tuple[str, ...] = ()
    full: dict[str, float] = field(default_factory=dict)  # how full they were
    accepted: bool = False

    @property
    def place(self) -> tuple[str, str]:
        return ('sink' if self.command == 'gc' else 'job'), self.subject


def slots_of(schedule: str, start: float, end: float, zone: ZoneInfo) -> list[int]:
    found = [next_due(schedule, start, zone)]
    while found[-1] < end:
        found.append(next_due(schedule, found[-1], zone))
    return found


class Weather:
    """What goes wrong when: spans of time, what, and with whom; more of it with a larger factor. Some days have less long ones than a year."""

    def __init__(self, rng: random.Random, start: int, days: int, factor: float) -> None:
        self.rng, self.start, self.days, self.factor = rng, start, days, factor
        self.spans: list[tuple[int, int, str, str]] = []
        span = days * DAY
        self.spans += [(start + int(part * span), start + int(part * span) + rng.choice([1, 2, 3]) * DAY // (1 if days > 30 else 3), 'small', job)
                       for part, job in ((0.1, 'b'), (0.4, 'd'), (0.7, 'a'))]
        for count, what, names, longest in ((3, 'down', 'x', 60), (6, 'down', 'y', 90), (2, 'down', 'z', 40), (5, 'full', 'z', 120), (5, 'missing', 'abcd', 70),
                                            (4, 'fail', 'abcd', 60), (4, 'skip', 'abcd', 60), (6, 'away', ('ops',), 140), (3, 'away', ('boss',), 100),
                                            (5, 'no due', '-', 90)):
            for _ in range(max(1, round(count * days / 365 * factor))):
                self.add(what, rng.choice(names), longest if days > 30 else min(longest, 12))
        self.off = [(start + int(0.55 * span), start + int(0.55 * span) + (7 * DAY if days > 30 else 30 * HOUR))]
        self.off += [(at, at + rng.randrange(1, 9) * HOUR) for at in self.moments(10)]
        self.kills, self.checks, self.lost_at = self.moments(40), self.moments(16), start + int(0.33 * span)

    def moments(self, count: int) -> list[int]:
        return sorted(self.start + self.rng.randrange(2, self.days * 24) * HOUR for _ in range(max(2, round(count * self.days / 365 * self.factor))))

    def add(self, what: str, name: str, longest: int) -> None:
        begin = self.start + self.rng.randrange(24, self.days * 24) * HOUR
        end = begin + self.rng.randrange(2, longest) * HOUR
        alone = what in ('away', 'no due') or not any(one[2] == 'small' and begin < one[1] + 2 * HOUR and one[0] < end for one in self.spans)
        if alone:
            self.spans.append((begin, end, what, name))

    def now(self, now: float, what: str) -> set[str]:
        return {name for begin, end, kind, name in self.spans if kind == what and begin <= now < end}


class Thing:
    """What is due: the run of a job, its verification, the gc of a sink."""

    def __init__(self, slots: list[int] | None, every: int | None) -> None:
        self.slots, self.every = slots, every
        self.forget()

    def forget(self) -> None:
        self.since = self.again = None  # since when it counts; when it is tried once more

    def its_time(self, now: float) -> bool:
        first = self.since + self.every if self.every else self.slots[bisect.bisect_right(self.slots, self.since)]
        return first <= now

    def look(self, now: float) -> bool:
        if self.since is None:
            self.since = now
        return self.its_time(now) or (self.again is not None and self.again <= now)

    def begun(self, now: float) -> bool:
        """Is it at a time of its own?"""
        own = self.since is not None and self.its_time(now)
        self.again = None
        if self.since is not None:
            self.since = now
        return own


class Host:
    """jobs: name to sinks, schedule, max_age; sinks: those that tell how full they are, and from when on that is said."""

    def __init__(self, jobs: dict, every: dict[str, int], warn_space: dict[str, float], zone: ZoneInfo, start: float, end: float) -> None:
        self.jobs, self.warn_space, self.zone = jobs, warn_space, zone
        self.things = {f'run {name}': Thing(slots_of(job['schedule'], start - 8 * DAY, end + 40 * DAY, zone), None) for name, job in jobs.items()}
        self.things |= {name: Thing(None, seconds) for name, seconds in every.items()}
        self.lost()

    def lost(self) -> None:
        """With the state directory."""
        self.records: dict[tuple[str, str], list[Attempt]] = {}  # of each place, in their order
        self.open: list[tuple[Attempt, bool]] = []  # killed, and nobody has found it; was it at its time?
        self.looked = None
        for thing in self.things.values():
            thing.forget()

    # ---- what happens ----

    def due(self, now: float) -> set[str]:
        self.looked = now
        return {name for name, thing in self.things.items() if thing.look(now)}

    def add(self, attempt: Attempt) -> None:
        """Of what ended, or was killed."""
        thing = self.things.get(f'{attempt.command} {attempt.subject}')
        own = thing.begun(attempt.began[0]) if thing else False
        own = own or not any(one.command == attempt.command for one in self.records.get(attempt.place, []))  # the first of all is at its time
        if attempt.ended is None:
            self.open.append((attempt, own))
        else:
            self.close(attempt, own)

    def close(self, attempt: Attempt, own: bool) -> None:
        self.records.setdefault(attempt.place, []).append(attempt)
        thing = self.things.get(f'{attempt.command} {attempt.subject}')
        if thing and own and attempt.passing:
            thing.again = attempt.ended + PATIENCE

    def find(self, now: float, of: tuple[str, str] | None = None) -> None:
        """What was killed is found: at one place, or everywhere."""
        for attempt, own in [one for one in self.open if of in (None, one[0].place)]:
            self.open.remove((attempt, own))
            attempt.ended = now
            self.close(attempt, own)

    # ---- what status says ----

    def runs(self, job: str) -> Iterator[Attempt]:
        """The newest first."""
        yield from (one for one, _ in self.open if (one.command, one.subject) == ('run', job))
        yield from (one for one in reversed(self.records.get(('job', job), [])) if one.command == 'run')

    def days(self, job: str, now: float) -> tuple[list[str], int, int]:
        by_day: list[list[str]] = [[] for _ in range(7)]
        today = datetime.fromtimestamp(now, self.zone).date()
        for one in self.runs(job):
            back = (today - datetime.fromtimestamp(one.ended or one.began[0], self.zone).date()).days
            if back >= 7:
                break
            if one.status != 'skipped':
                by_day[6 - back].append('complete' if one.accepted else one.status)
        words = ['none' if not day else 'good' if set(day) == {'complete'} else
                 'mixed' if set(day) & {'complete', 'incomplete', 'suspect'} else 'bad' for day in by_day]
        return words, sum(map(len, by_day)), sum(day.count('complete') for day in by_day)

    def good(self, job: str, sink: str) -> Attempt | None:
        return next((one for one in self.runs(job) if one.id and (one.whole or one.accepted) and sink in one.sinks), None)

    def measured(self, job: str, sink: str) -> Attempt | None:
        return next((one for one in self.runs(job) if sink in one.full and one.ended is not None), None)

    def fullness(self, sink: str) -> float:
        """How full it was when a run saw it last, of whichever job."""
        newest = max((one for job in self.jobs for one in [self.measured(job, sink)] if one), key=lambda one: one.ended, default=None)
        return newest.full[sink] if newest else 0

    def last_check(self, job: str, sink: str, member: str) -> Attempt | None:
        return next((one for one in reversed(self.records.get(('job', job), []))
                     if one.command == 'verify' and sink in getattr(one, member)), None)

    def of_sink(self, job: str, sink: str, now: float) -> dict:
        good, most = self.good(job, sink), self.jobs[job]['max_age']
        verified, damaged = self.last_check(job, sink, 'sinks'), self.last_check(job, sink, 'damaged')
        found = set()
        if stale := good is None or now - good.began[0] > most:
            found.add(('stale', job, sink, 'none' if good is None else 'old'))
        if damaged and (not verified or verified.ended < damaged.ended):
            found.add(('damaged', job, sink, 'damaged'))
        if sink in self.warn_space and self.fullness(sink) >= self.warn_space[sink]:
            found.add(('warning', None, sink, 'space'))
        return {'snapshot': good and good.id, 'good': good and good.began, 'stale': stale, 'verified': verified and verified.ended, 'findings': found}

    def of_job(self, job: str, now: float) -> dict:
        slots = self.things[f'run {job}'].slots
        last, tried = next(self.runs(job), None), next((one for one in self.runs(job) if one.status != 'skipped'), None)
        missed = slots[bisect.bisect_right(slots, last.began[0])] if last else None
        missed = missed if missed and missed + LATE < now else None
        found = set()
        if tried and tried.status != 'complete' and not tried.accepted:
            found.add(('warning', job, None, tried.status))
        if not last:
            found.add(('unknown', job, None, 'no record'))
        if missed:
            found.add(('warning', job, None, 'missed'))
        if (self.looked is None or now - self.looked >= UNSEEN) and (not last or missed):
            found.add(('warning', job, None, 'unattended'))
        sinks = {sink: self.of_sink(job, sink, now) for sink in self.jobs[job]['sinks']}
        found = found.union(*(one.pop('findings') for one in sinks.values()))
        return {'last': last, 'next': slots[bisect.bisect_right(slots, now)], 'missed': missed,
                'days': self.days(job, now), 'sinks': sinks, 'findings': found}

    def stands(self, now: float) -> dict[str, dict]:
        return {job: self.of_job(job, now) for job in self.jobs}

    def health(self, stands: dict, now: float) -> int:
        level = worst(stands)
        if level in ('stale', 'damaged'):
            return {'stale': 14, 'damaged': 13}[level]
        if self.looked is None or now - self.looked >= UNSEEN:
            return 14
        return 3 if any(kind in ('failed', 'killed') for one in stands.values() for *_, kind in one['findings']) else 0


def worst(stands: dict) -> str:
    return max((row[0] for one in stands.values() for row in one['findings']), key=LEVELS.index, default='ok')


class Listener:
    """Who is told, and what he has to have been told: tuples of event, job, sink, command, and whether it is a reminder."""

    def __init__(self, on: set[str], remind: int, delay: int) -> None:
        self.on, self.remind, self.delay, self.up = on, remind, delay, True
        self.lost()

    def lost(self) -> None:
        self.states: dict[tuple, dict] = {}
        self.read: dict[tuple, int] = {}  # how many records of a place
        self.queue: list[tuple[float, tuple]] = []

    def put(self, now: float, what: tuple) -> None:
        if what[0] in self.on:
            self.queue.append((now, what))

    def bad(self, key: tuple, cause, at: float, now: float, what: tuple) -> None:
        old = self.states.get(key)
        same = old and (old['cause'], old['what']) == (cause, what)
        self.states[key] = {'cause': cause, 'what': what, 'since': old['since'] if old else at, 'told': old['told'] if same else None,
                            'known': bool(old and old['known'])}
        self.tell_first(self.states[key], at, now)

    def tell_first(self, state: dict, at: float, now: float) -> None:
        if state['told'] is None and state['what'][0] in self.on and at - state['since'] >= self.delay:
            self.put(now, state['what'])
            state |= {'told': now, 'known': True}

    def over(self, key: tuple, now: float, what: tuple | None) -> None:
        old = self.states.pop(key, None)
        if old and old['known'] and what:
            self.put(now, what)

    def take(self, one: Attempt, now: float) -> None:
        key = one.command, *one.place
        about = (one.subject, None, one.command, False) if one.place[0] == 'job' else (None, one.subject, one.command, False)
        if one.status in EVENTS:
            self.bad(key, (one.status, one.cause), one.ended, now, (EVENTS[one.status], *about))
        elif one.status in GOOD:
            self.over(key, now, ('recovered', *about))
            if (one.command, one.status) == ('run', 'complete') and not self.delay:
                self.put(now, ('success', *about))

    def look(self, host: Host, places: list[tuple], now: float) -> None:
        """What is news, and what time has done."""
        for place in places:
            there = host.records.get(place, [])
            for one in there[self.read.get(place, max(len(there) - 1, 0)):]:
                self.take(one, now)
            if there:
                self.read[place] = len(there)
        self.look_at_sinks(host, now)
        for state in self.states.values():
            self.tell_first(state, now, now)
            if state['told'] is not None and now - state['told'] >= self.remind and not any(what[:4] == state['what'][:4] for _, what in self.queue):
                self.put(now, (*state['what'][:4], True))
                state['told'] = now
        self.queue = [one for one in self.queue if now - one[0] <= WAITS]

    def look_at_sinks(self, host: Host, now: float) -> None:
        for job in host.jobs:
            for sink in host.jobs[job]['sinks']:
                key, about = ('stale', job, sink), (job, sink, None, False)
                if host.of_sink(job, sink, now)['stale']:
                    self.bad(key, None, now, now, ('stale', *about))
                else:
                    self.over(key, now, ('recovered', *about))
        for sink, most in host.warn_space.items():
            full = host.fullness(sink)
            if full >= most:
                self.bad(('space', sink), None, now, now, ('space', None, sink, None, False))
            elif full < most * 0.98:
                self.over(('space', sink), now, None)

    def told(self, now: float) -> list[tuple]:
        """What has come to him by now; nothing while he is away."""
        if not self.up:
            return []
        found, self.queue = [what for _, what in self.queue], []
        for what in found:
            for state in self.states.values():
                if state['told'] is not None and state['what'][:4] == what[:4]:
                    state['told'] = now
        return found
