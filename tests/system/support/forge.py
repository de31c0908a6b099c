"""What somebody can make who holds a key, and who need not keep to any rule: objects of a repository, from docs/format.md.

Shares no code with cofre, but its primitives with the reference decoder.
"""
from __future__ import annotations

import json
import struct
from pathlib import Path

import nacl.bindings as sodium
import zstandard

from support.decoder import H, Cursor, aead_open, position, unframe

INDEX, MANIFEST, REMOVAL, ANNOTATION = b'cofreix1', b'cofremf1', b'cofrerm1', b'cofrean1'
Row = tuple[bytes, int, int, int]  # of a pack: chunk id, offset, stored, plain


class Forger:
    """Holds the parts of the file of a put or prune key (docs/format.md, 3.3)."""

    def __init__(self, put_key: Path) -> None:
        lines = dict(line.split(': ', 1) for line in put_key.read_text().splitlines()[1:])
        parts = {name: bytes.fromhex(value) for name, value in lines.items()}
        self.id, self.box_public, self.root, self.index_key = (parts[name] for name in ('id', 'box', 'root', 'index'))
        self.chunk_id_key, self.certificate = parts.get('chunk-id'), parts['certificate']
        self.signer, self.secret = sodium.crypto_sign_seed_keypair(parts['signer'])

    def sign(self, message: bytes) -> bytes:
        return sodium.crypto_sign(message, self.secret)[:64]

    def envelope(self, magic: bytes, clear: bytes, body: bytes, frame: bytes | None = None) -> bytes:
        """frame: what stands where the compressed body belongs."""
        box = sodium.randombytes(32)
        if magic != MANIFEST:
            nonce = sodium.randombytes(24)
            wrapped = nonce + sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(box, magic, nonce, self.index_key)
        else:
            wrapped = sodium.crypto_box_seal(box, self.box_public)
        head = magic + self.id + self.signer + self.certificate + struct.pack('<I', len(clear)) + clear + wrapped
        frame = zstandard.ZstdCompressor().compress(body) if frame is None else frame
        made = head + sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(frame, head, position(0), box)
        return made + self.sign(b'cofre envelope 1' + H(made))

    # ---- index objects

    def read_index(self, path: Path) -> tuple[str, list[tuple[bytes, int, list[Row]]]]:
        """The host that it names; per pack its name, its size and its rows. Put keys open index objects."""
        data = path.read_bytes()
        at = 8 + 16 + 32 + 128
        clear_length, = struct.unpack('<I', data[at : at + 4])
        at += 4 + clear_length
        box = aead_open(self.index_key, data[at : at + 24], INDEX, data[at + 24 : at + 72], path.name)
        body = unframe(aead_open(box, position(0), data[: at + 72], data[at + 72 : -64], path.name), 1 << 30, path.name)
        c = Cursor(body, path.name)
        host = c.take(c.number('H')).decode()
        return host, [(*head, [c.numbers('32sIII') for _ in range(count)])
                      for *head, count in (c.numbers('32sQI') for _ in range(c.numbers('QI')[1]))]

    def index(self, host: str, packs: list[tuple[bytes, int, list[Row]]], created: int = 0) -> bytes:
        return self.envelope(INDEX, b'', index_body(host, packs, created))

    def first_index(self, host: str, packs: list[tuple[bytes, int, list[Row]]]) -> bytes:
        """One whose name sorts before those of most others."""
        tries = 12 if sum(len(rows) for *_, rows in packs) < 5000 else 1
        return min((self.index(host, packs, created) for created in range(tries)), key=H)

    # ---- packs

    def pack(self, chunks: list[tuple[bytes, bytes]], directory: list[Row] | None = None,
             level: int = 3) -> tuple[bytes, list[Row]]:
        """A pack of chunks, each an id and what is said to be its content, and the rows that tell the truth about it.
        directory: what it says of itself instead."""
        box, rows = sodium.randombytes(32), []
        data = b'cofrepk1' + self.id + sodium.crypto_box_seal(box, self.box_public)
        for chunk_id, plain in chunks:
            frame = zstandard.ZstdCompressor(level).compress(plain)
            sealed = sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(frame, b'chunk' + chunk_id, position(len(data)), box)
            rows.append((chunk_id, len(data), len(sealed), len(plain)))
            data += sealed
        entries = b''.join(struct.pack('<32sIII', *row) for row in (rows if directory is None else directory))
        sealed = sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(entries, b'directory', position(2**64 - 1), box)
        return data + sealed + struct.pack('<I', len(sealed)) + b'1kpc', rows

    def chunk_id(self, plain: bytes) -> bytes:
        return H(plain, self.chunk_id_key)

    # ---- manifests

    def manifest(self, host: str, job: str, snapshot: str, body: dict | bytes, sequence: int = 1,
                 previous: bytes = bytes(32), more_flags: int = 0) -> bytes:
        """body: as JSON, or its bytes. previous: the hash of the manifest before. more_flags: besides those it must have."""
        said = body if isinstance(body, dict) else {}
        times = [said.get(name, 0) if isinstance(said.get(name, 0), int) else 0 for name in ('started', 'ended')]
        flags = (said.get('status') == 'incomplete') + 2 * bool(said.get('partial'))
        clear = struct.pack('<Q', sequence) + previous + H(f'snapshots/{host}/{job}/{snapshot}'.encode())
        clear += struct.pack('<qqI', *times, flags | more_flags)
        return self.envelope(MANIFEST, clear, body if isinstance(body, bytes) else json.dumps(body).encode())


    # ---- what is said of snapshots

    def placed(self, magic: bytes, key: str, repository: bytes, body: dict | bytes, clear: bytes = b'') -> bytes:
        """An object for that key in that repository. body: as JSON, or its bytes. clear: what the kind adds."""
        body = json.dumps(body).encode() if isinstance(body, dict) else body
        return self.envelope(magic, H(key.encode()) + repository + clear, body)

    def removal(self, key: str, repository: bytes, snapshots: list[dict], **members: object) -> bytes:
        """key: removed/HOST/JOB/ID. members: instead of, or besides, those that it would have."""
        _, host, job, _ = key.split('/')
        body = {'format': 1, 'features': [], 'repository': repository.hex(), 'host': host, 'job': job, 'removed': 1, 'snapshots': snapshots}
        return self.placed(REMOVAL, key, repository, body | members)

    def annotation(self, key: str, repository: bytes, **members: object) -> bytes:
        """key: pins/HOST/JOB/ID, or proofs/KIND/HOST/JOB/ID."""
        host, job, snapshot = key.split('/')[-3:]
        body = {'format': 1, 'features': [], 'repository': repository.hex(), 'host': host, 'job': job, 'snapshot': snapshot}
        return self.placed(ANNOTATION, key, repository, body | members)


