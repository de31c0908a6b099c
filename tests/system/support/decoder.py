#!/usr/bin/python3
"""Restores snapshots from a cofre repository in a directory, without cofre; written from docs/format.md alone.

  decoder.py REPOSITORY [--key FILE] [--no-index] list
  decoder.py REPOSITORY [--key FILE] [--no-index] restore HOST/JOB/ID OUT [--source NAME]

Restores below OUT/SOURCE/. Any deviation from the format is an error with exit status 1. Meant to be read: one section of
the format after another, nothing clever, everything checked.
"""
import argparse
import bisect
import contextlib
import hashlib
import json
import os
import re
import stat
import struct
import sys

import nacl.bindings as sodium
import nacl.exceptions
import zstandard

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")
CHUNK_MAX = 2 << 20
RECORD_MAX = 4 << 20
ZERO = bytes(32)

class Bad(Exception):
    """Something is not as docs/format.md says."""

def check(condition, what):
    if not condition:
        raise Bad(what)

@contextlib.contextmanager
def bad(what):
    """Whatever goes wrong in here is a deviation from the format."""
    try:
        yield
    except (nacl.exceptions.CryptoError, zstandard.ZstdError, ValueError) as error:
        raise Bad(f"{what}: {error}") from error

# ---- 1: conventions

def H(data):
    return hashlib.blake2b(data, digest_size=32).digest()

def unhex(text, size, what):
    check(isinstance(text, str) and re.fullmatch("[0-9a-f]{%d}" % (2 * size), text), f"{what}: not {size} bytes in hex")
    return bytes.fromhex(text)

def aead_open(key, nonce, context, sealed, what):
    with bad(f"{what}: does not open"):
        return sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, context, nonce, key)

def verify(public, signature, message, what):
    with bad(f"{what}: wrong signature"):
        sodium.crypto_sign_open(signature + message, public)

def unframe(frame, limit, what):
    check(frame[:4] == b"\x28\xb5\x2f\xfd", f"{what}: no zstd frame")
    unpacker = zstandard.ZstdDecompressor().decompressobj()
    with bad(f"{what}: damaged frame"):
        header = zstandard.get_frame_parameters(frame)
        check(header.content_size <= limit and header.has_checksum and header.dict_id == 0, f"{what}: wrong kind of frame")
        plain = unpacker.decompress(frame)
    check(unpacker.eof and not unpacker.unused_data and len(plain) == header.content_size, f"{what}: not exactly one frame")
    return plain

class Cursor:
    """Reads little-endian fields one after another; beyond the end is an error."""

    def __init__(self, data, what):
        self.data, self.at, self.what = data, 0, what

    def take(self, n):
        check(n <= len(self.data) - self.at, f"{self.what}: ends early")
        self.at += n
        return self.data[self.at - n : self.at]

    def number(self, form):
        return struct.unpack("<" + form, self.take(struct.calcsize(form)))[0]

    def end(self):
        check(self.at == len(self.data), f"{self.what}: is too long")

def position(n):
    return struct.pack("<Q", n) + bytes(16)

# ---- 3: keys

class Key:
    def __init__(self, seed):
        def derive(i):
            return hashlib.blake2b(b"", digest_size=32, key=seed, salt=struct.pack("<QQ", i, 0),
                                   person=b"cofrekey" + bytes(8)).digest()

        self.chunk_id_key, self.index_key = derive(1), derive(3)
        self.box_public, self.box_secret = sodium.crypto_box_seed_keypair(derive(4))
        self.root, _ = sodium.crypto_sign_seed_keypair(derive(5))
        self.id = H(b"cofre key id 1" + self.box_public + self.root)[:16]

    @classmethod
    def load(cls, path):
        text = open(path, "rb").read()
        form = re.fullmatch(rb"(cofre full key 1\nid: ([0-9a-f]{32})\nseed: ([0-9a-f]{64})\n)check: ([0-9a-f]{16})\n", text)
        check(form, f"{path}: not a full key")
        check(H(form[1])[:8].hex().encode() == form[4], f"{path}: its check does not match")
        key = cls(bytes.fromhex(form[3].decode()))
        check(key.id.hex().encode() == form[2], f"{path}: its id is not that of its seed")
        return key

    def unwrap(self, wrapped, what):
        with bad(f"{what}: the box key does not open"):
            return sodium.crypto_box_seal_open(wrapped, self.box_public, self.box_secret)

