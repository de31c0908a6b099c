"""Trees to be saved: a small plain one, and one with everything that a Linux file system can hold."""
from __future__ import annotations

import os
import random
import socket
import stat
import struct
import subprocess
from pathlib import Path

OLD = 1_400_000_000_123_456_789
ODD_NAMES = [b' leading blank', b'trailing blank ', b'-rf', b'--', b'new\nline', b'tab\there', b'quo"te', b"apos'trophe",
             b'back\\slash', b'semi;colon', b'$(reboot)', b'`reboot`', b'%s%n', b'latin-\xe9\xff', b'\xf0\x9f\x92\xbe',
             b'esc\x1b[31m', b'*', b'?', b'[a]', b'...', b'~', b'#hash', b'a' * 255, b'\x01\x7f',
             'combining-e\u0301'.encode(), 'composed-\u00e9'.encode()]


def plain_tree(path: Path, seed: int = 1, files: int = 30) -> Path:
    """Regular files in a few directories: compressible, incompressible, empty, equal ones."""
    rng = random.Random(seed)
    path = Path(path)
    path.mkdir(parents=True)
    for i in range(files):
        directory = path / f'd{i % 4}' / f'e{i % 3}'
        directory.mkdir(parents=True, exist_ok=True)
        size = rng.choice([0, 1, 100, 5000, 70_000, 300_000])
        content = rng.randbytes(size) if i % 2 else (b'line %d\n' % (i % 5)) * (size // 8)
        (directory / f'file{i}').write_bytes(content)
        os.utime(directory / f'file{i}', ns=(OLD, OLD + i * 1_000_000_007))
    return path


def make_tree(path: Path, seed: int = 1, deep: bool = True) -> Path:
    """All kinds, modes, owners, times, names and attributes. Needs root. Nothing in it is random but the contents.
    deep: also paths that are longer than PATH_MAX."""
    path = Path(path)
    plain_tree(path, seed)
    root = os.fsencode(path)
    for part in (kinds, modes_and_owners, odd_names, links, holes, attributes, times) + (deep_path,) * deep:
        directory = os.path.join(root, part.__name__.encode())
        os.mkdir(directory)
        part(directory, random.Random(seed))
    os.utime(path, ns=(OLD, OLD + 1))
    return path


def write(path: bytes, content: bytes = b'content') -> bytes:
    with open(path, 'wb') as file:
        file.write(content)
    return path


def kinds(d: bytes, rng: random.Random) -> None:
    write(d + b'/regular', rng.randbytes(3_000_000))
    write(d + b'/empty', b'')
    os.mkdir(d + b'/empty directory')
    os.symlink(b'regular', d + b'/symlink')
    os.symlink(b'/nowhere/at all', d + b'/dangling')
    os.symlink(b'x' * 4000, d + b'/long target')
    os.symlink(b'..', d + b'/to parent')
    os.mkfifo(d + b'/fifo', 0o640)
    os.mknod(d + b'/character', stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(d + b'/block', stat.S_IFBLK | 0o660, os.makedev(7, 200))
    # A path longer than a socket address allows is reached from the directory itself.
    fd = os.open(d, os.O_RDONLY | os.O_DIRECTORY)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(b'/proc/self/fd/%d/socket' % fd)
    os.close(fd)


def modes_and_owners(d: bytes, _: random.Random) -> None:
    for mode in (0o000, 0o400, 0o644, 0o777, 0o4755, 0o2755, 0o1644, 0o7777):
        path = write(d + b'/file %04o' % mode)
        os.chown(path, 12345, 54321)
        os.chmod(path, mode)
        directory = d + b'/directory %04o' % mode
        os.mkdir(directory)
        write(directory + b'/inside')
        os.chown(directory, 0, 33)
        os.chmod(directory, mode)
    os.symlink(b'file 0644', d + b'/symlink')
    os.chown(d + b'/symlink', 1, 2, follow_symlinks=False)
    write(d + b'/large ids')
    os.chown(d + b'/large ids', 4_000_000_000, 4_000_000_001)


def odd_names(d: bytes, _: random.Random) -> None:
    for name in ODD_NAMES:
        write(d + b'/' + name, name)
    os.mkdir(d + b'/dir\n\xff')
    write(d + b'/dir\n\xff/inside')
    # Path order is not string order: '/' counts as byte 0.
    for name in (b'a', b'a!', b'a.b', b'a0'):
        os.mkdir(d + b'/order-' + name)
        write(d + b'/order-' + name + b'/z')


def links(d: bytes, rng: random.Random) -> None:
    write(d + b'/m first', rng.randbytes(100_000))
    os.link(d + b'/m first', d + b'/z second')
    os.mkdir(d + b'/a')
    os.link(d + b'/m first', d + b'/a/third')
    os.mkfifo(d + b'/fifo')
    os.link(d + b'/fifo', d + b'/fifo again')
    os.symlink(b'target', d + b'/symlink')
    os.link(d + b'/symlink', d + b'/symlink again', follow_symlinks=False)


def holes(d: bytes, rng: random.Random) -> None:
    with open(d + b'/all hole', 'wb') as file:
        file.truncate(50_000_000)
    with open(d + b'/holes between', 'wb') as file:
        for i in range(4):
            file.seek(i * 5_000_000 + 4096 * i)
            file.write(rng.randbytes(8192))
        file.truncate(30_000_000)
    write(d + b'/zeros that are stored', bytes(1_000_000))


def acl(*entries: tuple[int, int, int]) -> bytes:
    return struct.pack('<I', 2) + b''.join(struct.pack('<HHI', *entry) for entry in entries)


def attributes(d: bytes, rng: random.Random) -> None:
    nobody = 0xFFFFFFFF
    path = write(d + b'/user attributes')
    os.setxattr(path, b'user.text', b'value')
    os.setxattr(path, b'user.empty', b'')
    os.setxattr(path, b'user.binary', rng.randbytes(1000))
    os.setxattr(path, b'trusted.secret', b'\x00\xff')
    list_ = acl((1, 6, nobody), (2, 4, 4242), (4, 4, nobody), (16, 4, nobody), (32, 0, nobody))
    os.setxattr(write(d + b'/access list'), b'system.posix_acl_access', list_)
    os.mkdir(d + b'/default list')
    os.setxattr(d + b'/default list', b'system.posix_acl_default', list_)
    os.setxattr(d + b'/default list', b'user.directory', b'yes')
    subprocess.run(['setcap', 'cap_net_raw+ep', write(d + b'/capable')], check=True)
    os.chmod(d + b'/capable', 0o4755)


def deep_path(d: bytes, _: random.Random) -> None:
    """More than PATH_MAX bytes: made, as it must be read, by descriptors."""
    fd = os.open(d, os.O_RDONLY | os.O_DIRECTORY)
    for i in range(25):
        name = b'%02d-' % i + b'n' * 197
        os.mkdir(name, dir_fd=fd)
        inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = inner
    file = os.open(b'deep file', os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=fd)
    os.write(file, b'deep content')
    os.close(file)
    os.close(fd)


def times(d: bytes, _: random.Random) -> None:
    for name, ns in ((b'nanoseconds', OLD), (b'zero', 0), (b'before 1970', -1_500_000_000_000_000_001),
                     (b'in 2100', 4_102_444_800_000_000_001)):
        os.utime(write(d + b'/' + name), ns=(ns, ns))
    os.mkdir(d + b'/directory')
    write(d + b'/directory/file')
    os.symlink(b'x', d + b'/symlink')
    for name in (b'directory', b'symlink'):
        os.utime(d + b'/' + name, ns=(OLD, OLD + 7), follow_symlinks=False)
