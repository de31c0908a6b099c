"""What `cofre due` remembers, read and changed without cofre."""
from __future__ import annotations

import json
from datetime import datetime, timedelta

from .records import moment


def marks(world) -> dict:
    return json.loads((world.base / 'state' / 'due').read_text())


def age(world, days: float) -> None:
    """As if every thing, and the last look, had been noted so many days earlier."""
    path = world.base / 'state' / 'due'
    if not path.exists():
        world.ok('due')
    kept = marks(world)

    def earlier(text: str) -> str:
        return moment((datetime.fromisoformat(text[:19] + '+00:00') - timedelta(days=days)).timestamp())
    kept['looked'] = earlier(kept['looked'])
    for mark in kept['things'].values():
        mark['since'] = earlier(mark['since'])
    path.write_text(json.dumps(kept))


def due(world, *words) -> dict[str, dict]:
    """What is said to be due: "run job" and the like to what is said of it."""
    rows = world.ok('--json', 'due', '--dry-run', *words).json()
    return {f"{row['what']} {row['job'] or row['sink']}": row for row in rows if row['type'] == 'due'}
