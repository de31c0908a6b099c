"""Who is told what."""
from __future__ import annotations

import json
from pathlib import Path


class Told:
    """A program that is told, and what it was."""

    def __init__(self, world, base: Path, name: str = 'ops', **options) -> None:
        self.world, self.name, self.log, self.program = world, name, base / f'{name}.told', base / f'{name}.sh'
        self.does('exit 0')
        world.section(f'notify {name}', **{'plugin': 'command', 'program': self.program, 'retry_for': 0} | options)

    def does(self, then: str, before: str = '') -> None:
        """Keep the event as a line of the log, between these commands: in one write, so that a kill leaves all of it or nothing."""
        self.program.write_text(f'#!/bin/sh\n{before}\nprintf "%s\\n" "$(cat)" >> {self.log}\n{then}\n')
        self.program.chmod(0o755)

    def events(self) -> list[dict]:
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    @property
    def names(self) -> list[str]:
        return [one['event'].upper() if one['reminder'] else one['event'] for one in self.events()]
