"""What somebody sees who runs cofre by hand: a line of progress that is drawn again and again, and is gone in the end."""
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading

import pytest

from support.cli import CLEAN

PROGRESS = re.compile(r'\[[#.]{20}\]|  \d+ entries|B/s')


class Terminal:
    """As wide as it is told to be. shown: what stood in the last line whenever it was drawn; screen: what is left in the end."""

    def __init__(self, columns: int) -> None:
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack('HHHH', 24, columns, 0, 0))
        self.said = b''

    def run(self, command: list[str]) -> int:
        """Its status. Only its standard error is the terminal."""
        process = subprocess.Popen(command, env=CLEAN, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.slave)
        os.close(self.slave)
        reader = threading.Thread(target=self.read)
        reader.start()
        status = process.wait(timeout=120)
        reader.join()
        os.close(self.master)
        return status

    def read(self) -> None:
        try:
            while piece := os.read(self.master, 65536):
                self.said += piece
        except OSError:
            pass  # nobody has the other end any more

    @property
    def shown(self) -> list[str]:
        return [one for one in re.findall(r'\r([^\r\n\x1b]+)\x1b\[K', self.said.decode())]

    @property
    def screen(self) -> list[str]:
        lines = []
        for line in self.said.decode().replace('\r\n', '\n').split('\n'):
            cells = ''
            for part in re.split(r'(\r|\x1b\[K)', line):
                at = 0 if part == '\r' else at if part == '\x1b[K' else len(cells)
                cells = cells[:at] if part in ('\r', '\x1b[K') else cells[:at] + part
            lines.append(cells)
        return lines


@pytest.fixture
def large(world, tmp_path):
    built = world.binary.parent
    world.section('engine', state_dir=tmp_path / 'state', cache_dir=tmp_path / 'cache', host='testhost',
                  plugin_dir=f'{built / "plugins"}, {built / "tests" / "plugins"}')
    world.section('source memory', plugin='memory-source', streams='a.dump, b.dump', size='150000000')
    world.sink()
    world.job(sources='memory')
    world.ok('init', 'disk')
    return world


@pytest.mark.parametrize('columns', [100, 30])
def test_progress_is_shown_and_goes(large, columns):
    terminal = Terminal(columns)
    assert terminal.run(large.command('run', 'job')) == 0, terminal.said
    assert terminal.shown and all(len(line) < columns for line in terminal.shown), terminal.shown
    assert any(re.search(r'\d+(\.\d)? [KMG]iB', line) for line in terminal.shown), terminal.shown
    # A line of the log takes its place, and it comes back below.
    assert not any(PROGRESS.search(line) for line in terminal.screen), terminal.screen
    assert any('committed job@' in line for line in terminal.screen), terminal.screen


def test_progress_of_what_is_known_in_advance(large, tmp_path):
    large.ok('run', 'job')
    terminal = Terminal(100)
    assert terminal.run(large.command('restore', 'job', '--into', tmp_path / 'into')) == 0, terminal.said
    assert any(re.search(r'\[[#.]{20}\] +\d+%  .* of ', line) for line in terminal.shown), terminal.shown
    assert not any(PROGRESS.search(line) for line in terminal.screen), terminal.screen


def test_quiet_draws_nothing(large):
    terminal = Terminal(100)
    assert terminal.run(large.command('--quiet', 'run', 'job')) == 0 and terminal.said == b''
