"""A host whose clock is told: what is done to it, what it does, and what the second opinion (year.py) has to make of that."""
from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from .cli import CLEAN, Result, World
from .clock import LIBRARY
from .notify import Told
from .wait import wait_until
from .year import DAY, HOUR, MINUTE, Attempt, Host, Listener, Weather, worst

# Nothing may come to pass within two minutes of a moment at which something is looked at: those of an hour, these, and what is periodic between them.
LOOKS, BY_HAND, AT = (5, 27, 44), 18, 52
LESS = 5 * MINUTE
JOBS = {'a': {'sinks': ('x', 'y'), 'schedule': '30 2 * * *', 'max_age': 27 * HOUR - LESS},
        'b': {'sinks': ('x', 'z'), 'schedule': '12 */6 * * *', 'max_age': 8 * HOUR - LESS},
        'c': {'sinks': ('z',), 'schedule': '0 3 * * 0', 'max_age': 8 * DAY - LESS},
        'd': {'sinks': ('x', 'y', 'z'), 'schedule': '10 1,3 * * 1-5', 'max_age': 75 * HOUR - LESS}}
EVERY = {'verify a': 7 * DAY - LESS, 'verify c': 30 * DAY - LESS, 'gc x': DAY - LESS, 'gc y': 3 * DAY - LESS, 'gc z': 7 * DAY - LESS}
REMIND, ESCALATE, FULL = DAY - LESS, DAY - LESS, 80
PLACES = [('job', name) for name in JOBS] + [('sink', name) for name in 'xyz']
WORDS = {'none': 'no complete snapshot is known to be there, and max_age', 'old': 'the newest complete snapshot is', 'damaged': 'a verification, ',
         'no record': 'no record of a run', 'missed': 'it was due at', 'unattended': 'nobody looks after its schedule', 'space': r'it was \d+ % full',
         'failed': r'the last run, [^,]* ago, failed', 'killed': r'the last run, [^,]* ago, was killed', 'incomplete': r'the last run, [^,]* ago, was incomplete',
         'suspect': r'the last run, [^,]* ago, was suspect', 'away': 'nothing has worked there since'}
HOOK = """#!/bin/sh
echo "$COFRE_JOB $COFRE_HOOK" >> {base}/hooks
if [ -e {base}/hold-$COFRE_JOB-$COFRE_HOOK ]; then rm {base}/hold-$COFRE_JOB-$COFRE_HOOK; touch {base}/held; exec sleep 100; fi
[ -e {base}/end-$COFRE_JOB-$COFRE_HOOK ] && exit $(cat {base}/end-$COFRE_JOB-$COFRE_HOOK)
exit 0
"""


def minutes(seconds: int) -> str:
    return f'{seconds // MINUTE}min'


def seconds(text: str | None) -> float | None:
    return text and datetime.fromisoformat(text[:19] + '+00:00').timestamp() + float('0' + text[19:-1])


def kind_of(text: str) -> str:
    return next((kind for kind, pattern in WORDS.items() if re.match(pattern, text)), text)


