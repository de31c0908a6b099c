"""A history of which prune removes a part and gc the rest, in any kind of place, and what must hold after whatever befell them.

Of five snapshots two are kept. Packs of those that go are needed in whole, in part and not at all.
"""
from __future__ import annotations

import os
import random
import shutil
import threading
import time
from pathlib import Path

from .bad_s3 import ACCESS, REGION, SECRET, BadS3
from .cli import World
from .decoder import Repository, restore
from .oracle import assert_same_tree, tree_state
from .rsync import Sshd
from .s3 import BucketStore, Client
from .tree import plain_tree

DAY = 86400
KEPT = 2
MIB = 1 << 20
TEXT = b'so it goes on and on, and needs no room\n' * (5 * MIB // 80)  # 2.5 MiB: more than a chunk can have
ROUNDS = 6  # of gc, after which nothing may be left


# ---- places: keep, reset, age, copy_to ----------------------------------------------------------------------------------

class Directory:
    def __init__(self, root: Path) -> None:
        self.root = root

    def options(self) -> dict[str, object]:
        return {'plugin': 'local', 'path': self.root}

    def settle(self) -> None:
        """Until nobody works there any more."""

    def debris(self) -> list[str]:
        """What was begun and has no name yet."""
        return [path.name for path in (self.root / '.tmp').glob('*')]

    def keep(self, name: str) -> None:
        shutil.rmtree(self.root.with_name(name), ignore_errors=True)
        shutil.copytree(self.root, self.root.with_name(name))

    def reset(self, name: str) -> None:
        self.settle()
        shutil.rmtree(self.root)
        shutil.copytree(self.root.with_name(name), self.root)

    def age(self, prefix: str = '', days: float = 3) -> None:
        """As if all objects below had been stored so many days earlier."""
        age(self.root / prefix, days)

    def copy_to(self, directory: Path) -> None:
        self.settle()
        shutil.copytree(self.root, directory, ignore=shutil.ignore_patterns('~cofre', '.tmp'))

    def objects(self) -> dict[str, bytes]:
        return {str(path.relative_to(self.root)): path.read_bytes() for path in self.root.rglob('*') if path.is_file()}

    def put(self, key: str, content: bytes) -> None:
        """Other bytes, at the same time; a new one is old."""
        path = self.root / key
        when = path.stat().st_mtime if path.exists() else time.time() - 3 * DAY
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_bytes(content)
        os.utime(path, (when, when))

    def remove(self, key: str) -> None:
        (self.root / key).unlink()


class Far(Directory):
    """Behind ssh. The other side goes on for a moment when this one is killed."""

    def __init__(self, root: Path, sshd: Sshd) -> None:
        super().__init__(root)
        self.sshd = sshd

    def options(self) -> dict[str, object]:
        return self.sshd.options(self.root)

    def debris(self) -> list[str]:
        """Whether somebody still sends, nobody knows there before a day is over."""
        return []

    def settle(self) -> None:
        process = self.sshd.process.pid
        wait_until(lambda: not Path(f'/proc/{process}/task/{process}/children').read_text().split())


class Bucket:
    """In a store whose clock can be set."""

    def __init__(self, base: Path) -> None:
        self.quiet = threading.active_count()
        self.server = BadS3()
        self.store = self.server.store
        self.base, self.kept = base, {}

    def options(self) -> dict[str, object]:
        client = Client(self.server.endpoint, ACCESS, SECRET, REGION)
        return BucketStore(client, 'bucket', self.base).options() | {'region': REGION}

    def debris(self) -> list[str]:
        """One of these is as old as a day before it counts as left."""
        return []

    def settle(self) -> None:
        """One thread serves, and one more each connection."""
        wait_until(lambda: threading.active_count() <= self.quiet + 1)

    def keep(self, name: str) -> None:
        self.kept[name] = dict(self.store.objects), dict(self.store.times)

    def reset(self, name: str) -> None:
        self.settle()
        self.store.objects, self.store.times = map(dict, self.kept[name])
        self.store.seen.clear()
        self.store.got.clear()

    def age(self, prefix: str = '', days: float = 3) -> None:
        for key in self.store.objects:
            if key.startswith(prefix):
                self.store.times[key] -= days * DAY

    def copy_to(self, directory: Path) -> None:
        self.settle()
        for key, content in self.store.objects.items():
            path = directory / key
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.write_bytes(content)
            os.utime(path, (self.store.times[key],) * 2)

    def objects(self) -> dict[str, bytes]:
        return dict(self.store.objects)

    def put(self, key: str, content: bytes) -> None:
        self.store.objects[key] = content
        self.store.times.setdefault(key, time.time() - 3 * DAY)

    def remove(self, key: str) -> None:
        del self.store.objects[key]


def age(root: Path, days: float = 3) -> None:
    for path in root.rglob('*'):
        if path.is_file():
            when = path.stat().st_mtime - days * DAY
            os.utime(path, (when, when))


def wait_until(done, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until, f'not quiet after {seconds} s'
        time.sleep(0.002)


# ---- the history --------------------------------------------------------------------------------------------------------

class Removal:
    """All that this machine and the place hold, and how it is put back to where it was kept."""

    def __init__(self, world: World, place) -> None:
        self.world, self.place, self.states = world, place, {}
        self.own = [world.base / 'state', world.base / 'cache']

    def make(self) -> Removal:
        world, tree, random_bytes = self.world, self.world.base / 'tree', random.Random(5).randbytes
        world.source('tree', plain_tree(tree, files=3))
        self.sink()
        world.job(keep_last=KEPT, keep_min=1, prune='manual')
        world.ok('init', 'disk')
        # Files are laid end to end, in the order of their names: so much text behind it parts what changes from what stays.
        (tree / 'stays').write_bytes(random_bytes(60_000) + TEXT[:MIB])
        for number in range(KEPT + 3):
            (tree / 'changes').write_bytes(random_bytes(90_000) + TEXT)
            if number == 2:
                (tree / 'stays-from-then-on').write_bytes(random_bytes(40_000) + TEXT[:MIB])
            world.ok('run', 'job')
            newest = world.snapshots()[-1]
            self.states[newest] = tree_state(tree)
        self.kept = sorted(self.states)[-KEPT:]
        self.place.age()
        self.keep('made')
        return self

    def sink(self, **options: object) -> None:
        self.world.section('sink disk', **self.place.options() | {'key': self.world.key} | options)

    def keep(self, name: str) -> None:
        self.place.keep(f'kept-{name}')
        for part in self.own:
            shutil.rmtree(part.with_name(f'{name}-{part.name}'), ignore_errors=True)
            shutil.copytree(part, part.with_name(f'{name}-{part.name}'))

    def reset(self, name: str) -> None:
        self.place.reset(f'kept-{name}')
        for part in self.own:
            shutil.rmtree(part)
            shutil.copytree(part.with_name(f'{name}-{part.name}'), part)

    # ---- what was done up to the moment that is looked at

    def pruned(self) -> None:
        """Old enough, too, for what nobody needs to be planned."""
        self.world.ok('prune', '--yes')
        self.place.age()

    def planned(self) -> None:
        self.pruned()
        self.world.ok('gc')
        self.place.age()

    # ---- what must hold

    def elsewhere(self) -> Removal:
        """A copy of the place as a directory, and a machine that has the key and knows nothing."""
        base = self.world.base / 'elsewhere'
        shutil.rmtree(base, ignore_errors=True)
        base.mkdir(mode=0o700)
        world = World(base, self.world.binary)
        world.key = self.world.key
        world.source('tree', base / 'tree')
        world.sink()
        world.job(keep_last=KEPT, keep_min=1, prune='manual')
        self.place.copy_to(world.repository)
        copy = Removal(world, Directory(world.repository))
        copy.states, copy.kept = self.states, self.kept
        return copy

    def check_kept(self) -> None:
        """Every snapshot that is kept restores as it was: by the reference decoder, and of a directory."""
        repository = Repository(str(self.world.repository), str(self.world.key), True)
        for snapshot in self.kept:
            into = self.world.base / 'decoded'
            restore(repository, f'testhost/job/{snapshot}', str(into), None)
            assert_same_tree(self.states[snapshot], into / 'tree')
            shutil.rmtree(into)

    def check_restores(self, number: int) -> None:
        """Here, with all that this machine remembers, one of those that are kept."""
        into, snapshot = self.world.base / 'into', self.kept[number % KEPT]
        shutil.rmtree(into, ignore_errors=True)
        self.world.ok('restore', f'job@{snapshot}', '--into', into)
        assert_same_tree(self.states[snapshot], into / 'tree')

    def check_whole(self) -> None:
        said = self.world.ok('verify', '--all')
        assert 'belong to no snapshot' not in said.text, said

    def gc(self, *words: str) -> dict:
        result = self.world.ok('--json', 'gc', *words)
        return {row['host']: row for row in result.json() if row['type'] == 'garbage'}['testhost']

    def names(self, prefix: str) -> list[str]:
        return sorted(path.name for path in (self.world.repository / prefix).rglob('*') if path.is_file())

    def check_names(self) -> None:
        """What is kept is there, with its needs; and nothing else. Needs that were written anew have a name behind the snapshot's."""
        assert self.names('snapshots') == [name.split('.')[0] for name in self.names('needs')] == self.kept

    def check_collected(self) -> None:
        """Some rounds of gc, and there is nothing but what is needed. Of a directory."""
        for _ in range(ROUNDS):
            found = self.gc('--now', '--yes')
            if not any(found[what]['objects'] for what in ('young', 'planned', 'fresh', 'removed')):
                break
        else:
            raise AssertionError(f'after {ROUNDS} rounds gc is not at an end: {found}')
        age(self.world.repository / 'plans')  # one of which nothing is left stays for a day
        self.gc('--now', '--yes')
        assert self.names('plans') == [], found
        self.check_names()
        assert found['needed']['objects'] == len(self.names('packs')) > 0, found
        self.check_whole()
        self.check_kept()