def place_in_chain(manifest: bytes) -> tuple[int, bytes, bytes]:
    """What the clear part of a manifest says: sequence, hash of the one before; and its own hash."""
    at = 8 + 16 + 32 + 128 + 4
    sequence, = struct.unpack('<Q', manifest[at : at + 8])
    return sequence, manifest[at + 8 : at + 40], H(manifest)


def removed_row(snapshot: str, manifest: bytes, **members: object) -> dict:
    """What a removal record says of that snapshot."""
    sequence, previous, own = place_in_chain(manifest)
    row = {'id': snapshot, 'sequence': sequence, 'started': 1, 'hash': own.hex(), 'reasons': ['a test']}
    return row | ({'previous': previous.hex()} if any(previous) else {}) | members


def index_body(host: str, packs: list[tuple[bytes, int, list[Row]]], created: int = 0) -> bytes:
    body = struct.pack('<H', len(host)) + host.encode() + struct.pack('<QI', created, len(packs))
    for name, size, rows in packs:
        body += struct.pack('<32sQI', name, size, len(rows)) + b''.join(struct.pack('<32sIII', *row) for row in rows)
    return body


def fitting(ids: list[bytes], size: int, plain: int = 1000) -> list[Row]:
    """Rows that a pack of that size could have: as many chunks, which fill it."""
    room = size - 104 - 44 * len(ids) - 24
    each, offset, rows = room // len(ids), 104, []
    for i, chunk_id in enumerate(ids):
        stored = each if i + 1 < len(ids) else room - each * (len(ids) - 1)
        rows.append((chunk_id, offset, stored, plain))
        offset += stored
    return rows


def file_record(path: bytes, extents: list[tuple[bytes, int, int]], size: int) -> bytes:
    """Of a catalogue (docs/format.md, 9). path b'' = the root directory."""
    fixed = struct.pack('<H', len(path)) + path + struct.pack('<IIIqQ', 0o644 if path else 0o755, 0, 0, 0, size)
    record = bytes([1 if path else 2, 0, 0, 0]) + fixed + struct.pack('<I', len(extents))
    record += b''.join(struct.pack('<32sIQ', *extent) for extent in extents)
    return struct.pack('<I', len(record)) + record


def object_key(key: str, data: bytes, host: str = 'testhost') -> str:
    """Packs and index objects of a host are named by their bytes: 'packs', 'index'."""
    name = H(data).hex()
    return {'packs': f'packs/{host}/{name[:2]}/{name}', 'index': f'index/{host}/{name}'}.get(key, key)


def store(repository: Path, key: str, data: bytes, host: str = 'testhost') -> Path:
    """Put an object where a sink of files has it (object_key)."""
    path = repository / object_key(key, data, host)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_bytes(data)
    return path
