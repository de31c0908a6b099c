"""A bare Debian of its own, made with mmdebstrap: what apt needs and nothing more. Needs root, and the packages of the
suite from wherever this machine's apt has its own."""
from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

TOP = Path(__file__).resolve().parents[3]

# In namespaces of its own, so that nothing stays mounted, and no agent running.
ENTER = '''
mount --rbind /dev "$0/dev"
mount -t proc proc "$0/proc"
exec chroot "$0" sh -euc "$1"
'''
ENVIRONMENT = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'HOME': '/root', 'LANG': 'C.UTF-8', 'DEBIAN_FRONTEND': 'noninteractive'}
ENVIRONMENT |= {name: value for name, value in os.environ.items() if name.endswith('_proxy')}


def lines(*command: str) -> list[str]:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def apt_sources(suite: str) -> list[str]:
    """This machine's, for another suite."""
    own = next(line.partition('=')[2] for line in Path('/etc/os-release').read_text().splitlines()
               if line.startswith('VERSION_CODENAME='))
    rows = lines('apt-get', 'indextargets', '--format', '$(SITE) $(RELEASE) $(COMPONENT)', 'Created-By: Packages')
    found = []
    for site, release, component in map(str.split, rows):
        if release in (own, f'{own}-updates', f'{own}-security') and component == 'main':
            found.append(f'deb {site} {release.replace(own, suite, 1)} main')
    assert found, f'apt of this machine has no source for {own}'
    return found


def apt_options() -> list[str]:
    """How this machine reaches its sources: proxies, timeouts and the like."""
    wanted = ('Acquire::http', 'Acquire::https', 'Acquire::Retries', 'Acquire::Check-Valid-Until')
    return [f'--aptopt={line}' for line in lines('apt-config', 'dump', 'Acquire')
            if line.startswith(wanted) and not line.endswith(' "";')]


class Bare:
    def __init__(self, root: Path, suite: str) -> None:
        self.root = root
        # What it installs, now and later, need not outlive this machine's power.
        words = ['mmdebstrap', '--mode=root', '--variant=apt', '--dpkgopt=force-unsafe-io', *apt_options(), suite, root, '-']
        done = subprocess.run(words, text=True, input='\n'.join(apt_sources(suite)), capture_output=True, check=False)
        assert done.returncode == 0, done.stderr

    def put_project(self, place: str) -> None:
        """The project's files, without what was built."""
        shutil.copytree(TOP, self.root / place, symlinks=True,
                        ignore=shutil.ignore_patterns('build', '.git', '__pycache__', '.cache'))

    def __call__(self, script: str, timeout: float = 3600) -> str:
        """What it prints. A question is answered with yes."""
        words = ['unshare', '--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child', 'sh', '-euc', ENTER]
        done = subprocess.run([*words, self.root, script], env=ENVIRONMENT, input='y\n' * 10, capture_output=True, text=True,
                              timeout=timeout, check=False)
        assert done.returncode == 0, f'{script}\nstatus {done.returncode}\n{done.stdout[-8000:]}{done.stderr[-8000:]}'
        return done.stdout + done.stderr

    def remove(self) -> None:
        shutil.rmtree(self.root)
