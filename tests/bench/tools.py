"""The programs that run side by side: each makes a repository, saves a tree, restores the last snapshot, and gives back the space of
old ones."""
from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

CONF = '''[engine]
state_dir = {work}/state
cache_dir = {work}/cache

[source tree]
plugin = directory
path   = {tree}

[sink disk]
plugin = local
path   = {work}/repository
key    = {work}/keys/full.key

[job bench]
sources = tree
sinks   = disk
'''


class Tool:
    name = ''

    def __init__(self, work: Path, tree: Path) -> None:
        self.work, self.tree = work / self.name, tree
        self.repository = self.work / 'repository'
        self.env = {'PATH': os.environ['PATH'], 'HOME': str(self.work), 'LANG': 'C.UTF-8'}

    def fresh(self) -> None:
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True, mode=0o700)
        self.make()

    def call(self, *command: object) -> None:
        subprocess.run([str(word) for word in command], env=self.env, check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    def version(self) -> str:
        return subprocess.run(self.version_command(), capture_output=True, text=True, check=True).stdout.split('\n')[0]

    def size(self) -> int:
        return sum(os.lstat(os.path.join(d, f)).st_size for d, _, files in os.walk(self.repository) for f in files)

    def version_command(self) -> list[str]:
        raise NotImplementedError

    def make(self) -> None:
        raise NotImplementedError

    def save(self) -> list[str]:
        raise NotImplementedError

    def restore(self, into: Path) -> list[str]:
        raise NotImplementedError

    def keep(self, kept: int) -> None:
        """So many are going to stay, the newest: said before the first is saved, where a program wants to know."""

    def prune(self, kept: int) -> list[list[str]]:
        """What leaves so many, the newest, and gives back the space of the others."""
        raise NotImplementedError


class Restic(Tool):
    name = 'restic'

    def __init__(self, work: Path, tree: Path) -> None:
        super().__init__(work, tree)
        self.env |= {'RESTIC_PASSWORD': 'bench', 'RESTIC_REPOSITORY': str(self.repository),
                     'RESTIC_CACHE_DIR': str(self.work / 'cache')}

    def version_command(self) -> list[str]:
        return ['restic', 'version']

    def make(self) -> None:
        self.call('restic', 'init')

    def save(self) -> list[str]:
        return ['restic', 'backup', '-q', str(self.tree)]

    def restore(self, into: Path) -> list[str]:
        return ['restic', 'restore', '-q', 'latest', '--target', str(into)]

    def prune(self, kept: int) -> list[list[str]]:
        return [['restic', 'forget', '-q', '--keep-last', str(kept), '--prune']]


class Borg(Tool):
    name = 'borg'

    def __init__(self, work: Path, tree: Path) -> None:
        super().__init__(work, tree)
        self.env |= {'BORG_PASSPHRASE': 'bench', 'BORG_REPO': str(self.repository), 'BORG_BASE_DIR': str(self.work),
                     'BORG_RELOCATED_REPO_ACCESS_IS_OK': 'yes'}
        self.saved = 0

    def version_command(self) -> list[str]:
        return ['borg', '--version']

    def make(self) -> None:
        self.saved = 0
        self.call('borg', 'init', '-e', 'repokey-blake2')

    def save(self) -> list[str]:
        self.saved += 1
        return ['borg', 'create', '--compression', 'zstd,3', f'::{self.saved}', str(self.tree)]

    def restore(self, into: Path) -> list[str]:
        into.mkdir()
        return ['sh', '-c', f'cd "$0" && exec borg extract ::{self.saved}', str(into)]

    def prune(self, kept: int) -> list[list[str]]:
        return [['borg', 'prune', '--keep-last', str(kept)], ['borg', 'compact']]


class Cofre(Tool):
    name = 'cofre'
    binary = ''

    def version_command(self) -> list[str]:
        return [self.binary, '--version']

    def command(self, *words: str) -> list[str]:
        return [self.binary, '--config-dir', str(self.work / 'conf.d'), *words]

    def make(self) -> None:
        for name in ('conf.d', 'keys'):
            (self.work / name).mkdir(mode=0o700)
        conf = self.work / 'conf.d' / 'bench.conf'
        conf.write_text(CONF.format(work=self.work, tree=self.tree))
        conf.chmod(0o600)
        self.call(*self.command('init', 'disk'))

    def save(self) -> list[str]:
        return self.command('-q', 'run', 'bench')

    def restore(self, into: Path) -> list[str]:
        return self.command('-q', 'restore', 'bench', '--into', str(into))

    def keep(self, kept: int) -> None:
        conf = self.work / 'conf.d' / 'bench.conf'
        conf.write_text(conf.read_text() + f'prune = manual\nkeep_min = 1\nkeep_last = {kept}\n')

    def prune(self, kept: int) -> list[list[str]]:
        """Nobody else writes there, so nothing has to wait for a day."""
        return [self.command('-q', 'prune', 'bench', '--yes'), self.command('-q', 'gc', '--now', '--yes')]