# ---- 5: envelopes

def open_envelope(key, magic, wrapped_size, data, what):
    """The clear part, the body."""
    c = Cursor(data, what)
    check(c.take(8) == magic, f"{what}: wrong magic")
    check(c.take(16) == key.id, f"{what}: made with another key")
    signer, certificate = c.take(32), c.take(64)
    length = c.number("I")
    check(length <= 4096, f"{what}: clear part too long")
    clear, wrapped = c.take(length), c.take(wrapped_size)
    head, end = data[: c.at], len(data) - 64
    check(end - c.at >= 16, f"{what}: ends early")
    verify(signer, data[end:], b"cofre envelope 1" + H(data[:end]), what)
    verify(key.root, certificate, b"cofre signer 1" + key.id + signer, what + ", certificate")
    if wrapped_size == 72:
        box = aead_open(key.index_key, wrapped[:24], magic, wrapped[24:], what)
    else:
        box = key.unwrap(wrapped, what)
    return clear, unframe(aead_open(box, position(0), head, data[c.at : end], what), 1 << 30, what)

# ---- the repository: 2, 4, 6, 7, 8

class Repository:
    def __init__(self, path, key_path, use_index):
        self.path = path
        self.key = self.read_config(key_path)
        self.boxes, self.cache = {}, {}
        self.places = self.read_indexes() if use_index else self.read_directories()

    def read(self, *parts):
        with open(os.path.join(self.path, *parts), "rb") as file:
            return file.read()

    def names(self, *parts):
        where = os.path.join(self.path, *parts)
        return sorted(os.listdir(where)) if os.path.isdir(where) else []

    def read_config(self, key_path):
        form = re.fullmatch(rb"([^\n]{1,4096})\n([0-9a-f]{128})\n", self.read("config"))
        check(form, "config: wrong form")
        config = parse_json(form[1], "config")
        check(config.get("format") == 1, "config: unknown format")
        check(config.get("features") == [], f"config: unknown features {config.get('features')}")
        check(config.get("encryption") in ("none", "x25519-xchacha20poly1305"), "config: unknown encryption")
        root = unhex(config.get("root"), 32, "config: root")
        verify(root, bytes.fromhex(form[2].decode()), b"cofre config 1" + form[1], "config")
        unhex(config.get("repository"), 16, "config: repository")
        if key_path is None:
            check(config["encryption"] == "none", "config: this repository is encrypted: give the key")
            key = Key(unhex(config.get("seed"), 32, "config: seed"))
        else:
            key = Key.load(key_path)
        check(key.id.hex() == config.get("key"), "config: another key")
        check(key.root == root and key.box_public.hex() == config.get("box"), "config: not the public keys of this key")
        return key

    def pack_path(self, name):
        return os.path.join(self.path, "packs", name[:2], name)

    def read_indexes(self):
        places = {}
        for name in self.names("index"):
            data = self.read("index", name)
            check(H(data).hex() == name, f"index/{name}: its name is not its hash")
            clear, body = open_envelope(self.key, b"cofreix1", 72, data, f"index/{name}")
            check(clear == b"", f"index/{name}: has a clear part")
            self.read_index(Cursor(body, f"index/{name}"), places)
        return places

    def read_index(self, c, places):
        host = c.take(c.number("H")).decode("ascii", "replace")
        check(NAME.fullmatch(host), f"{c.what}: wrong host name")
        c.number("Q")
        for _ in range(c.number("I")):
            pack, size = c.take(32).hex(), c.number("Q")
            chunks = [self.read_entry(c, size) for _ in range(c.number("I"))]
            if os.path.exists(self.pack_path(pack)):
                check(os.path.getsize(self.pack_path(pack)) == size, f"packs/{pack}: wrong size")
                for chunk_id, *place in chunks:
                    places.setdefault(chunk_id, []).append((pack, *place))
        c.end()

    @staticmethod
    def read_entry(c, size):
        chunk_id, (offset, stored, plain) = c.take(32), struct.unpack("<III", c.take(12))
        check(offset >= 104 and stored > 16 and offset + stored <= size and 1 <= plain <= CHUNK_MAX and chunk_id != ZERO,
              f"{c.what}: a chunk that cannot be")
        return chunk_id, offset, stored, plain

    def read_directories(self):
        places = {}
        for prefix in self.names("packs"):
            for name in self.names("packs", prefix):
                check(name[:2] == prefix, f"packs/{prefix}/{name}: in the wrong place")
                for chunk_id, *place in self.read_directory(name):
                    places.setdefault(chunk_id, []).append((name, *place))
        return places

    def read_directory(self, name):
        data, what = self.read("packs", name[:2], name), f"packs/{name}"
        check(H(data).hex() == name, f"{what}: its name is not its hash")
        check(len(data) >= 112 and data[-4:] == b"1kpc", f"{what}: wrong end")
        length = struct.unpack("<I", data[-8:-4])[0]
        start = len(data) - 8 - length
        check(start >= 104, f"{what}: wrong length of the directory")
        entries = aead_open(self.box_of(name), position(2**64 - 1), b"directory", data[start:-8], what)
        check(0 < len(entries) <= 44 * 65536 and len(entries) % 44 == 0, f"{what}: wrong size of the directory")
        c, offset, chunks = Cursor(entries, what), 104, []
        while c.at < len(entries):
            chunks.append(self.read_entry(c, start))
            check(chunks[-1][1] == offset, f"{what}: chunks are not in a row")
            offset += chunks[-1][2]
        check(offset == start, f"{what}: a gap before the directory")
        return chunks

    def box_of(self, pack):
        if pack not in self.boxes:
            what = f"packs/{pack}"
            with open(self.pack_path(pack), "rb") as file:
                header = file.read(104)
            check(len(header) == 104 and header[:8] == b"cofrepk1", f"{what}: wrong magic")
            check(header[8:24] == self.key.id, f"{what}: made with another key")
            self.boxes[pack] = self.key.unwrap(header[24:], what)
        return self.boxes[pack]

    def chunk(self, chunk_id, length=None):
        """Plain bytes. Any good copy will do; without one, the last one's fault is the error."""
        fault = Bad(f"chunk {chunk_id.hex()}: is nowhere")
        for place in self.places.get(chunk_id, []) if chunk_id not in self.cache else []:
            try:
                if len(self.cache) >= 32:
                    self.cache.pop(next(iter(self.cache)))
                self.cache[chunk_id] = self.open_chunk(chunk_id, *place)
                break
            except (Bad, OSError) as error:
                fault = error
        if chunk_id not in self.cache:
            raise fault
        check(length in (None, len(self.cache[chunk_id])), f"chunk {chunk_id.hex()}: has another length")
        return self.cache[chunk_id]

    def open_chunk(self, chunk_id, pack, offset, stored, plain_size):
        what = f"packs/{pack}, chunk at {offset}"
        with open(self.pack_path(pack), "rb") as file:
            file.seek(offset)
            sealed = file.read(stored)
        frame = aead_open(self.box_of(pack), position(offset), b"chunk" + chunk_id, sealed, what)
        plain = unframe(frame, CHUNK_MAX, what)
        check(len(plain) == plain_size, f"{what}: wrong length")
        check(hashlib.blake2b(plain, digest_size=32, key=self.key.chunk_id_key).digest() == chunk_id, f"{what}: wrong id")
        return plain

    def snapshots(self):
        return [f"{host}/{job}/{name}" for host in self.names("snapshots") for job in self.names("snapshots", host)
                for name in self.names("snapshots", host, job)]

    def manifest(self, snapshot):
        return read_manifest(self.key, self.read("snapshots", snapshot), f"snapshots/{snapshot}")
