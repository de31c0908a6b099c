"""Schedules, by a second opinion: all minutes of the world's time, one by one."""
from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

DAY = 86400


def numbers(field: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for part in field.split(','):
        span, _, step = part.partition('/')
        first, _, last = (f'{low}-{high}' if span == '*' else span).partition('-')
        found |= set(range(int(first), int(last or first) + 1, int(step or 1)))
    return found


def next_due(schedule: str, after: float, zone: ZoneInfo) -> int:
    """Every minute of the world's time, one by one; what a clock that is put on leaves out is due when that is over."""
    minute, hour, day, month, weekday = schedule.split()
    minutes, hours, days, months = numbers(minute, 0, 59), numbers(hour, 0, 23), numbers(day, 1, 31), numbers(month, 1, 12)
    weekdays = {n % 7 for n in numbers(weekday, 0, 7)}
    either = day[0] != '*' and weekday[0] != '*'
    hourly = hours == set(range(24))

    def chosen(t: datetime) -> bool:
        in_month, in_week = t.day in days, t.isoweekday() % 7 in weekdays
        return (t.month in months and (in_month or in_week if either else in_month and in_week)
                and t.hour in hours and t.minute in minutes)

    def wall(when: int) -> datetime:
        return datetime.fromtimestamp(when, zone).replace(tzinfo=None, fold=0)

    when = int(after) // 60 * 60 + 60
    while True:
        now, before = wall(when), wall(when - 60)
        if chosen(now) and (hourly or now > max(wall(when - 60 * n) for n in range(1, 240))):
            return when
        while not hourly and (before := before + timedelta(minutes=1)) < now:
            if chosen(before):
                return when
        # On a day without change the clock shows what is chosen in the chosen hours alone.
        still = wall(when + DAY) - now == now - wall(when - DAY) == timedelta(days=1)
        when += 60 * (60 - now.minute) if still and now.hour not in hours else 60
