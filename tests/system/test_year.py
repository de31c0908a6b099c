"""A year of a host, hour by hour, with a clock that is told: four jobs, three sinks, reboots, outages, a full disk, two changes of the clocks, killed
runs, a lost state directory, a week off. Everything due is done once, every event is told once, and status is right at every hour, by a
second opinion (support/year.py)."""
import random
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from support.cli import World
from support.year import DAY, HOUR
from support.year_host import LOOKS, Machine, Weather


def a_year(machine: Machine) -> None:
    weather, rng = machine.weather, machine.rng
    for sink in 'xyz':
        assert machine.run('init', sink).status == 0
    for hour in range(weather.start, weather.start + weather.days * DAY, HOUR):
        machine.set_hour(hour)
        if any(begin <= hour < end for begin, end in weather.off):
            continue
        if weather.lost_at <= hour and not machine.host.open:
            machine.lose()
            weather.lost_at = 1 << 60
        looks = 'no due' not in {kind for begin, end, kind, _ in weather.spans if begin <= hour < end}
        machine.at(hour, LOOKS[0])
        if looks and weather.kills and weather.kills[0] <= hour and machine.host.due(machine.clock):
            weather.kills.pop(0)
            how = rng.choice(['before', 'before', 'after', 'stop', 'told', 'any', 'any'])
            if machine.kill(hour, how) and rng.random() < 0.5:
                weather.off.append((hour + HOUR, hour + rng.choice([2, 4, 31]) * HOUR))
                if rng.random() < 0.5:
                    machine.check(hour)
                continue
            if rng.random() < 0.5 or how == 'told':
                machine.look(hour, LOOKS[1])
        elif looks:
            machine.look(hour, LOOKS[0])
        if weather.checks and weather.checks[0] <= hour:
            weather.checks.pop(0)
            rng.choice([lambda: machine.damage(hour, rng.choice('ad')), lambda: machine.kill_one(hour, rng.choice('abcd'))])()
        if rng.random() < (0.01 if looks else 0.05):
            machine.by_hand(hour, rng.choice(['run', 'run', 'verify']), rng.choice('abcd'))
        for job in list(machine.held):
            machine.prune(hour, job)
        for job in weather.now(hour, 'small'):
            if rng.random() < 0.1:
                machine.accept(hour, job)
        if looks and rng.random() < 0.1:
            machine.look(hour, LOOKS[1])
            machine.look(hour, LOOKS[2])
        machine.check(hour)
        machine.check_told()


def play(tmpfs, binary, zone: str, start: datetime, days: int, seed: int, factor: float = 1) -> int:
    """How many hours of a job and sink were checked. What files tell of time is older than any of it, whenever this is run."""
    weather = Weather(random.Random(f'{zone} {seed}'), int(start.replace(tzinfo=ZoneInfo('UTC')).timestamp()), days, factor)
    machine = Machine(World(tmpfs('host', 'size=300m'), binary), tmpfs('disk', 'size=32m'), zone, weather)
    a_year(machine)
    print(f'{machine.hours} hours of a job and sink: {dict(machine.seen)}')
    assert machine.hours > 0.2 * days * 24 * 8 and {'run complete', 'told failure', 'told stale', 'told recovered'} <= machine.seen.keys()
    return machine.hours


@pytest.mark.preload
def test_some_days(tmpfs, binary):
    play(tmpfs, binary, 'Europe/Madrid', datetime(2040, 3, 23, 12), 4, 2, 12)


@pytest.mark.preload
@pytest.mark.long
@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('zone', ['Europe/Madrid', 'America/Sao_Paulo', 'Australia/Lord_Howe'])
def test_a_year(tmpfs, binary, zone, seed):
    assert play(tmpfs, binary, zone, datetime(2040, 1, 5, 12), 365, seed) > 50_000