# ---- 10: manifests

def parse_json(data, what):
    def once(pairs):
        check(len({name for name, _ in pairs}) == len(pairs), f"{what}: a member is there twice")
        return dict(pairs)

    with bad(f"{what}: no JSON"):
        value = json.loads(data.decode("utf-8"), object_pairs_hook=once)
    check(isinstance(value, dict), f"{what}: no JSON object")
    return value

def text(value, what):
    """Percent-encoded text as bytes."""
    check(isinstance(value, str) and re.fullmatch(r"(?:[ !#$&-\[\]-~]|%[0-9A-F]{2})*", value), f"{what}: wrong text")
    out = re.sub(rb"%(..)", lambda m: bytes([int(m[1], 16)]), value.encode("ascii"))
    again = "".join(chr(b) if 0x20 <= b <= 0x7E and b not in b'%"\\' else f"%{b:02X}" for b in out)
    check(again == value and 0 not in out, f"{what}: text not encoded in the one right way")
    return out

def number(value, what, minimum=0):
    check(type(value) is int and minimum <= value < 2**63, f"{what}: not a number in range")
    return value

def word(form):
    def word_of(value, what):
        check(isinstance(value, str) and form.fullmatch(value), f"{what}: wrong name or id")
        return value

    return word_of

def is_path(path):
    return len(path) <= 65535 and 0 not in path and (path == b"" or not {b"", b".", b".."} & set(path.split(b"/")))

