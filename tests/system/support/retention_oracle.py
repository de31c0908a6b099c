"""Which snapshots stay, by the text of the rules alone; and random cases to ask it and the engine about.

Shares nothing with cofre: written from the manual. A snapshot is an id, its place in the chain, when it began (ns), flags, and until when it
is pinned."""
import random
import zoneinfo
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

SECOND = 10**9
MS = 10**6
FOREVER = 2**63 - 1
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
PERIODS = ['hourly', 'daily', 'weekly', 'monthly', 'yearly']
# With daylight saving in both halves, by half an hour, twice a year in other directions, none, with odd offsets, and across the date line.
ZONES = ['UTC', 'Europe/Berlin', 'America/New_York', 'America/St_Johns', 'Australia/Lord_Howe', 'Europe/Dublin', 'Asia/Kathmandu',
         'Pacific/Apia', 'Africa/Casablanca', 'America/Asuncion']
FIRST, LAST = 0, int((datetime(2106, 1, 1, tzinfo=timezone.utc) - EPOCH).total_seconds()) * SECOND


@dataclass
class Snapshot:
    id: str
    sequence: int
    started: int
    flags: str
    until: int = 0

    def has(self, flag: str) -> bool:
        return flag in self.flags

    @property
    def flaw(self) -> str | None:
        if self.has('s'):
            return 'suspect'
        if not self.has('c'):
            return 'incomplete'
        return 'partial' if self.has('p') else None

    def ahead(self, now: int) -> bool:
        """Clocks may be five minutes apart."""
        return self.started > now + 300 * SECOND

    def counts(self, now: int) -> bool:
        return not self.flaw and not self.has('u') and not self.has('x') and not self.ahead(now)


@dataclass
class Case:
    zone: str
    now: int
    last: int = -1
    periods: dict = field(default_factory=dict)  # name -> N
    within: int = -1  # ms
    minimum: int = 3
    incomplete: int = 7 * 86_400_000  # ms
    snapshots: list = field(default_factory=list)

    def text(self) -> str:
        numbers = [self.last, *(self.periods.get(name, -1) for name in PERIODS), self.within, self.minimum, self.incomplete]
        lines = [f'{self.zone} {self.now} {" ".join(map(str, numbers))} {len(self.snapshots)}']
        lines += [f'{s.id} {s.sequence} {s.started} {s.flags} {s.until}' for s in self.snapshots]
        return '\n'.join(lines) + '\n'


_zones = {name: zoneinfo.ZoneInfo(name) for name in ZONES}


