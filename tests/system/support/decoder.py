#!/usr/bin/python3
"""Restores snapshots from a cofre repository in a directory, without cofre; written from docs/format.md alone.

  decoder.py REPOSITORY [--key FILE] [--no-index] list
  decoder.py REPOSITORY [--key FILE] [--no-index] restore HOST/JOB/ID OUT [--source NAME]

Restores below OUT/SOURCE/. Any deviation from the format is an error with exit status 1. Meant to be read: one section
of the format after another, everything checked.
"""
import argparse, bisect, contextlib, hashlib, json, os, re, stat, struct, subprocess, sys, tempfile
from functools import cached_property, lru_cache, partial
from itertools import accumulate
from urllib.parse import quote, unquote_to_bytes
import nacl.bindings as sodium, nacl.exceptions, zstandard

NAME, ID, HASH = "[a-z0-9][a-z0-9_-]{0,62}", "[0-9]{8}T[0-9]{6}Z-[0-9a-f]{6}", "[0-9a-f]{64}"
CHUNK_MAX, RECORD_MAX, PACK_MAX, INDEX_MAX, ZERO = 2 << 20, 4 << 20, 24 << 20, 8 << 20, bytes(32)

class Bad(Exception):
    """Something is not as docs/format.md says."""
def check(condition, what, value=None):
    """The value, of which that holds."""
    if not condition:
        raise Bad(what)
    return value
def attempt(what, function, *arguments):
    """What it returns. That it cannot is a deviation from the format."""
    try:
        return function(*arguments)
    except (nacl.exceptions.CryptoError, zstandard.ZstdError, ValueError) as error:
        raise Bad(f"{what}: {error}") from error
@contextlib.contextmanager
def leave_out():
    """What is wrong in here counts for nothing."""
    try:
        yield
    except (Bad, OSError) as error:
        print(f"left out: {error}", file=sys.stderr)

# ---- 1: conventions
def H(data, key=b""):
    """BLAKE3, by b3sum, which takes the key from its standard input."""
    with tempfile.NamedTemporaryFile(buffering=0) as file:
        file.write(data)
        return subprocess.check_output(["b3sum", "--raw", *["--keyed"][: len(key)], file.name], input=key)
def unhex(value, what, size):
    return bytes.fromhex(word(value, what, "[0-9a-f]{%d}" % (2 * size)))
def verify(public, signature, message, what):
    attempt(f"{what}: wrong signature", sodium.crypto_sign_open, signature + message, public)
def aead_open(key, nonce, context, sealed, what):
    return attempt(f"{what}: does not open", sodium.crypto_aead_xchacha20poly1305_ietf_decrypt, sealed, context, nonce, key)
def position(n):
    return struct.pack("<Q", n) + bytes(16)
def unframe(frame, limit, what):
    header = attempt(f"{what}: damaged frame", zstandard.get_frame_parameters, frame)
    check(header.content_size <= limit and not header.dict_id, f"{what}: wrong frame")
    unpacker = zstandard.ZstdDecompressor().decompressobj()
    plain = attempt(f"{what}: damaged frame", unpacker.decompress, frame)
    return check(unpacker.eof and not unpacker.unused_data and len(plain) == header.content_size, f"{what}: not one frame", plain)

class Cursor:
    """Reads little-endian fields one after another; beyond the end is an error."""
    def __init__(self, data, what):
        self.data, self.at, self.what = data, 0, what
    def take(self, n):
        check(n <= len(self.data) - self.at, f"{self.what}: ends early")
        self.at += n
        return self.data[self.at - n : self.at]
    def numbers(self, form):
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))
    def number(self, form):
        return self.numbers(form)[0]
    def end(self):
        check(self.at == len(self.data), f"{self.what}: is too long")

