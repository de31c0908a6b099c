"""The records that attempts leave, read, written and checked without cofre."""
from __future__ import annotations

import hashlib
import json
from datetime import datetime, timezone
from pathlib import Path


def place(world, job: str | None = None, sink: str | None = None) -> Path:
    return world.base / 'state' / ('jobs' if job else 'sinks') / (job or sink) / 'records'


def records(world, job: str | None = 'job', sink: str | None = None) -> list[dict]:
    """Those of a job, or, with job=None, of a sink; the chain is whole."""
    path = place(world, job, sink)
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    previous = json.loads(lines[0])['previous'] if lines else None
    for line in lines:
        one = json.loads(line)
        assert line.endswith(b'\n') and list(one)[0] == 'id' and list(one)[-1] == 'previous' and one['previous'] == previous, one
        previous = hashlib.sha256(line).hexdigest()
    return [json.loads(line) for line in lines]


def open_attempts(world, job: str = 'job') -> list[Path]:
    return sorted((place(world, job).parent / 'attempts').glob('*'))


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), timezone.utc).strftime('%Y-%m-%dT%H:%M:%S.000000000Z')


def history(until: float, used, space: int, days: int = 30, sinks: tuple[str, ...] = ('disk',), unit: int = 1 << 30, **more) -> list[dict]:
    """A run a day, the last at `until`: its snapshot is complete, and used(day) units of space are in use after it."""
    made = []
    for day in range(days):
        at = until - (days - 1 - day) * 86400
        rows = [{'name': sink, 'plugin': 'local', 'committed': True, 'added': 5, 'space': space * unit, 'available': (space - used(day)) * unit,
                 'warning': None, 'error': None} for sink in sinks]
        made.append({'id': f'cofre-day{day:03}', 'started': moment(at - 60), 'ended': moment(at), 'status': 'complete',
                     'snapshot': datetime.fromtimestamp(int(at) - 60, timezone.utc).strftime('%Y%m%dT%H%M%SZ-ab12cd'), 'snapshot_status': 'complete',
                     'snapshot_started': moment(at - 60), 'bytes': 5, 'entries': 5, 'elapsed': 60.0, 'sinks': rows} | more)
    return made


def write(path: Path, made: list[dict], before: bytes | None = None) -> None:
    """A file of records; each gets what all have."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.parent.parent.chmod(0o700)
    previous = before and hashlib.sha256(before).hexdigest()
    with path.open('wb') as file:
        for number, one in enumerate(made):
            whole = {'id': f'cofre-{number:09d}', 'command': 'run', 'job': path.parent.name, 'sink': None, 'host': 'testhost',
                     'version': '0.1.0', 'elapsed': 1.5, 'exit': 0, 'error': None} | one | {'previous': previous}
            line = json.dumps(whole, separators=(',', ':')).encode() + b'\n'
            file.write(line)
            previous = hashlib.sha256(line).hexdigest()
    path.chmod(0o600)
