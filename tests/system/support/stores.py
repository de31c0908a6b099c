"""Where the sink under test keeps its objects, seen past cofre: what is there, what it says, and how to damage it.

A test marked `every_sink` runs once for each row of STORES, with `world.store` being that one; with sweep=True all but the
local one are among the long tests. Every other test has the local one. An object is a Path, or something with the few
methods of one that are used here: name, read_bytes, write_bytes, unlink, exists, stat().st_size.
"""
from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

from .ceph import ACCESS, SECRET
from .s3 import BucketStore, Client


class DirectoryStore:
    """Objects are files below a directory of this machine, under their keys: the sink `local`, and whatever leads there."""

    def __init__(self, root: Path, **options: object) -> None:
        self.root, self.extra = Path(root), options or {'plugin': 'local', 'path': root}

    def options(self) -> dict[str, object]:
        """Of a sink's section, less key and encryption."""
        return dict(self.extra)

    def object(self, key: str):
        return self.root / key

    def objects(self, kind: str = '') -> list:
        """All whose key begins with kind, in their order."""
        found = (Path(d) / f for d, _, files in os.walk(self.root) for f in files if not d.endswith('/.tmp'))
        return sorted(p for p in found if str(p.relative_to(self.root)).startswith(kind))

    def keep(self) -> None:
        """Remember the state, for reset."""
        shutil.copytree(self.root, self.kept)

    def reset(self) -> None:
        shutil.rmtree(self.root)
        shutil.copytree(self.kept, self.root)

    @property
    def kept(self) -> Path:
        return self.root.with_name(self.root.name + '.kept')

    def as_directory(self) -> Path:
        """The objects as files, for tools that can read nothing else."""
        return self.root


def local(request, base: Path) -> DirectoryStore:
    del request
    return DirectoryStore(base / 'repository')


def s3(request, base: Path) -> BucketStore:
    """A bucket of its own in a Ceph that all tests share. cofre init makes the bucket."""
    ceph = request.getfixturevalue('ceph')
    return BucketStore(Client(ceph.endpoint, ACCESS, SECRET), f'bucket-{uuid.uuid4().hex[:12]}', base)


# Name to a function of (pytest's request, the test's directory) that gives a store of its own to each test. A server is
# a session fixture, got with request.getfixturevalue.
STORES: dict[str, Callable] = {'local': local, 's3': s3}

# Stores where each command takes long: by default they have the tests marked `every_sink(slow=True)` alone, in the long run all.
SLOW: set[str] = set()
