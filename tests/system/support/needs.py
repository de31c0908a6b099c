"""What a snapshot needs, by the reference decoder: docs/format.md, 8.1."""
from pathlib import Path

from support.decoder import Cursor, H, Repository, ZERO, open_envelope, read_catalogue, read_manifest


def read_needs(repository: Repository, snapshot: str) -> set[tuple[str, bytes]]:
    """snapshot: HOST/JOB/ID. Each pack by its host and how its name begins, of all objects that there are."""
    objects = sorted((Path(repository.path) / 'needs').glob(f'{snapshot}*'))
    assert objects, snapshot
    return set().union(*(read_object(repository, snapshot, path) for path in objects))


def read_object(repository: Repository, snapshot: str, object: Path) -> set[tuple[str, bytes]]:
    path = Path(repository.path)
    key = str(object.relative_to(path))
    _, of, clear, body = open_envelope(repository.key, b'cofrend1', 72, (path / key).read_bytes(), key, 1 << 26)
    assert of in ('', snapshot.split('/')[0])
    assert clear == H(key.encode()) + repository.id + H((path / 'snapshots' / snapshot).read_bytes())
    c, packs = Cursor(body, key), []
    for _ in range(c.number('H')):
        host = c.take(c.number('B')).decode()
        packs += [(host, c.take(8)) for _ in range(c.number('I'))]
    c.end()
    assert packs == sorted(set(packs))
    return set(packs)


def chunks_of(repository: Repository, snapshot: str) -> set[bytes]:
    found = set()
    for source in read_manifest(repository, snapshot)['sources']:
        found |= {chunk['id'] for chunk in source['catalogue']}
        for entry in read_catalogue(repository, source):
            found |= {chunk for chunk, _, _ in entry['extents'] if chunk != ZERO}
    return found


def assert_needs(path: Path, key: Path, snapshot: str) -> set[tuple[str, bytes]]:
    """They name a pack that has it for each chunk, and no pack that has none."""
    repository = Repository(str(path), str(key), True)
    needs, chunks = read_needs(repository, snapshot), chunks_of(repository, snapshot)
    useful = set()
    for chunk in chunks:
        at = {(host, bytes.fromhex(name)[:8]) for _, host, _, name in (pack.split('/') for pack, *_ in repository.places[chunk])}
        assert at & needs, f'{snapshot}: {chunk.hex()}'
        useful |= at
    assert needs <= useful, f'{snapshot}: packs of which it needs nothing'
    return needs