def path_text(value, what):
    check(is_path(text(value, what)), f"{what}: no path")
    return text(value, what)

def hex_of(size):
    return lambda value, what: unhex(value, size, what)

def list_of(shape):
    def items(value, what):
        check(isinstance(value, list), f"{what}: no list")
        return [members(item, shape, what) if isinstance(shape, dict) else shape(item, what) for item in value]

    return items

def members(value, shape, what):
    """The object's members, each by its function; a name that ends with '?' may be left out."""
    check(isinstance(value, dict), f"{what}: no object")
    out = {}
    for name, read in shape.items():
        plain = name.rstrip("?")
        if plain in value:
            out[plain] = read(value[plain], f"{what}, {plain}")
        else:
            check(name != plain, f"{what}: {plain} is missing")
    return out

name, snapshot_id = word(NAME), word(ID)
PAIRS = list_of({"key": text, "value": text})
SOURCE = {
    "name": name, "plugin": name, "plugin_version?": text, "status": word(re.compile("complete|incomplete|missing")),
    "error?": text, "options": PAIRS, "facts": PAIRS, "entries": number, "bytes": number, "vanished": number,
    "problem_count": number, "problems": list_of({"path": path_text, "error": text}), "fingerprint_key": hex_of(16),
    "catalogue_bytes": number,
    "catalogue": list_of({"id": hex_of(32), "length": number, "first_record": number, "first_path": path_text}),
}
MANIFEST = {
    "format": number, "features": list_of(text), "id": snapshot_id, "job": name, "host": name, "version": text,
    "started": lambda v, w: number(v, w, -(2**63)), "ended": lambda v, w: number(v, w, -(2**63)),
    "status": word(re.compile("complete|incomplete")), "previous?": snapshot_id, "added": number,
    "missed": list_of({"repository": hex_of(16), "id": snapshot_id}), "indexes": list_of(hex_of(32)),
    "sources": list_of(SOURCE),
}

