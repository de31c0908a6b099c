"""A deterministic body of files: small texts, large SQL-like texts, incompressible data; and a set change of 1 %."""
from __future__ import annotations

import os
import random
from pathlib import Path

WORDS = [w.encode() for w in
         'the of and to in is for with that on as by this from an are be at or which not have it has was can file system user '
         'data name value error return static const struct include define void size index table insert update select where '
         'password network server backup restore option default package version library function module description'.split()]

OLD = 1_600_000_000


def text(rng: random.Random, size: int) -> bytes:
    """Words in lines; a shared stock of sentences makes it about as compressible as documentation."""
    lines, length = [], 0
    while length < size:
        line = b' '.join(rng.choices(WORDS, k=rng.randint(4, 14)))
        if rng.random() < 0.3:
            line += b' %08x' % rng.getrandbits(32)
        lines.append(line)
        length += len(line) + 1
    return b'\n'.join(lines)[:size]


def sql(rng: random.Random, rows: int) -> bytes:
    out = []
    for i in range(rows):
        out.append(b"INSERT INTO orders VALUES (%d, %d, '%s', '2026-%02d-%02d', %d.%02d, '%s');" %
                   (i, rng.randrange(50_000), rng.choice(WORDS), rng.randint(1, 12), rng.randint(1, 28),
                    rng.randrange(10_000), rng.randrange(100), b' '.join(rng.choices(WORDS, k=3))))
    return b'\n'.join(out) + b'\n'


def make_small(root: Path, count: int, seed: int) -> None:
    """count small files, 100 in a directory, sizes like those of /usr: most below 8 KiB, some of 200 KiB."""
    rng = random.Random(seed)
    stock = text(rng, 64 << 20)
    for i in range(count):
        if i % 100 == 0:
            directory = root / f'{i // 10_000:03d}' / f'{i // 100 % 100:02d}'
            directory.mkdir(parents=True)
        size = min(int(rng.lognormvariate(8.45, 1.5)), 400_000)
        start = rng.randrange(len(stock) - size)
        (directory / f'file{i}.txt').write_bytes(b'%d\n' % rng.getrandbits(64) + stock[start:start + size])


def make_corpus(root: Path) -> None:
    """About 2.1 GB in 77,000 files: 1.1 GB of small texts, 0.3 GB of SQL, 0.75 GB incompressible."""
    make_small(root / 'small', 77_000, 1)
    rng = random.Random(2)
    (root / 'sql').mkdir()
    for i in range(3):
        with open(root / 'sql' / f'dump{i}.sql', 'wb') as file:
            for _ in range(11):
                file.write(sql(rng, 90_000))
    (root / 'random').mkdir()
    for i in range(120):
        (root / 'random' / f'video{i}').write_bytes(rng.randbytes(6 << 20))


def make_million(root: Path) -> None:
    rng = random.Random(3)
    stock = text(rng, 1 << 20)
    for i in range(1_000_000):
        if i % 500 == 0:
            directory = root / f'{i // 50_000:02d}' / f'{i // 500 % 100:02d}'
            directory.mkdir(parents=True)
        start = rng.randrange(len(stock) - 600)
        (directory / f'f{i}').write_bytes(b'%d\n' % i + stock[start:start + rng.randrange(50, 600)])


def set_times(root: Path) -> None:
    """The past, so that no program has to distrust what was written a moment ago."""
    for directory, _, files in os.walk(root):
        for name in files:
            os.utime(os.path.join(directory, name), (OLD, OLD))


def change(root: Path, round_number: int) -> None:
    """1 % of the small files: half get new text, a quarter are appended to, a quarter are renamed; the dumps grow."""
    rng = random.Random(100 + round_number)
    paths = sorted((root / 'small').rglob('file*.txt'))
    for i, path in enumerate(rng.sample(paths, len(paths) // 100)):
        if i % 4 < 2:
            path.write_bytes(text(rng, 5000))
        elif i % 4 == 2:
            with open(path, 'ab') as file:
                file.write(text(rng, 1000))
        else:
            path.rename(path.with_name(f'file-renamed-{round_number}-{i}.txt'))
    for path in (root / 'sql').iterdir():
        with open(path, 'ab') as file:
            file.write(sql(rng, 5000))


def forget(root: Path) -> None:
    """The files are written out and leave the page cache."""
    os.sync()
    for path in root.rglob('*'):
        if path.is_file() and not path.is_symlink():
            with open(path, 'rb') as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_all(root: Path) -> None:
    for path in root.rglob('*'):
        if path.is_file():
            path.read_bytes()


def measure(root: Path) -> tuple[int, int]:
    count = size = 0
    for directory, _, files in os.walk(root):
        count += len(files)
        size += sum(os.lstat(os.path.join(directory, name)).st_size for name in files)
    return count, size