def local_time(case: Case, ns: int) -> datetime:
    return (EPOCH + timedelta(seconds=ns // SECOND)).astimezone(_zones[case.zone])


def period(name: str, when: datetime):
    if name == 'hourly':
        return when.date(), when.hour, when.utcoffset()
    if name == 'daily':
        return when.date()
    if name == 'weekly':
        return when.isocalendar()[:2]
    return (when.year, when.month) if name == 'monthly' else when.year


def span(ms: int) -> str:
    for unit, name in ((86_400_000, 'd'), (3_600_000, 'h'), (60_000, 'min'), (1000, 's')):
        if ms % unit == 0:
            return f'{ms // unit}{name}'
    return f'{ms}ms'


def shown(when: datetime) -> str:
    seconds = when.utcoffset() // timedelta(seconds=1)
    hours, minutes = divmod(abs(seconds) // 60, 60)
    tail = f'{"-" if seconds < 0 else "+"}{hours:02}:{minutes:02}' if seconds else 'Z'
    return when.strftime('%Y-%m-%dT%H:%M:%S') + tail


def by_period(case: Case, name: str, candidates: list[Snapshot], why: dict):
    wanted = case.periods.get(name, -1)
    chosen: list[Snapshot] = []
    seen = None
    for s in candidates:
        if len(chosen) >= wanted:
            return
        its = period(name, local_time(case, s.started))
        if not chosen or its != seen:
            chosen.append(s)
            seen = its
            why[s.id].append(f'{name} {len(chosen)} of {wanted}')
    if candidates and len(chosen) < wanted and candidates[-1] is not chosen[-1]:
        why[candidates[-1].id].append(f'{name} {len(chosen) + 1} of {wanted}, the oldest')


def protect(case: Case, ordered: list[Snapshot], why: dict):
    left = [s for s in ordered if not (s.has('x') and s.sequence == 0)]
    if left:
        end = max(left, key=lambda s: (s.sequence, s.id))
        why[left[0].id].append('newest')
        if end is not left[0]:
            why[end.id].append('last of its chain')
    for flag, name in (('v', 'verified'), ('r', 'proven')):
        if holders := [s for s in ordered if s.has(flag) and not s.ahead(case.now)]:
            why[holders[0].id].append(f'newest {name}')
    for s in ordered:
        if s.ahead(case.now) and not s.has('x'):
            why[s.id].append('lies in the future')
        if s.has('i') and s.until == FOREVER:
            why[s.id].append('pinned')
        elif s.has('i') and s.until > case.now:
            why[s.id].append(f'pinned until {shown(local_time(case, s.until))}')
        if s.has('u'):
            why[s.id].append('its status is unknown to this version')
        elif s.flaw and not s.has('x'):
            newer = [c for c in ordered if c.counts(case.now) and c.id > s.id]
            if not newer:
                why[s.id].append(f'{s.flaw}, and no complete one is newer')
            elif case.now - newer[-1].started <= case.incomplete * MS:
                why[s.id].append(f'{s.flaw}, and the complete one after it is not older than {span(case.incomplete)}')


def gone(s: Snapshot) -> str:
    if s.has('x'):
        return 'a removal record names it: an earlier prune was interrupted'
    return f'{s.flaw}, and a complete one is newer' if s.flaw else 'no rule keeps it'


def decide(case: Case) -> dict[str, tuple[bool, list[str]]]:
    """id -> (it stays, why)."""
    why: dict[str, list[str]] = {s.id: [] for s in case.snapshots}
    if max(case.last, case.within, *case.periods.values(), 0) == 0:
        return {id: (True, ['there is no rule']) for id in why}
    ordered = sorted(case.snapshots, key=lambda s: s.id, reverse=True)
    candidates = [s for s in ordered if s.counts(case.now)]
    for i, s in enumerate(candidates[:case.minimum]):
        why[s.id].append('newest complete' if i == 0 else f'one of the newest {case.minimum}')
    for i, s in enumerate(candidates[:max(case.last, 0)]):
        why[s.id].append(f'last {i + 1} of {case.last}')
    for name in PERIODS:
        by_period(case, name, candidates, why)
    for s in candidates:
        if case.within > 0 and candidates[0].started - s.started <= case.within * MS:
            why[s.id].append(f'within {span(case.within)} of the newest')
    protect(case, ordered, why)
    return {s.id: (bool(why[s.id]), sorted(why[s.id]) or [gone(s)]) for s in ordered}


def is_much(case: Case, decisions: dict) -> bool:
    fresh = [s for s in case.snapshots if not s.has('x')]
    return sum(not decisions[s.id][0] for s in fresh) > len(fresh) / 2


# ---- random cases ----

def random_rules(r: random.Random, case: Case):
    if r.random() < 0.4:
        case.last = r.choice([0, 1, 2, 5, 20])
    for name in PERIODS:
        if r.random() < 0.35:
            case.periods[name] = r.choice([0, 1, 2, 3, 7, 30])
    if r.random() < 0.25:
        case.within = r.choice([0, 1, 1500, 90_000, 3_600_000, 86_400_000, 7 * 86_400_000, 400 * 86_400_000])
    case.minimum = r.choice([1, 2, 3, 3, 3, 10])
    case.incomplete = r.choice([0, 3_600_000, 86_400_000, 7 * 86_400_000, 7 * 86_400_000])


def random_flags(r: random.Random) -> str:
    flags = 'c' if r.random() < 0.85 else ''
    for flag, share in (('p', 0.06), ('s', 0.06), ('u', 0.03), ('i', 0.08), ('v', 0.15), ('r', 0.08), ('x', 0.04)):
        if r.random() < share:
            flags += flag
    return flags or '-'


def clock_changes(zone: str, year: int) -> int:
    """A second, near which this zone may change its clocks: the last Sunday of a month at one o'clock UTC."""
    month = random.Random(f'{zone} {year}').choice([3, 4, 9, 10, 11])
    day = datetime(year, month, 28, 1, tzinfo=timezone.utc)
    return int((day - timedelta(days=(day.weekday() + 1) % 7) - EPOCH).total_seconds())


def random_start(r: random.Random, zone: str) -> int:
    if r.random() < 0.3:
        return (clock_changes(zone, r.randrange(1971, 2105)) - r.randrange(7200)) * SECOND
    if r.random() < 0.1:
        return (int((datetime(r.randrange(1971, 2105), 1, 4, tzinfo=timezone.utc) - EPOCH).total_seconds()) - r.randrange(9 * 86400)) * SECOND
    return r.randrange(FIRST, LAST)


def random_case(r: random.Random) -> Case:
    """Snapshots in steps of minutes to months; sometimes the clock jumps, and then ids and places in the chain disagree."""
    case = Case(zone=r.choice(ZONES), now=0)
    random_rules(r, case)
    when = random_start(r, case.zone)
    step = r.choice([600, 1800, 3600, 6 * 3600, 86400, 86400, 7 * 86400, 30 * 86400]) * SECOND
    ids = set()
    for sequence in range(1, r.choice([1, 2, 4, 8, 8, 16, 40]) + 1):
        if r.random() < 0.02:
            when = random_start(r, case.zone)
        when = min(max(when, FIRST), LAST)
        id = (EPOCH + timedelta(seconds=when // SECOND)).strftime('%Y%m%dT%H%M%SZ-') + f'{r.randrange(1 << 24):06x}'
        flags = random_flags(r)
        rest = 'x' in flags and r.random() < 0.3
        until = r.choice([FOREVER, max(0, when + r.randrange(-10**17, 10**17))])
        if id not in ids:
            case.snapshots.append(Snapshot(id, 0, 0, 'x') if rest else Snapshot(id, sequence, when, flags, until))
        ids.add(id)
        when += int(step * r.uniform(0.5, 1.5)) if r.random() < 0.5 else step
    case.now = max(0, min(when + r.randrange(-2 * 86400, 20 * 86400) * SECOND, LAST))
    return case