# ---- 3: keys
class Key:
    def __init__(self, seed):
        derived = [hashlib.blake2b(b"", digest_size=32, key=seed, salt=struct.pack("<QQ", i, 0),
                                   person=b"cofrekey" + bytes(8)).digest() for i in range(7)]
        self.chunk_id_key, self.index_key = derived[1], derived[3]
        self.box_public, self.box_secret = sodium.crypto_box_seed_keypair(derived[4])
        (self.root, _), (self.signer, _) = map(sodium.crypto_sign_seed_keypair, derived[5:])
        self.id = H(b"cofre key id 1" + self.box_public + self.root)[:16]
    @classmethod
    def load(cls, path):
        with open(path, "rb") as file:
            lines = file.read().decode("latin-1")
        form = re.fullmatch("(cofre full key 1\nid: (.{32})\nseed: ([0-9a-f]{64})\n)check: (.{16})\n", lines)
        check(form and H(form[1].encode())[:8].hex() == form[4], f"{path}: not a full key, or mistyped")
        key = cls(bytes.fromhex(form[3]))
        return check(key.id.hex() == form[2], f"{path}: its id is not that of its seed", key)
    def begin(self, c, magic):
        check(c.take(8) == magic, f"{c.what}: wrong magic")
        check(c.take(16) == self.id, f"{c.what}: made with another key")
    def unwrap(self, wrapped, what):
        return attempt(f"{what}: the box key does not open", sodium.crypto_box_seal_open, wrapped, self.box_public, self.box_secret)

# ---- 5: envelopes
ADD, REMOVE = 1, 2
def open_envelope(key, magic, wrapped_size, data, what, limit):
    """Who signed it, for which host ("": any), the clear part, the body."""
    c = Cursor(data, what)
    key.begin(c, magic)
    signer, certificate, length = c.numbers("32s128sI")
    clear, wrapped = c.take(length), c.take(wrapped_size)
    head, end = data[: c.at], len(data) - 64
    check(length <= 4096 and end - c.at >= 16, f"{what}: impossible lengths")
    verify(signer, data[end:], b"cofre envelope 1" + H(data[:end]), what)
    check(0 < certificate[0] <= ADD | REMOVE and certificate[0] & ADD, f"{what}: its signer may not add")
    host = certificate[1:64].rstrip(b"\0").decode("latin-1")
    check(not host or re.fullmatch(NAME, host), f"{what}: malformed certificate")
    verify(key.root, certificate[64:], b"cofre signer 1" + key.id + signer + certificate[:64], what + ", certificate")
    by_index_key = wrapped_size == 72
    box = aead_open(key.index_key, wrapped[:24], magic, wrapped[24:], what) if by_index_key else key.unwrap(wrapped, what)
    return signer, host, clear, unframe(aead_open(box, position(0), head, data[c.at : end], what), limit, what)

# ---- the repository: 2, 4, 6, 7, 8
def read_chunks(c, count, end):
    """Of a directory or an index: id, offset, stored, plain of each; they fill a pack from its header to end."""
    chunks, at = [], 104
    for _ in range(count):
        chunk_id, offset, stored, plain = c.numbers("32sIII")
        check(chunk_id != ZERO and stored > 16 and 1 <= plain <= CHUNK_MAX, f"{c.what}: impossible chunk")
        check(offset == at, f"{c.what}: chunks are not in a row")
        chunks.append((chunk_id, offset, stored, plain))
        at += stored
    return check(at == end and 1 <= count <= 65536, f"{c.what}: wrong number of chunks, or a gap", chunks)

