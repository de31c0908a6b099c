"""What packaging/ has is what those who read it understand."""
import re
import subprocess
from pathlib import Path

from support.cli import CLEAN
from support.tree import plain_tree

TOP = Path(__file__).resolve().parents[2]
PACKAGING = TOP / 'packaging'
UNITS = sorted(path.name for path in PACKAGING.glob('cofre-*.*'))


def commands() -> list[list[str]]:
    """Whatever they call cofre with."""
    compose = (PACKAGING / 'compose.yaml').read_text()
    found = [re.search(r'^ +command: \[(.*)\]$', compose, re.M)[1].split(', '), re.search(r'^ +test: \[CMD, (.*)\]$', compose, re.M)[1].split(', ')]
    found += [line.split() for path in PACKAGING.glob('*.service') for line in re.findall(r'^ExecStart=(.*)$', path.read_text(), re.M)]
    return found + [re.fullmatch(r'\*/5 \* \* \* \* root (.*)', (PACKAGING / 'cofre.cron').read_text().splitlines()[-1])[1].split()]


def test_units(tmp_path, binary):
    """As systemd reads them where cofre is installed."""
    for name in UNITS:
        text = (PACKAGING / name).read_text().replace('ExecStart=cofre', f'ExecStart={binary}')
        (tmp_path / name).write_text(text)
    done = subprocess.run(['systemd-analyze', 'verify', '--man=no', *(tmp_path / name for name in UNITS)], env=CLEAN, capture_output=True,
                          text=True, timeout=60, check=False)
    ours = [line for line in done.stderr.splitlines() if 'cofre' in line]
    assert ours == [], done.stderr
    assert [name for name in UNITS if name.endswith('.service')] == ['cofre-daemon.service', 'cofre-due.service']
    for name in ('cofre-daemon.service', 'cofre-due.service'):
        assert 'KillMode=mixed' in (PACKAGING / name).read_text(), 'a child that gets two signals does not clean up'


def test_both_services_are_hardened_alike():
    def after(name: str) -> list[str]:
        text = (PACKAGING / name).read_text()
        return sorted(line for line in text.splitlines() if re.match(r'Protect|Restrict|No|Lock|System|Read|UMask|Nice|IO|Kill|TimeoutStop', line)
                      if not line.startswith('RestartSec'))
    assert after('cofre-due.service') == after('cofre-daemon.service')


def test_they_call_what_there_is(world, tmp_path):
    world.simple(plain_tree(tmp_path / 'tree', files=2))
    found = commands()
    assert len(found) == 5 and all(words[0] == 'cofre' for words in found)
    for words in found:
        if words[-1] != 'daemon':
            world.ok(*words[1:])
    assert ['cofre', 'daemon'] in found
