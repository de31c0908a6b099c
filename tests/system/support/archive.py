"""Archives seen from outside: with sha256sum, gpg, zstd, gzip and tar alone."""
from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path

TAR = ['tar', '--extract', '--preserve-permissions', '--same-owner', '--xattrs', '--xattrs-include=*']


def snapshots(place: Path, job: str = 'job') -> list[Path]:
    return sorted(p.parent for p in place.glob(f'{job}/*/manifest.json'))


def manifest(snapshot: Path) -> dict:
    return json.loads((snapshot / 'manifest.json').read_text())


def check_sums(snapshot: Path) -> None:
    """SHA256SUMS names every other file, and is right."""
    subprocess.run(['sha256sum', '--strict', '--quiet', '-c', 'SHA256SUMS'], cwd=snapshot, check=True)
    named = {line.split('  ', 1)[1] for line in (snapshot / 'SHA256SUMS').read_text().splitlines()}
    assert named == {p.name for p in snapshot.iterdir()} - {'SHA256SUMS'}


def expand(data: bytes, name: str) -> bytes:
    for extension, tool in (('.zst', 'zstd'), ('.gz', 'gzip')):
        if extension in name:
            return subprocess.run([tool, '-dc'], input=data, capture_output=True, check=True).stdout
    return data


def content(path: Path, decrypt=None) -> bytes:
    """What a stored file holds. decrypt: a function from a path to bytes."""
    data = decrypt(path) if path.suffix == '.gpg' else path.read_bytes()
    return expand(data, path.name)


def extract(path: Path, into: Path, decrypt=None, quiet: bool = False) -> Path:
    """By GNU tar. quiet: names are UTF-8, and it has nothing to say."""
    into.mkdir(parents=True)
    done = subprocess.run([*TAR, '--directory', into], input=content(path, decrypt), check=True, capture_output=True)
    assert not quiet or not done.stderr, done.stderr
    return into


def sum_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def forge(snapshot: Path, files: dict[str, bytes], change=lambda m: None, plain: int = 0) -> None:
    """Other files in a snapshot, with a manifest and checksums that fit: all that somebody can do who can write."""
    whole = manifest(snapshot)
    whole['files'] = [{'name': name, 'source': name.split('.')[0], 'stored': len(data), 'plain': plain, 'sha256': sum_of(data)}
                      for name, data in files.items()]
    change(whole)
    text = json.dumps(whole, indent=1).encode()
    for name, data in files.items():
        (snapshot / name).write_bytes(data)
    (snapshot / 'manifest.json').write_bytes(text)
    sums = {**files, 'manifest.json': text}
    signature = snapshot / 'manifest.json.sig'
    if signature.exists():
        sums['manifest.json.sig'] = signature.read_bytes()
    (snapshot / 'SHA256SUMS').write_text(''.join(f'{sum_of(data)}  {name}\n' for name, data in sums.items()))


def tar_of(members: list, form: int = tarfile.PAX_FORMAT) -> bytes:
    """members: TarInfo, or (TarInfo, bytes)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w', format=form) as tar:
        for member in members:
            info, data = member if isinstance(member, tuple) else (member, b'')
            info.size = len(data) if info.isreg() else info.size
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()
