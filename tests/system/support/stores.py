"""Where the sink under test keeps its objects, seen past cofre: what is there, what it says, and how to damage it.

A test marked `every_sink` runs once for each row of STORES, with `world.store` being that one; with sweep=True all but the
local one are among the long tests. Every other test has the local one. An object is a Path, or something with the few
methods of one that are used here: name, read_bytes, write_bytes, unlink, exists, stat().st_size.
"""
from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

from .ceph import ACCESS, SECRET
from .directory_store import DirectoryStore
from .rsync import from_daemon, through_ssh
from .s3 import BucketStore, Client


def local(request, base: Path) -> DirectoryStore:
    del request
    return DirectoryStore(base / 'repository')


def s3(request, base: Path) -> BucketStore:
    """A bucket of its own in a Ceph that all tests share. cofre init makes the bucket."""
    ceph = request.getfixturevalue('ceph')
    return BucketStore(Client(ceph.endpoint, ACCESS, SECRET), f'bucket-{uuid.uuid4().hex[:12]}', base)


# Name to a function of (pytest's request, the test's directory) that gives a store of its own to each test. A server is
# a session fixture, got with request.getfixturevalue.
STORES: dict[str, Callable] = {'local': local, 's3': s3, 'rsync-ssh': through_ssh, 'rsync-daemon': from_daemon}

# Stores where each command takes long: by default they have the tests marked `every_sink(slow=True)` alone, in the long run all.
SLOW = {'rsync-ssh', 'rsync-daemon'}
