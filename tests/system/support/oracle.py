"""What is really there: a tree as a dictionary, by the system's own calls and hashlib. Nothing of cofre is used."""
from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

State = dict[bytes, dict[str, object]]

KINDS = {stat.S_IFREG: 'file', stat.S_IFDIR: 'directory', stat.S_IFLNK: 'symlink', stat.S_IFIFO: 'fifo',
         stat.S_IFCHR: 'character', stat.S_IFBLK: 'block', stat.S_IFSOCK: 'socket'}


def sha256(fd: int) -> str:
    digest = hashlib.sha256()
    while piece := os.read(fd, 1 << 20):
        digest.update(piece)
    return digest.hexdigest()


def attributes(place: bytes) -> dict[str, str]:
    return {name: os.getxattr(place, name, follow_symlinks=False).hex()
            for name in os.listxattr(place, follow_symlinks=False)}


def describe(name: bytes, directory: int, inodes: dict, path: bytes) -> dict[str, object]:
    st = os.stat(name, dir_fd=directory, follow_symlinks=False)
    kind = KINDS[stat.S_IFMT(st.st_mode)]
    # By descriptor and last component, since the whole path may be longer than PATH_MAX.
    place = b'/proc/self/fd/%d/%s' % (directory, name)
    state: dict[str, object] = {'kind': kind, 'mode': oct(stat.S_IMODE(st.st_mode)), 'owner': (st.st_uid, st.st_gid),
                                'mtime': st.st_mtime_ns, 'attributes': attributes(place)}
    if kind != 'directory' and st.st_nlink > 1:
        state['same as'] = inodes.setdefault((st.st_dev, st.st_ino), path)
    if kind == 'file':
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=directory)
        state |= {'size': st.st_size, 'sha256': sha256(fd)}
        os.close(fd)
    elif kind == 'symlink':
        state['target'] = os.readlink(name, dir_fd=directory)
    elif kind in ('character', 'block'):
        state['device'] = (os.major(st.st_rdev), os.minor(st.st_rdev))
    return state


def tree_state(path: Path | str) -> State:
    """Every entry below path, and path itself as b''. Sockets are left out: they mean nothing without their process."""
    root = os.fsencode(path)
    states: State = {}
    inodes: dict = {}

    def walk(directory: int, prefix: bytes) -> None:
        for name in sorted(os.listdir(b'/proc/self/fd/%d' % directory)):
            path = prefix + name
            states[path] = describe(name, directory, inodes, path)
            if states[path]['kind'] == 'directory':
                inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
                walk(inner, path + b'/')
                os.close(inner)

    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    walk(fd, b'')
    states[b''] = describe(b'.', fd, inodes, b'')
    os.close(fd)
    return {path: state for path, state in states.items() if state['kind'] != 'socket'}


def short(path: bytes) -> str:
    text = repr(path)
    return text if len(text) <= 200 else f'{text[:90]} ... {text[-90:]}'


def compare_trees(expected: State, found: State, ignore: tuple[str, ...] = ()) -> list[str]:
    """Every difference as a line; nothing = equal."""
    lines = [f'missing: {short(path)}' for path in sorted(expected.keys() - found.keys())]
    lines += [f'extra: {short(path)}' for path in sorted(found.keys() - expected.keys())]
    for path in sorted(expected.keys() & found.keys()):
        for what in sorted(expected[path].keys() | found[path].keys()):
            left, right = expected[path].get(what), found[path].get(what)
            if left != right and what not in ignore:
                lines.append(f'{short(path)}: {what} was {left!r}, is {right!r}')
    return lines


def assert_same_tree(expected: State | Path, found: Path, ignore: tuple[str, ...] = ()) -> None:
    before = expected if isinstance(expected, dict) else tree_state(expected)
    differences = compare_trees(before, tree_state(found), ignore)
    assert not differences, '\n'.join(differences[:40])


def contents(path: Path) -> dict[bytes, object]:
    """Only paths and bytes: for what was saved while it changed."""
    return {p: s.get('sha256', s['kind']) for p, s in tree_state(path).items()}


def stored_bytes(path: Path) -> int:
    return os.lstat(path).st_blocks * 512