class Repository:
    def __init__(self, path, key_path, use_index):
        self.path = path
        self.key = self.read_config(key_path)
        self.revoked = self.read_revoked()
        self.places = self.read_all(self.walk("index", NAME, HASH) if use_index else [], self.read_index)
    def read(self, name, at=0, size=-1):
        with open(os.path.join(self.path, name), "rb") as file:
            file.seek(at)
            return file.read(size)
    def walk(self, top, *forms):
        """The names below it whose parts look right, one after another; other things are none of our business."""
        if not forms:
            return [top]
        where = os.path.join(self.path, top)
        parts = [part for part in sorted(os.listdir(where)) if re.fullmatch(forms[0], part)] if os.path.isdir(where) else []
        return [name for part in parts for name in self.walk(f"{top}/{part}", *forms[1:])]
    def statement(self, name, label, limit):
        """Its JSON, and what checks the root's signature."""
        line, end, rest = self.read(name).partition(b"\n")
        check(end and len(line) <= limit and re.fullmatch(rb"[0-9a-f]{128}\n", rest), f"{name}: wrong form")
        return parse_json(line, name), lambda root: verify(root, bytes.fromhex(rest.decode()), label + H(line), name)
    def read_revoked(self):
        """Signer -> hashes of the manifests that still count. What no root has signed says nothing."""
        revoked = {}
        for name in self.walk("signers/revoked", HASH):
            with leave_out():
                said, is_signed_by = self.statement(name, b"cofre revoked 1", 8 << 20)
                is_signed_by(self.key.root)
                revoked[name] = said
        check(all(said.get("format") == 1 for said in revoked.values()), "signers/revoked: unknown format")
        return {bytes.fromhex(said["signer"]): list_of(HEX32)(said.get("counting"), name) for name, said in revoked.items()
                if said.get("signer") == os.path.basename(name)}
    def read_config(self, key_path):
        config, is_signed_by = self.statement("config", b"cofre config 1", 4096)
        check(config.get("format") == 1 and config.get("features") == [], "config: unknown format or features")
        check(config.get("encryption") in ("none", "x25519-xchacha20poly1305"), "config: unknown encryption")
        check(key_path or config["encryption"] == "none", "config: this repository is encrypted: give the key")
        key = Key.load(key_path) if key_path else Key(unhex(config.get("seed"), "config: seed", 32))
        for member, value in (("key", key.id), ("box", key.box_public), ("root", key.root), ("signer", key.signer)):
            check(unhex(config.get(member), "config", len(value)) == value, f"config: {member} is not that of this key")
        is_signed_by(key.root)
        self.id = unhex(config.get("repository"), "config: repository", 16)
        return key
    def read_all(self, names, read):
        """Chunk id -> where it may be. What is read proves nothing but itself, so whatever is wrong is left out."""
        places = {}
        for name in names:
            with leave_out():
                for pack, chunks in read(name):
                    for chunk_id, *place in chunks:
                        places.setdefault(chunk_id, []).append((pack, *place))
        return places
    def read_index(self, name):
        data, packs = self.read(name), []
        check(len(data) <= INDEX_MAX + 65536 and H(data).hex() == os.path.basename(name), f"{name}: its name is not its hash")
        _, of, clear, body = open_envelope(self.key, b"cofreix1", 72, data, name, min(INDEX_MAX, 2 * len(data) + 4096))
        c = Cursor(body, name)
        host = word(c.take(c.number("H")).decode("latin-1"), f"{name}: host")
        check(of in ("", host) and clear == b"", f"{name}: signed by another host, or has a clear part")
        check(host == name.split("/")[1], f"{name}: stands under another host")
        for _ in range(c.numbers("QI")[1]):
            pack, size, count = c.numbers("32sQI")
            check(size <= PACK_MAX, f"{name}: impossible pack")
            chunks = read_chunks(c, count, size - 44 * count - 24)
            pack = f"packs/{host}/{pack.hex()[:2]}/{pack.hex()}"
            path = os.path.join(self.path, pack)
            if os.path.exists(path) and os.path.getsize(path) == size:
                packs.append((pack, chunks))
        c.end()
        return packs
    @cached_property
    def directories(self):
        packs = self.walk("packs", NAME, "[0-9a-f]{2}", HASH)
        return self.read_all([pack for pack in packs if re.fullmatch(r"packs/.*/(..)/\1[^/]*", pack)], self.read_directory)
    def read_directory(self, pack):
        data = self.read(pack)
        check(H(data).hex() == os.path.basename(pack), f"{pack}: its name is not its hash")
        check(len(data) >= 112 and data[-4:] == b"1kpc", f"{pack}: wrong end")
        start = len(data) - 8 - struct.unpack("<I", data[-8:-4])[0]
        check(start >= 104 and len(data) <= PACK_MAX, f"{pack}: wrong length")
        c = Cursor(aead_open(self.box_of(pack), position(2**64 - 1), b"directory", data[start:-8], pack), pack)
        chunks = read_chunks(c, len(c.data) // 44, start)
        c.end()
        return [(pack, chunks)]
    @lru_cache(maxsize=4096)
    def box_of(self, pack):
        c = Cursor(self.read(pack, size=104), pack)
        self.key.begin(c, b"cofrepk1")
        return self.key.unwrap(c.take(80), pack)
    @lru_cache(maxsize=32)
    def chunk(self, chunk_id):
        """Plain bytes. Any good copy will do, also one that no index tells of; without one, the last fault counts."""
        fault = Bad(f"chunk {chunk_id.hex()}: is nowhere")
        for places in ("places", "directories"):
            for place in getattr(self, places).get(chunk_id, []):
                try:
                    return self.open_chunk(chunk_id, *place)
                except (Bad, OSError) as error:
                    fault = error
        raise fault
    def open_chunk(self, chunk_id, pack, offset, stored, plain_size):
        what, sealed = f"{pack}, chunk at {offset}", self.read(pack, offset, stored)
        plain = unframe(aead_open(self.box_of(pack), position(offset), b"chunk" + chunk_id, sealed, what), CHUNK_MAX, what)
        return check(len(plain) == plain_size and H(plain, self.key.chunk_id_key) == chunk_id, f"{what}: has not its id", plain)

# ---- 10: manifests
def parse_json(data, what):
    def once(pairs):
        return check(len(dict(pairs)) == len(pairs), f"{what}: a member is there twice", dict(pairs))
    bare = re.sub(rb'"(?:[^"\\]|\\.)*"', b" 0 ", data, flags=re.DOTALL)
    values = 4 * len(re.findall(rb"[\[{]", bare)) + len(re.findall(rb"[-+.\w]+", bare))
    depth = max(accumulate(1 if c in b"[{" else -1 for c in re.findall(rb"[][{}]", bare)), default=0)
    check(values <= 750000 and depth <= 32, f"{what}: more values than there may be, or nested too deep")
    value = attempt(f"{what}: no JSON", lambda: json.loads(data.decode("utf-8"), object_pairs_hook=once))
    return check(isinstance(value, dict), f"{what}: no JSON object", value)
PLAIN = "".join(chr(c) for c in range(0x20, 0x7F) if chr(c) not in '%"\\')
def text(value, what):
    """Percent-encoded text as bytes; there is one right way to encode."""
    check(isinstance(value, str) and value.isascii(), f"{what}: wrong text")
    out = unquote_to_bytes(value)
    return check(quote(out, safe=PLAIN) == value and 0 not in out, f"{what}: text that is not well encoded", out)
def number(value, what, minimum=0):
    return check(type(value) is int and minimum <= value < 2**63, f"{what}: not a number in range", value)
def word(value, what, form=NAME):
    return check(isinstance(value, str) and re.fullmatch(form, value), f"{what}: wrong name or id", value)
def is_path(path):
    return len(path) <= 65535 and 0 not in path and (path == b"" or not {b"", b".", b".."} & set(path.split(b"/")))
def list_of(shape, most=1 << 30):
    def items(value, what):
        check(isinstance(value, list) and len(value) <= most, f"{what}: no list, or too long")
        return [members(shape, item, what) if isinstance(shape, dict) else shape(item, what) for item in value]
    return items
def members(shape, value, what):
    """The object's members, each by its function; a name that ends with '?' may be left out."""
    check(isinstance(value, dict), f"{what}: no object")
    lacking = [member for member in shape if not member.endswith("?") and member not in value]
    check(not lacking, f"{what}: lacks {lacking}")
    known = {member.rstrip("?"): read for member, read in shape.items()}
    return {member: read(value[member], f"{what}, {member}") for member, read in known.items() if member in value}
HEX16, HEX32 = partial(unhex, size=16), partial(unhex, size=32)
SNAPSHOT, STATUS, TIME = partial(word, form=ID), "complete|incomplete", partial(number, minimum=-(2**63))
OPTIONS, FACTS = (list_of({"key": text, "value": text}, most) for most in (4096, 50000))
PARTS = list_of({"name": text, "entries": number, "bytes": number}, 200)
SOURCE = {
    "name": word, "plugin": word, "plugin_version?": text, "status": partial(word, form=STATUS + "|missing"),
    "error?": text, "suspect?": text, "options": OPTIONS, "facts": FACTS, "entries": number, "bytes": number, "parts?": PARTS,
    "left_out_count": number, "left_out": list_of({"name": text, "why": text}), "vanished": number, "fingerprint_key": HEX16,
    "problem_count": number, "problems": list_of({"path": text, "error": text, "hint?": text}),
    "catalogue": list_of({"id": HEX32, "length": number, "first_record": number, "first_path": text}), "catalogue_bytes": number,
}
MANIFEST = {
    "format": number, "features": list_of(text), "id": SNAPSHOT, "job": word, "host": word, "version": text, "started": TIME,
    "ended": TIME, "status": partial(word, form=STATUS), "label?": text, "previous?": SNAPSHOT, "added": number,
    "partial?": lambda value, what: check(value is True, f"{what}: is not true", value),
    "missed": list_of({"repository": HEX16, "id": SNAPSHOT}), "indexes": list_of(HEX32), "sources": list_of(SOURCE),
}
def read_manifest(repository, snapshot):
    what, data = f"snapshots/{snapshot}", repository.read(f"snapshots/{snapshot}")
    check(len(data) <= 16 << 20, f"{what}: too large")
    signer, of, clear, body = open_envelope(repository.key, b"cofremf1", 80, data, what, min(32 << 20, (4 << 20) + 256 * len(data)))
    check(H(data) in repository.revoked.get(signer, [H(data)]), f"{what}: its signer was revoked")
    check(len(clear) == 92 and clear[40:72] == H(what.encode()), f"{what}: is another manifest")
    m = members(MANIFEST, parse_json(body, what), what)
    check(m["format"] == 1 and m["features"] == [], f"{what}: unknown format or features")
    check(f"snapshots/{m['host']}/{m['job']}/{m['id']}" == what, f"{what}: is another manifest")
    check(of in ("", m["host"]), f"{what}: signed by another host")
    started, ended, flags = struct.unpack("<qqI", clear[72:])
    flagged = (m["status"] != "complete") + 2 * m.get("partial", False) + 4 * any("suspect" in s for s in m["sources"])
    check((started, ended, flags & 7) == (m["started"], m["ended"], flagged), f"{what}: clear part and body differ")
    m["sequence"], m["previous_hash"], m["hash"] = *struct.unpack("<Q32s", clear[:40]), H(data)
    check(0 < m["sequence"] < 2**63, f"{what}: wrong sequence number")
    check((clear[8:40] == ZERO) == ("previous" not in m), f"{what}: previous id and hash disagree")
    check(m["sources"] and len({s["name"] for s in m["sources"]}) == len(m["sources"]), f"{what}: wrong sources")
    for source in m["sources"]:
        check_source(m, source, f"{what}, source {source['name']}")
    return m
def check_source(m, source, what):
    check(m["status"] != "complete" or source["status"] == "complete", f"{what}: not complete")
    missing = source["status"] == "missing"
    check(not missing or ("error" in source and not source["catalogue"]), f"{what}: missing, yet something is there")
    check(not (missing and "suspect" in source), f"{what}: missing, and said to be suspect")
    check(len(source["problems"]) <= min(1000, source["problem_count"]), f"{what}: wrong number of problems")
    for i, chunk in enumerate(source["catalogue"]):
        check(1 <= chunk["length"] <= CHUNK_MAX and chunk["first_record"] <= chunk["length"], f"{what}: wrong chunk")
        check(i > 0 or chunk["first_record"] == 0, f"{what}: catalogue begins in the middle")
    check(sum(chunk["length"] for chunk in source["catalogue"]) == source["catalogue_bytes"], f"{what}: wrong length")

# ---- 9: catalogues
FILE, DIRECTORY, SYMLINK, HARDLINK, FIFO, CHARACTER, BLOCK, SOCKET, STREAM = range(1, 10)
def read_catalogue(repository, source):
    """The entries, their extents complete."""
    what, entries, starts = f"catalogue of {source['name']}", [], []
    plain = [repository.chunk(chunk["id"]) for chunk in source["catalogue"]]
    check([*map(len, plain)] == [chunk["length"] for chunk in source["catalogue"]], f"{what}: a chunk of another length")
    c = Cursor(b"".join(plain), what)
    while c.at < len(c.data):
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
    impossible = kind > STREAM or status > 2 or zero or fields & 128 or (kind == 0 and (status or fields & ~64))
    check(not impossible, f"{c.what}: impossible record")
    check((kind == 0) == (unfinished is not None), f"{c.what}: a continuation is missing, or continues nothing")
    if kind == 0:
        unfinished["extents"] += read_extents(c)
        unfinished["more"] = bool(fields & 64)
        return None
    entry = {"kind": kind, "status": status, "more": bool(fields & 64), "path": c.take(c.number("H"))}
    entry.update(zip(("mode", "uid", "gid", "mtime", "size"), c.numbers("IIIqQ")))
    what = c.what = f"{c.what}: {entry['path']!r}"
    check(is_path(entry["path"]) and (entry["path"] or kind == DIRECTORY), f"{what}: no path")
    check(entry["mode"] <= 0o7777 and entry["size"] < 2**63, f"{what}: impossible mode or size")
    expected = 2 * (kind in (SYMLINK, HARDLINK)) + 16 * (kind in (CHARACTER, BLOCK)) + 32 * (status != 0)
    check(fields & (2 + 16 + 32) == expected, f"{what}: fields do not fit")
    read_optional(c, fields, entry)
    entry["extents"] = read_extents(c)
    content = entry["extents"] or entry["more"]
    check(kind in (FILE, STREAM) or not (content or entry["size"]), f"{what}: content where none can be")
    check(status != 2 or not content, f"{what}: unreadable, yet there is content")
    return entry
def read_optional(c, fields, entry):
    c.take(16 if fields & 1 else 0)
    if fields & 2:
        link = entry["link"] = c.take(c.number("H"))
        check(link and 0 not in link and (entry["kind"] == SYMLINK or is_path(link)), f"{c.what}: wrong link")
    if fields & 4:
        entry["user"], entry["group"] = c.take(c.number("B")), c.take(c.number("B"))
        check(0 not in entry["user"] + entry["group"], f"{c.what}: wrong owner")
    if fields & 8:
        pairs = entry["attributes"] = [(c.take(c.number("B")), c.take(c.number("I"))) for _ in range(c.number("H"))]
        check(pairs and all(key and 0 not in key for key, _ in pairs), f"{c.what}: wrong attributes")
    if fields & 16:
        entry["device"] = c.numbers("II")
    if fields & 32:
        entry["error"] = c.take(c.number("H"))
def read_extents(c):
    count, extents = c.number("I"), []
    check(count <= 4096, f"{c.what}: too many extents")
    for _ in range(count):
        chunk_id, offset, length = c.numbers("32sIQ")
        check(length > 0 and (offset == 0 if chunk_id == ZERO else offset + length <= CHUNK_MAX), f"{c.what}: impossible extent")
        extents.append((chunk_id, offset, length))
    c.end()
    return extents

# ---- 13: restoring
NODES = {FIFO: stat.S_IFIFO, CHARACTER: stat.S_IFCHR, BLOCK: stat.S_IFBLK}
def restore_source(repository, source, out):
    made, directories = {}, []  # made: path -> kind, None = left out
    os.makedirs(out, exist_ok=True)
    for entry in read_catalogue(repository, source):
        kind, parts = entry["kind"], entry["path"].split(b"/")
        above = {made.setdefault(b"/".join(parts[:i]), DIRECTORY) for i in range(1, len(parts))}
        check(above <= {DIRECTORY}, f"{entry['path']!r}: below what is no directory")
        made[entry["path"]] = kind
        path = os.path.join(out, entry["path"]) if parts[0] else out
        os.makedirs(os.path.dirname(path), exist_ok=True)
        why = make(repository, entry, path, out, made)
        if why:
            made[entry["path"]] = None
            print(f"left out: {entry['path']!r}: {why}", file=sys.stderr)
        elif kind == DIRECTORY:
            directories.append((path, entry))
        elif kind not in (HARDLINK, STREAM):
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
        check(made.get(entry["link"], DIRECTORY) != DIRECTORY, f"{entry['path']!r}: a link to nothing")
        if made[entry["link"]] is None:
            return "so was what it links to"
        os.link(os.path.join(out, entry["link"]), path, follow_symlinks=False)
    elif kind == SOCKET or (kind != FIFO and os.geteuid() != 0):
        return "a socket" if kind == SOCKET else "a device takes root"
    else:
        os.mknod(path, 0o600 | NODES[kind], os.makedev(*entry.get("device", (0, 0))))
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
    sources = [s for s in read_manifest(repository, snapshot)["sources"] if only in (None, s["name"])]
    check(sources, f"no source {only!r} in {snapshot}")
    for source in sources:
        if source["status"] == "missing":
            print(f"missing: {source['name']}: {source['error'].decode(errors='replace')}", file=sys.stderr)
        else:
            restore_source(repository, source, os.fsencode(os.path.join(out, source["name"])))
def list_snapshots(repository):
    """One line per snapshot; what the chain says is checked where both ends are there. What cannot be read is named, too."""
    names, chain = repository.walk("snapshots", NAME, NAME, ID), {}
    for name in names:
        with leave_out():
            snapshot = name.partition("/")[2]
            m = read_manifest(repository, snapshot)
            before = chain.get((m["host"], m["job"], m.get("previous")))
            good = not before or (before["hash"] == m["previous_hash"] and before["sequence"] < m["sequence"])
            check(good, f"{snapshot}: does not follow the snapshot that it names as the one before")
            print(snapshot, m["status"], m["sequence"], ",".join(s["name"] for s in m["sources"]))
            chain[m["host"], m["job"], m["id"]] = m
    check(len(chain) == len(names), f"{len(names) - len(chain)} snapshots were left out")
def main():
    parser = argparse.ArgumentParser(description="restore from a cofre repository, without cofre")
    parser.add_argument("repository")
    parser.add_argument("--key", help="file with the full key; not needed with encryption = none")
    parser.add_argument("--no-index", action="store_true", help="find chunks by the packs' own directories")
    parser.add_argument("--source", help="restore only this one")
    parser.add_argument("command", choices=["list", "restore"])
    parser.add_argument("target", nargs="*", metavar="SNAPSHOT OUT", help="of restore")
    args = parser.parse_args()
    if len(args.target) != (2 if args.command == "restore" else 0):
        parser.error("restore takes a snapshot and a directory, list nothing")
    repository = Repository(args.repository, args.key, not args.no_index)
    list_snapshots(repository) if args.command == "list" else restore(repository, *args.target, args.source)

if __name__ == "__main__":
    try:
        main()
    except (Bad, OSError) as error:
        sys.exit(f"error: {error}")