class Machine:
    """The host: what is done to it, what it does, and what the second opinion has to make of that."""

    def __init__(self, world: World, disk: Path, zone: str, weather: Weather) -> None:
        self.world, self.base, self.zone, self.weather, self.rng = world, world.base, zone, weather, weather.rng
        self.disk, self.clock, self.accepted_small, self.hours, self.seen = disk, float(weather.start), set(), 0, Counter()
        self.state, self.log = self.base / 'state', []
        world.section('engine', state_dir=self.state, cache_dir=self.base / 'cache', host='testhost', notify='ops', escalate=f'{minutes(ESCALATE)}: boss')
        for sink, place in {'x': self.base / 'x', 'y': self.base / 'y', 'z': disk / 'z'}.items():
            world.sink(sink, path=place, gc_every=minutes(EVERY[f'gc {sink}']), warn_space='80%' if sink == 'z' else None,
                       warn_full='0')
        for job, of in JOBS.items():
            for number, name in ((30, f'{job}-tree'), (3, f'{job}-more')):
                self.fill(self.base / name, number)
                world.source(name, self.base / name)
            world.job(job, sources=f'{job}-tree, {job}-more', sinks=', '.join(of['sinks']), schedule=of['schedule'], max_age=minutes(of['max_age']),
                      verify_every=minutes(EVERY[f'verify {job}']) if f'verify {job}' in EVERY else None, keep_last=3, before=self.base / 'hook',
                      after=self.base / 'hook')
        (self.base / 'hook').write_text(HOOK.format(base=self.base))
        (self.base / 'hook').chmod(0o755)
        events = 'failure, incomplete, suspect, stale, recovered, space, key_expiry'
        self.tellers = {'boss': Told(world, self.base, 'boss', on=events, remind=minutes(REMIND)),
                        'ops': Told(world, self.base, 'ops', on=events + ', success', remind=minutes(REMIND))}
        self.host = Host(JOBS, EVERY, {'z': FULL}, ZoneInfo(zone), weather.start, weather.start + weather.days * DAY)
        self.listeners = {'boss': Listener(set(events.split(', ')), REMIND, ESCALATE), 'ops': Listener({*events.split(', '), 'success'}, REMIND, 0)}
        self.expected = {name: Counter() for name in self.tellers}
        self.twice: set[str] = set()
        self.held: set[str] = set()
        self.had: set[str] = set()  # jobs with something to compare with
        self.count = dict.fromkeys(self.tellers, 0)
        self.read = dict.fromkeys(self.tellers, 0)
        self.ids: dict[str, set[str]] = {name: set() for name in self.tellers}

    @staticmethod
    def fill(place: Path, number: int) -> None:
        place.mkdir(exist_ok=True)
        for n in range(number):
            (place / str(n)).write_text(f'{place.name} {n}\n')

    # ---- the clock, and what is run by it ----

    def at(self, hour: int, minute: int) -> None:
        self.clock = max(self.clock, hour + minute * 60)

    def env(self) -> dict[str, str]:
        return CLEAN | {'TZ': self.zone, 'LD_PRELOAD': str(LIBRARY), 'FAKETIME': f'{self.clock - time.time():+.3f}s'}

    def run(self, *words: str):
        began = time.time()
        result = self.world(*words, env=self.env())
        self.clock += time.time() - began + 0.01
        self.last = result
        self.log.append((datetime.fromtimestamp(self.clock, ZoneInfo(self.zone)).isoformat(), *words, result.status))
        return result

    # ---- what is done to it ----

    def set_hour(self, hour: int) -> None:
        now = self.weather.now
        for sink, place in {'x': self.base / 'x', 'y': self.base / 'y', 'z': self.disk / 'z'}.items():
            away = place.with_name(place.name + '.away')
            if (sink in now(hour, 'down')) != away.exists():
                place.rename(away) if place.exists() else away.rename(place)
        for job in JOBS:
            more, tree = self.base / f'{job}-more', self.base / f'{job}-tree'
            away = more.with_name(more.name + '.away')
            if (job in now(hour, 'missing')) != away.exists():
                more.rename(away) if more.exists() else away.rename(more)
            small = job in now(hour, 'small')
            if small != (len(list(tree.iterdir())) < 30):
                for n in range(5, 30):
                    (tree / str(n)).unlink() if small else (tree / str(n)).write_text(f'{tree.name} {n}\n')
                self.accepted_small.discard(job)
            end = self.base / f'end-{job}-before'
            end.unlink(missing_ok=True)
            if job in now(hour, 'fail') | now(hour, 'skip'):
                end.write_text('1' if job in now(hour, 'fail') else '75')
        for name, told in self.tellers.items():
            self.listeners[name].up = name not in now(hour, 'away')
            told.does('exit 0') if self.listeners[name].up else told.program.write_text('#!/bin/sh\nexit 1\n')
        (self.base / 'a-tree' / '0').write_text(f'{hour}\n')
        (self.base / 'd-tree' / '1').write_text(f'{hour}\n')

    def fill_disk(self, hour: int) -> None:
        ballast = self.disk / 'ballast'
        if 'z' not in self.weather.now(hour, 'full'):
            ballast.unlink(missing_ok=True)
            return
        with contextlib.suppress(OSError), ballast.open('ab', buffering=0) as file:
            while file.write(b'\0' * 4096):
                pass

    # ---- what is to be expected of a run ----

    def snapshots(self, job: str) -> dict[str, set[str]]:
        places = {'x': self.base / 'x', 'y': self.base / 'y', 'z': self.disk / 'z'}
        return {sink: set(os.listdir(place)) if (place := places[sink] / 'snapshots' / 'testhost' / job).is_dir() else set()
                for sink in JOBS[job]['sinks']}

    def faults(self, hour: int, sinks) -> frozenset:
        now = self.weather.now
        return frozenset({(sink, 'down') for sink in sinks if sink in now(hour, 'down')} |
                         {(sink, 'full') for sink in sinks if sink in now(hour, 'full') - now(hour, 'down')})

    def outcome(self, hour: int, job: str) -> dict:
        """Of a run that is not disturbed."""
        now, sinks = self.weather.now, JOBS[job]['sinks']
        if job in now(hour, 'fail'):
            return {'status': 'failed', 'cause': 'hook', 'exit': 1}
        if job in now(hour, 'skip'):
            return {'status': 'skipped', 'exit': 0}
        bad = self.faults(hour, sinks)
        good = tuple(sink for sink in sinks if sink not in dict(bad))
        if not good:
            return {'status': 'failed', 'cause': bad, 'exit': 10 if (sinks[0], 'down') in bad else 1}
        missing = {job} & now(hour, 'missing')
        suspect = bool({job} & self.had & now(hour, 'small') - self.accepted_small)
        status = 'incomplete' if bad or missing else 'suspect' if suspect else 'complete'
        return {'status': status, 'cause': bad | missing, 'exit': 0 if status == 'complete' else 3, 'whole': not missing and not suspect, 'sinks': good}

    def made(self, job: str, before: dict[str, set[str]]) -> tuple[str | None, tuple[str, ...]]:
        """The snapshot that has come to be since, and where it is."""
        new = {sink: there - before[sink] for sink, there in self.snapshots(job).items()}
        ids = set().union(*new.values())
        assert len(ids) <= 1, ids
        return (next(iter(ids)) if ids else None), tuple(sink for sink in new if new[sink])

    def full(self, sinks) -> dict[str, float]:
        of = os.statvfs(self.disk)
        return {'z': 100 * (of.f_blocks - of.f_bavail) / of.f_blocks} if 'z' in sinks else {}

    def attempt(self, hour: int, command: str, subject: str, status: int, before: dict, began: float) -> Attempt:
        """What has ended by itself."""
        one = Attempt(command, subject, (began - 1, self.clock + 1), self.clock, '')
        if command == 'run':
            of = self.outcome(hour, subject)
            one.id, one.sinks = self.made(subject, before)
            if status == 3 and of['exit'] == 0 and 'which is more than half' in self.last.err:
                self.held.add(subject)  # much is to be removed at once, as after an outage or a week off: that is for somebody to decide
                status = 0
            assert status == of['exit'] and one.sinks == of.get('sinks', ()), self.tell(f'run of {subject}: {status}, in {one.sinks}, instead of {of}')
            one.status, one.cause, one.whole = of['status'], of.get('cause'), of.get('whole', False)
            self.had |= {subject} if one.sinks else set()
            one.full = {} if one.status == 'skipped' or one.cause == 'hook' else self.full({*JOBS[subject]['sinks']} - {s for s, why in self.faults(hour, 'z') if why == 'down'})
            return one
        sinks = JOBS[subject]['sinks'] if command == 'verify' else (subject,)
        down = frozenset(sink for sink in sinks if sink in self.weather.now(hour, 'down'))
        one.cause, one.passing = down, command == 'verify' and bool(down)
        one.status = 'failed' if down else 'verified' if command == 'verify' else 'collected'
        one.sinks = tuple(sink for sink in sinks if sink not in down)
        if command == 'gc' and status and self.faults(hour, sinks) == {('z', 'full')}:  # it has to note what it plans
            one.status, one.cause = {3: 'doubt', 1: 'failed'}[status], 'full'
            return one
        assert status == (10 if down else 0), self.tell(f'{command} of {subject}: {status}, with {down} away')
        return one

    def tell(self, text: str) -> str:
        return f'{text}\n{self.last}\n' + '\n'.join(map(str, self.log[-12:])) + '\n' + '\n'.join(map(str, self.weather.spans))

    # ---- what it does ----

    def pass_by(self) -> None:
        """A command has ended, and tells whom it can."""
        for name, listener in self.listeners.items():
            listener.look(self.host, PLACES, self.clock)
            self.expect(name, listener.told(self.clock))

    def expect(self, name: str, told: list[tuple]) -> None:
        self.expected[name].update(told)
        self.count[name] += len(told)

    def lines(self, name: str) -> list[str]:
        log = self.tellers[name].log
        return log.read_text().splitlines() if log.exists() else []

    def look(self, hour: int, minute: int) -> None:
        """cofre due"""
        self.at(hour, minute)
        self.fill_disk(hour)
        before = {job: self.snapshots(job) for job in JOBS}
        self.host.find(self.clock)
        expected, began = self.host.due(self.clock), self.clock
        result = self.run('--json', 'due')
        done = [(f"{row['what']} {row['job'] or row['sink']}", row['status']) for row in result.json() if row['type'] == 'done']
        assert Counter(name for name, _ in done) == Counter(expected), self.tell(f'due has done {done} instead of {expected}\n{result}')
        for name, status in done:
            command, subject = name.split()
            self.host.add(self.attempt(hour, command, subject, status, before.get(subject, {}), began))
            self.pass_by()
            self.seen[f'{command} {self.host.records[("sink" if command == "gc" else "job", subject)][-1].status}'] += 1
        self.pass_by()

    def by_hand(self, hour: int, command: str, job: str) -> None:
        self.at(hour, BY_HAND)
        self.fill_disk(hour)
        before, began = self.snapshots(job), self.clock
        result = self.run(command, job)
        self.host.find(began, ('job', job))
        self.host.add(self.attempt(hour, command, job, result.status, before, began))
        self.pass_by()

    def accept(self, hour: int, job: str) -> None:
        suspect = next(self.host.runs(job), None)
        if suspect is None or suspect.status != 'suspect' or suspect.accepted or job in self.accepted_small:
            return
        self.at(hour, BY_HAND)
        assert self.run('accept', job).status == 0, self.tell('accept')
        suspect.accepted = True
        self.accepted_small.add(job)
        self.host.add(Attempt('accept', job, (self.clock, self.clock), self.clock, 'complete'))

    def prune(self, hour: int, job: str) -> None:
        """What a run has held back."""
        if self.faults(hour, JOBS[job]['sinks']):
            return
        self.at(hour, BY_HAND)
        self.host.find(self.clock, ('job', job))
        assert self.run('prune', job, '--yes').status == 0, self.tell('prune')
        self.held.remove(job)
        self.host.add(Attempt('prune', job, (self.clock, self.clock), self.clock, 'done'))
        self.pass_by()
        self.seen['pruned'] += 1

    def lose(self) -> None:
        subprocess.run(['rm', '-rf', self.state], check=True)
        self.host.lost()
        for listener in self.listeners.values():
            listener.lost()

    # ---- what is done to it while it is at work ----

    def kill(self, hour: int, how: str) -> bool:
        """cofre due, which does not come to its end. Is the machine down?"""
        self.at(hour, LOOKS[0])
        self.fill_disk(hour)
        before, counts = {job: self.snapshots(job) for job in JOBS}, self.counts()
        self.host.find(self.clock)
        expected, began = self.host.due(self.clock), self.clock
        runs = sorted(name.split()[1] for name in expected if name[:3] == 'run' and self.outcome(hour, name.split()[1]).get('sinks'))
        held = self.rng.choice(runs) if runs else None
        if how in ('before', 'after', 'stop') and held:
            (self.base / f'hold-{held}-{"after" if how == "after" else "before"}').touch()
        elif how == 'told' and self.listeners['ops'].up:
            self.tellers['ops'].does(f'[ -e {self.base}/told ] || {{ touch {self.base}/told {self.base}/held; exec sleep 100; }}')
        elif how != 'any':
            how = 'any'
        started = time.time()
        process = subprocess.Popen(['unshare', '--pid', '--fork', '--kill-child', *self.world.command('--json', 'due')], env=self.env(),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        until = started + (self.rng.random() * 0.5 if how == 'any' else 100)
        while process.poll() is None and not (self.base / 'held').exists() and time.time() < until:
            time.sleep(0.005)
        children = Path(f'/proc/{process.pid}/task/{process.pid}/children')
        numbers = children.read_text().split() if children.exists() else []
        child = int(numbers[0]) if numbers and process.poll() is None else 0  # there is none just after its beginning, and just before its end
        if how == 'stop' and child:
            os.kill(child, signal.SIGTERM)
        elif process.poll() is None:
            process.kill()
        out, err = process.communicate(timeout=100)
        while child and Path(f'/proc/{child}').exists():
            time.sleep(0.005)
        self.clock += time.time() - started + 0.01
        self.last = Result([how], process.returncode, out, err)
        self.log.append((datetime.fromtimestamp(self.clock, ZoneInfo(self.zone)).isoformat(), 'due', how, held, process.returncode))
        for path in self.base.glob('hold-*'):
            path.unlink()
        (self.base / 'held').unlink(missing_ok=True)
        (self.base / 'told').unlink(missing_ok=True)
        self.tellers['ops'].does('exit 0') if self.listeners['ops'].up else None
        self.seen[f'due: {how}, {process.returncode}'] += 1
        rows = [json.loads(line) for line in out.splitlines() if line.endswith('}')]
        done = [(f"{row['what']} {row['job'] or row['sink']}", row['status']) for row in rows if row['type'] == 'done']
        self.settle(hour, before, counts, began, expected, done, how, held)
        return process.returncode < 0

    def place(self, name: str) -> Path:
        command, subject = name.split()
        return self.state / ('sinks' if command == 'gc' else 'jobs') / subject

    def kept(self, name: str) -> list[dict]:
        path = self.place(name) / 'records'
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def counts(self) -> dict[str, int]:
        return {name: len(self.kept(name)) for name in self.host.things}

    def settle(self, hour: int, before: dict, counts: dict, began: float, expected: set, done: list, how: str, held: str | None) -> None:
        """How far it came is what it has left."""
        for name, status in done:
            command, subject = name.split()
            if how == 'stop' and subject == held and status == 143:
                self.host.add(Attempt('run', subject, (began - 1, self.clock + 1), self.clock, 'failed', 'stopped', passing=True))
                for listener in self.listeners.values():  # whoever is stopped tells nothing
                    listener.look(self.host, PLACES, self.clock)
                continue
            self.host.add(self.attempt(hour, command, subject, status, before.get(subject, {}), began))
            self.pass_by()
        if how == 'stop' and done and done[-1][1] == 143:
            return
        left = expected - {name for name, _ in done}
        for name in left:
            command, subject = name.split()
            open_ones = [json.loads(path.read_text()) for path in (self.place(name) / 'attempts').glob('cofre-*')]
            open_ones = [one for one in open_ones if one['command'] == command]
            new = [one for one in self.kept(name)[counts[name]:] if one['command'] == command and one['status'] != 'killed']
            if open_ones:
                [one] = open_ones
                self.host.add(self.killed(hour, one, before.get(subject, {}), began, how))
            elif new:
                self.host.add(self.attempt(hour, command, subject, new[-1]['exit'], before.get(subject, {}), began))
                self.half_told(self.place(name), new[-1])
            elif seconds(json.loads((self.state / 'due').read_text())['things'][name]['since']) >= began:
                self.host.things[name].begun(self.clock)
        if not left:
            self.half_told(None, None)

    def killed(self, hour: int, open_one: dict, before: dict, began: float, how: str) -> Attempt:
        one = Attempt(open_one['command'], open_one['job'] or open_one['sink'], (began - 1, self.clock + 1), None, 'killed', passing=True)
        if how == 'after':
            of = self.outcome(hour, one.subject)
            one.id, one.sinks = self.made(one.subject, before)
            one.whole = of['whole']
            self.had.add(one.subject)
            one.full = self.full({*one.sinks})
            assert one.sinks == of['sinks'], self.tell(f'{one}, {of}')
        elif open_one.get('snapshot'):
            self.had.add(one.subject)
            one.id, one.whole = open_one['snapshot'], open_one['snapshot_status'] == 'complete'
            one.sinks = tuple(row['name'] for row in open_one['sinks'] if row['committed'])
            one.full = self.full({*one.sinks})
        return one

    def half_told(self, place: Path | None, record: dict | None) -> None:
        """Who was told how much when it was killed."""
        for name, listener in self.listeners.items():
            path = self.state / 'notify' / name
            memory = json.loads(path.read_text()) if path.exists() else {'read': {}, 'queue': []}
            if record and memory['read'].get(f'{place.parent.name}/{place.name}') != record['id']:
                continue
            listener.look(self.host, PLACES, self.clock)
            count = len(listener.queue) - len(memory['queue'])
            waiting, listener.queue = listener.queue[count:], listener.queue[:count]
            self.expect(name, listener.told(self.clock))
            listener.queue += waiting
            if waiting and len(self.lines(name)) > self.count[name]:  # between the telling and its note
                self.expect(name, [waiting[0][1]])
                self.twice.add(name)

    def kill_one(self, hour: int, job: str) -> None:
        """A run by hand, that process alone: the watchdog does the rest."""
        self.at(hour, BY_HAND)
        if not self.outcome(hour, job).get('sinks'):
            return
        self.host.find(self.clock, ('job', job))
        (self.base / f'hold-{job}-before').touch()
        hooks, started, began = (self.base / 'hooks'), time.time(), self.clock
        process = subprocess.Popen(self.world.command('run', job), env=self.env(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until((self.base / 'held').exists, 'the hook')
        (self.base / 'held').unlink()
        process.kill()
        process.wait()
        attempts = self.state / 'jobs' / job / 'attempts'
        wait_until(lambda: not list(attempts.iterdir()) and hooks.read_text().splitlines()[-1] == f'{job} after', 'the watchdog')
        wait_until(lambda: not list((self.state / 'jobs' / job).glob('undo*/*')), 'the watchdog')
        self.clock += time.time() - started + 0.01
        self.log.append((datetime.fromtimestamp(self.clock, ZoneInfo(self.zone)).isoformat(), 'killed', job))
        self.host.add(Attempt('run', job, (began - 1, self.clock), self.clock, 'killed', passing=True))
        self.seen['run: killed'] += 1

    def damage(self, hour: int, job: str) -> None:
        """Somebody verifies while a disk is not well."""
        if self.faults(hour, JOBS[job]['sinks']) or not self.host.good(job, 'x'):
            return
        self.at(hour, BY_HAND)
        packs = {path: path.read_bytes() for path in (self.base / 'x' / 'packs').rglob('*') if path.is_file()}
        for path, content in packs.items():
            path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        began = self.clock
        result = self.run('verify', job)
        self.host.find(began, ('job', job))
        for path, content in packs.items():
            path.write_bytes(content)
        assert result.status == 13, self.tell('damage')
        self.host.add(Attempt('verify', job, (began, self.clock), self.clock, 'damaged', sinks=tuple(s for s in JOBS[job]['sinks'] if s != 'x'), damaged=('x',)))
        self.pass_by()
        self.seen['damaged'] += 1

    # ---- what it says ----

    def check(self, hour: int) -> None:
        self.at(hour, AT)
        stands, now = self.host.stands(self.clock), self.clock
        result = self.run('--json', 'status')
        rows = result.json()
        found = {(row['level'], row['job'], row['sink'], kind_of(row['text'])) for row in rows if row['type'] == 'finding'}
        expected = set().union(*(one['findings'] for one in stands.values()))
        away = {finding for finding in found if finding[3] == 'away'}  # for days: only that somebody was there tells of it
        assert found - away == expected, self.tell(f'said, and should not be: {found - expected}; should be said: {expected - found}\n{result}')
        assert away and worst(stands) == 'ok' or rows[-1]['status'] == worst(stands) and result.status == {'ok': 0, 'stale': 14, 'damaged': 13}.get(worst(stands), 3), self.tell(str(result))
        for row in (row for row in rows if row['type'] == 'status'):
            self.compare(row, stands[row['job']], now)
            self.hours += len(row['sinks'])
        if hour // HOUR % 11 == 0:
            assert (health := self.run('status', '--health')).status == self.host.health(stands, now), self.tell(str(health))
            assert (nagios := self.run('status', '--nagios')).status == {'ok': 0, 'warning': 1, 'unknown': 3}.get(worst(stands), 2), self.tell(str(nagios))

    def compare(self, row: dict, stand: dict, now: float) -> None:
        last, told = stand['last'], row['last']
        assert (last is None) == (told is None), self.tell(f'last: {row}, {last}')
        if last:
            assert told['status'] == last.status and last.began[0] <= seconds(told['started']) <= last.began[1], self.tell(f'last: {row}, {last}')
            assert last.status == 'killed' or told['snapshot'] == last.id, self.tell(f'{row}, {last}')
        assert (seconds(row['next']), seconds(row['missed'])) == (stand['next'], stand['missed']), self.tell(f'{row}, {stand}')
        assert (row['days'], row['runs'], row['runs_complete']) == stand['days'] and row['running'] is None, self.tell(f'{row}, {stand}')
        for sink in row['sinks']:
            of = stand['sinks'][sink['name']]
            assert sink['snapshot'] == of['snapshot'] and sink['stale'] == of['stale'], self.tell(f'{sink}, {of}')
            if of['good']:
                assert of['good'][0] <= seconds(sink['last_good']) <= of['good'][1] and abs(now - seconds(sink['last_good']) - sink['age']) < 60, self.tell(f'{sink}, {of}')
            assert (of['verified'] is None) == (sink['verified'] is None), self.tell(f'{sink}, {of}')
            assert of['verified'] is None or abs(of['verified'] - seconds(sink['verified'])) < 60, self.tell(f'{sink}, {of}')

    def check_told(self) -> None:
        for name in self.tellers:
            lines = self.lines(name)[self.read[name]:]
            self.read[name] += len(lines)
            found = Counter()
            for one in map(json.loads, lines):
                if one['id'] in self.ids[name] and name in self.twice:
                    self.twice.remove(name)
                    self.ids[name].remove(one['id'])
                assert one['id'] not in self.ids[name] and one['dropped'] == 0, self.tell(f'{name} was told twice: {one}')
                self.ids[name].add(one['id'])
                found[one['event'], one['job'], one['sink'], one['command'], one['reminder']] += 1
                self.seen[f'told {one["event"]}{" again" * one["reminder"]}'] += 1
            assert found == self.expected[name], self.tell(f'{name} was told, and should not be: {found - self.expected[name]}; '
                                                           f'should be told: {self.expected[name] - found}')
            self.expected[name] = Counter()