def read_manifest(key, data, what):
    clear, body = open_envelope(key, b"cofremf1", 80, data, what)
    check(len(clear) == 72 and clear[40:] == H(what.encode()), f"{what}: is another manifest")
    m = members(parse_json(body, what), MANIFEST, what)
    check(m["format"] == 1 and m["features"] == [], f"{what}: unknown format or features {m['features']}")
    check(f"snapshots/{m['host']}/{m['job']}/{m['id']}" == what, f"{what}: is another manifest")
    m["sequence"], m["hash"] = struct.unpack("<Q", clear[:8])[0], H(data)
    m["previous_hash"] = clear[8:40]
    check(0 < m["sequence"] < 2**63, f"{what}: wrong sequence number")
    check((clear[8:40] == ZERO) == ("previous" not in m), f"{what}: previous id and hash disagree")
    check(m["sources"] and len({s["name"] for s in m["sources"]}) == len(m["sources"]), f"{what}: wrong sources")
    for source in m["sources"]:
        check_source(m, source, f"{what}, source {source['name']}")
    return m

def check_source(m, source, what):
    missing = source["status"] == "missing"
    check(m["status"] != "complete" or source["status"] == "complete", f"{what}: not complete")
    check(not missing or ("error" in source and not source["catalogue"]), f"{what}: missing, yet something is there")
    check(len(source["problems"]) <= min(1000, source["problem_count"]), f"{what}: wrong number of problems")
    for i, chunk in enumerate(source["catalogue"]):
        check(1 <= chunk["length"] <= CHUNK_MAX and chunk["first_record"] <= chunk["length"], f"{what}: wrong chunk")
        check(i > 0 or chunk["first_record"] == 0, f"{what}: catalogue begins in the middle")
    check(sum(chunk["length"] for chunk in source["catalogue"]) == source["catalogue_bytes"], f"{what}: wrong length")

# ---- 9: catalogues

FILE, DIRECTORY, SYMLINK, HARDLINK, FIFO, CHARACTER, BLOCK, SOCKET, STREAM = range(1, 10)

def read_catalogue(repository, source):
    """The entries, their extents complete."""
    what, data = f"catalogue of {source['name']}", bytearray()
    for chunk in source["catalogue"]:
        data += repository.chunk(chunk["id"], chunk["length"])
    c, entries, starts = Cursor(bytes(data), what), [], []
    while c.at < len(data):
        start, length = c.at, c.number("I")
        check(8 <= length <= RECORD_MAX - 4, f"{what}: impossible record")
        entry = read_record(Cursor(c.take(length), what), entries[-1] if entries and entries[-1]["more"] else None)
        if entry:
            entry["order"] = entry["path"].replace(b"/", b"\0")
            check(not entries or entry["order"] > entries[-1]["order"], f"{what}: {entry['path']!r} is out of order")
            entries.append(entry)
            starts.append(start)
    for entry in entries:
        entry["length"] = sum(length for _, _, length in entry["extents"])
        check(not entry["more"], f"{what}: a continuation is missing")
        check(entry["status"] == 2 or entry["length"] == entry["size"], f"{what}: {entry['path']!r}: wrong size")
    check(len(entries) == source["entries"], f"{what}: wrong number of entries")
    check(sum(entry["length"] for entry in entries) == source["bytes"], f"{what}: wrong sum of bytes")
    at, path = 0, b""
    for chunk in source["catalogue"]:
        i = bisect.bisect_left(starts, at)
        first = starts[i] - at if i < len(starts) and starts[i] < at + chunk["length"] else chunk["length"]
        path = entries[i]["path"] if first < chunk["length"] else path
        check((chunk["first_record"], chunk["first_path"]) == (first, path), f"{what}: wrong first record of a chunk")
        at += chunk["length"]
    return entries

def read_record(c, unfinished):
    """A new entry, or None for a continuation, which is added to the unfinished one."""
    kind, status, fields, zero = c.take(4)
    check(kind <= STREAM and status <= 2 and zero == 0 and not fields & 128, f"{c.what}: impossible record")
    check((kind == 0) == (unfinished is not None), f"{c.what}: a continuation is missing, or continues nothing")
    if kind == 0:
        check(status == 0 and not fields & ~64, f"{c.what}: impossible continuation")
        unfinished["extents"] += read_extents(c)
        unfinished["more"] = bool(fields & 64)
        return None
    entry = {"kind": kind, "status": status, "more": bool(fields & 64), "path": c.take(c.number("H"))}
    entry.update(zip(("mode", "uid", "gid", "mtime", "size"), struct.unpack("<IIIqQ", c.take(28))))
    what = c.what = f"{c.what}: {entry['path']!r}"
    check(is_path(entry["path"]) and (entry["path"] or kind == DIRECTORY), f"{what}: no path")
    check(entry["mode"] <= 0o7777 and entry["size"] < 2**63, f"{what}: impossible mode or size")
    check(bool(fields & 2) == (kind in (SYMLINK, HARDLINK)) and bool(fields & 16) == (kind in (CHARACTER, BLOCK)) and
          bool(fields & 32) == (status != 0), f"{what}: fields do not fit")
    read_optional(c, fields, entry)
    entry["extents"] = read_extents(c)
    content = kind in (FILE, STREAM)
    check(content or not (entry["size"] or entry["extents"] or entry["more"]), f"{what}: content where none can be")
    check(status != 2 or not (entry["extents"] or entry["more"]), f"{what}: unreadable, yet there is content")
    return entry

def read_optional(c, fields, entry):
    if fields & 1:
        c.take(16)
    if fields & 2:
        entry["link"] = c.take(c.number("H"))
        check(entry["link"] and 0 not in entry["link"], f"{c.what}: wrong link")
        check(entry["kind"] == SYMLINK or is_path(entry["link"]), f"{c.what}: wrong link")
    if fields & 4:
        entry["user"], entry["group"] = c.take(c.number("B")), c.take(c.number("B"))
        check(0 not in entry["user"] + entry["group"], f"{c.what}: wrong owner")
    if fields & 8:
        count = c.number("H")
        entry["attributes"] = [(c.take(c.number("B")), c.take(c.number("I"))) for _ in range(count)]
        check(count and all(key and 0 not in key for key, _ in entry["attributes"]), f"{c.what}: wrong attributes")
    if fields & 16:
        entry["device"] = c.number("I"), c.number("I")
    if fields & 32:
        entry["error"] = c.take(c.number("H"))

def read_extents(c):
    count, extents = c.number("I"), []
    check(count <= 4096, f"{c.what}: too many extents")
    for _ in range(count):
        chunk_id, offset, length = c.take(32), c.number("I"), c.number("Q")
        check(length > 0 and (offset == 0 if chunk_id == ZERO else offset + length <= CHUNK_MAX), f"{c.what}: impossible extent")
        extents.append((chunk_id, offset, length))
    c.end()
    return extents

# ---- 13: restoring

def restore_source(repository, source, out):
    made, directories = {}, []  # made: path -> kind, None = left out
    os.makedirs(out, exist_ok=True)
    for entry in read_catalogue(repository, source):
        kind, parts = entry["kind"], entry["path"].split(b"/")
        for i in range(1, len(parts)):
            check(made.setdefault(b"/".join(parts[:i]), DIRECTORY) == DIRECTORY, f"{entry['path']!r}: below no directory")
        made[entry["path"]] = kind
        path = os.path.join(out, entry["path"]) if parts[0] else out
        os.makedirs(os.path.dirname(path), exist_ok=True)
        why = make(repository, entry, path, out, made)
        if why:
            made[entry["path"]] = None
            print(f"left out: {entry['path']!r}: {why}", file=sys.stderr)
        elif kind == DIRECTORY:
            directories.append((path, entry))
        elif kind != HARDLINK:
            dress(path, entry)
    for path, entry in reversed(directories):
        dress(path, entry)

def make(repository, entry, path, out, made):
    """Without owner, mode and so on. Returns why it was left out, or None."""
    kind = entry["kind"]
    if kind == DIRECTORY:
        os.makedirs(path, exist_ok=True)
    elif entry["status"] == 2:
        return entry["error"].decode(errors="replace")
    elif kind in (FILE, STREAM):
        write_content(repository, entry, path)
    elif kind == SYMLINK:
        os.symlink(entry["link"], path)
    elif kind == HARDLINK:
        check(made.get(entry["link"], DIRECTORY) != DIRECTORY, f"{entry['path']!r}: a link to what was not there before")
        if made[entry["link"]] is None:
            return "so was what it links to"
        os.link(os.path.join(out, entry["link"]), path, follow_symlinks=False)
    elif kind == FIFO:
        os.mkfifo(path, 0o600)
    elif kind == SOCKET or os.geteuid() != 0:
        return "a socket" if kind == SOCKET else "a device takes root"
    else:
        os.mknod(path, 0o600 | (stat.S_IFCHR if kind == CHARACTER else stat.S_IFBLK), os.makedev(*entry["device"]))
    return None

def write_content(repository, entry, path):
    with open(path, "xb") as file:
        for chunk_id, offset, length in entry["extents"]:
            if chunk_id == ZERO:
                file.seek(length, os.SEEK_CUR)
                continue
            plain = repository.chunk(chunk_id)
            check(offset + length <= len(plain), f"{entry['path']!r}: beyond the end of its chunk")
            file.write(plain[offset : offset + length])
        file.truncate(entry["size"])

def dress(path, entry):
    """Owner, attributes, mode, time; in this order, since a change of owner clears some of the others."""
    if entry["kind"] == STREAM:
        return
    if os.geteuid() == 0:
        os.chown(path, entry["uid"], entry["gid"], follow_symlinks=False)
    for key, value in entry.get("attributes", []):
        if os.geteuid() == 0 or key.startswith(b"user."):
            os.setxattr(path, key, value, follow_symlinks=False)
    if entry["kind"] != SYMLINK:
        os.chmod(path, entry["mode"])
    if entry["mtime"] != -(2**63):
        os.utime(path, ns=(entry["mtime"], entry["mtime"]), follow_symlinks=False)

def restore(repository, snapshot, out, only):
    manifest = repository.manifest(snapshot)
    sources = [s for s in manifest["sources"] if only in (None, s["name"])]
    check(sources, f"no source {only!r} in {snapshot}")
    for source in sources:
        if source["status"] == "missing":
            print(f"missing: {source['name']}: {source['error'].decode(errors='replace')}", file=sys.stderr)
        else:
            restore_source(repository, source, os.fsencode(os.path.join(out, source["name"])))

def list_snapshots(repository):
    """One line per snapshot; what the chain says is checked where both ends are there."""
    chain = {}
    for snapshot in repository.snapshots():
        m = repository.manifest(snapshot)
        before = chain.get((m["host"], m["job"], m.get("previous")))
        check(not before or before == (m["previous_hash"], m["sequence"] - 1), f"{snapshot}: does not follow {m.get('previous')}")
        chain[m["host"], m["job"], m["id"]] = m["hash"], m["sequence"]
        print(snapshot, m["status"], m["sequence"], ",".join(s["name"] for s in m["sources"]))

def main():
    parser = argparse.ArgumentParser(description="restore from a cofre repository, without cofre")
    parser.add_argument("repository")
    parser.add_argument("--key", help="file with the full key; not needed with encryption = none")
    parser.add_argument("--no-index", action="store_true", help="find chunks by the packs' own directories")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list")
    command = commands.add_parser("restore")
    command.add_argument("snapshot", help="HOST/JOB/ID")
    command.add_argument("out")
    command.add_argument("--source")
    args = parser.parse_args()
    try:
        repository = Repository(args.repository, args.key, not args.no_index)
        if args.command == "list":
            list_snapshots(repository)
        else:
            restore(repository, args.snapshot, args.out, args.source)
    except (Bad, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0

if __name__ == "__main__":
    sys.exit(main())
