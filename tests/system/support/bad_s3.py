"""An S3 in memory that misbehaves as it is told: for one request, for a number of them, or for all.

It knows as much of S3 as the plugin uses, and checks the signature of every request, with code of its own.
"""
from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
import http.server
import re
import socket
import struct
import threading
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field

ACCESS, SECRET, REGION = 'AKBAD', 'bad/secret+key', 'eu-test-1'
XML = '<?xml version="1.0" encoding="UTF-8"?>\n'


@dataclass
class Fault:
    operation: str                       # as named by Handler.operation, or '*'
    act: Callable[['Handler'], None]     # answers instead of the store, or harms its answer; True = go on as usual
    times: int = 1
    after: int = 0                       # so many of that operation go well first


@dataclass
class Part:
    number: int
    content: bytes


@dataclass
class Store:
    objects: dict[str, bytes] = field(default_factory=dict)
    times: dict[str, float] = field(default_factory=dict)  # when each was stored
    retained: dict[str, str] = field(default_factory=dict)
    uploads: dict[str, dict] = field(default_factory=dict)
    conditional: bool = True
    lock: bool = True
    frames: bool = False                 # of a body that is signed in pieces the frames are kept with the bytes
    bucket: bool = True
    ahead: float = 0                     # its clock, seconds
    page: int = 1000
    seen: list[str] = field(default_factory=list)
    got: list[str] = field(default_factory=list)  # keys that were read
    signed: dict[str, dict] = field(default_factory=dict)  # operation: the headers that the signature of its last one covers
    kept: set[str] = field(default_factory=set)  # keys that are not removed together with others
    problems: list[str] = field(default_factory=list)


def etag(content: bytes) -> str:
    return f'"{hashlib.md5(content).hexdigest()}"'


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    server: 'BadS3'

    def log_message(self, *_):
        pass

    # ---- the request -------------------------------------------------------------------------------------------------

    @property
    def operation(self) -> str:
        if not self.key:
            special = next((name for name in ('uploads', 'object-lock', 'delete') if name in self.query), None)
            return {'uploads': 'uploads', 'object-lock': 'lock-status', 'delete': 'remove-many'}.get(special, {'GET': 'list', 'PUT': 'make'}.get(self.command, '?'))
        if 'retention' in self.query:
            return 'retain' if self.command == 'PUT' else 'retention'
        if 'uploads' in self.query:
            return 'begin'
        if 'uploadId' in self.query:
            return {'PUT': 'part', 'POST': 'complete', 'DELETE': 'abort'}[self.command]
        if self.key.endswith(('~probe', '~pieces')) and self.command == 'PUT':
            return 'probe'
        return {'PUT': 'put', 'GET': 'get', 'HEAD': 'head', 'DELETE': 'remove'}[self.command]

    def signature(self, text: str, scope: str) -> str:
        key = f'AWS4{SECRET}'.encode()
        for part in scope.split('/'):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

    def check_signature(self) -> tuple[str, str] | None:
        """Date and signature, for the pieces; None with an answer sent."""
        found = re.fullmatch(r'AWS4-HMAC-SHA256 Credential=([^/]+)/([^,]+),SignedHeaders=([^,]+),Signature=(\w+)',
                             self.headers.get('authorization', ''))
        if not found or found[1] != ACCESS:
            return self.fail(403, 'InvalidAccessKeyId')
        address = urllib.parse.urlsplit(self.path)
        lines = [self.command, address.path, address.query]
        lines += [f'{name}:{self.headers[name].strip()}' for name in found[3].split(';')]
        lines += ['', found[3], self.headers['x-amz-content-sha256']]
        date = self.headers['x-amz-date']
        text = f'AWS4-HMAC-SHA256\n{date}\n{found[2]}\n{hashlib.sha256(chr(10).join(lines).encode()).hexdigest()}'
        if self.signature(text, found[2]) != found[4]:
            return self.fail(403, 'SignatureDoesNotMatch')
        self.scope = found[2]
        self.signed = {name: self.headers[name] for name in found[3].split(';')}
        return date, found[4]

    def drain(self) -> bytes:
        """What comes with the request, once: an answer that is closed behind an unread body can get lost."""
        if not self.drained:
            self.drained = True
            self.raw = self.rfile.read(int(self.headers.get('content-length', 0)))
        return self.raw

    def read_body(self, date: str, signature: str) -> bytes | None:
        raw = self.drain()
        hashed = self.headers['x-amz-content-sha256']
        if hashed != 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD':
            return raw if hashlib.sha256(raw).hexdigest() == hashed else self.fail(400, 'XAmzContentSHA256Mismatch')
        content, at, last = b'', 0, None
        empty = hashlib.sha256(b'').hexdigest()
        while last != b'':
            head = re.match(rb'([0-9a-f]+);chunk-signature=(\w{64})\r\n', raw[at:at + 200])
            size = int(head[1], 16)
            at += head.end()
            last = raw[at:at + size]
            at += size + 2
            text = f'AWS4-HMAC-SHA256-PAYLOAD\n{date}\n{self.scope}\n{signature}\n{empty}\n{hashlib.sha256(last).hexdigest()}'
            signature = self.signature(text, self.scope)
            if signature != head[2].decode():
                return self.fail(403, 'SignatureDoesNotMatch')
            content += last
        assert at == len(raw) and len(content) == int(self.headers['x-amz-decoded-content-length'])
        return raw if self.store.frames else content

    def handle_request(self) -> None:
        address = urllib.parse.urlsplit(self.path)
        self.query = dict(urllib.parse.parse_qsl(address.query, keep_blank_values=True))
        _, _, key = urllib.parse.unquote(address.path).lstrip('/').partition('/')
        self.key, self.drained, self.whole_only = key, False, False
        self.store = self.server.store
        self.harm: Callable[[bytes, dict], tuple[bytes, dict]] | None = None
        self.store.seen.append(self.operation)
        if self.operation == 'get':
            self.store.got.append(self.key)
        fault = self.server.take_fault(self.operation)
        if fault and fault.act(self) is not True:
            return
        signed = self.check_signature()
        if not signed:
            return
        self.store.signed[self.operation] = self.signed
        self.body = self.read_body(*signed)
        if self.body is None:
            return
        if not self.store.bucket and self.operation != 'make':
            self.fail(404, 'NoSuchBucket')
            return
        getattr(self, 'do_' + self.operation.replace('-', '_'))()

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_request

    # ---- answers -----------------------------------------------------------------------------------------------------

    def answer(self, status: int = 200, body: bytes | str = b'', headers: dict | None = None) -> None:
        body = body.encode() if isinstance(body, str) else body
        headers = {'Content-Length': str(len(body))} | (headers or {})
        if self.harm:
            body, headers = self.harm(body, headers)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(body)
        if headers.get('Connection') == 'close':
            self.close_connection = True

    def fail(self, status: int, code: str = '', message: str = 'as told', headers: dict | None = None, more: str = '') -> None:
        body = f'{XML}<Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>' if code else ''
        self.drain()
        self.close_connection = True
        self.answer(status, body, {'Connection': 'close'} | (headers or {}))

    def hang_up(self) -> None:
        """A reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.close_connection = True
        self.connection.close()

    # ---- the store ---------------------------------------------------------------------------------------------------

    def put_under(self, content: bytes) -> bool:
        if self.headers.get('if-none-match') == '*' and self.store.conditional and self.key in self.store.objects:
            self.fail(412, 'PreconditionFailed')
            return False
        self.store.objects[self.key], self.store.times[self.key] = content, time.time() + self.store.ahead
        return True

    def do_put(self) -> None:
        if self.put_under(self.body):
            self.answer(headers={'ETag': etag(self.body)})

    do_probe = do_put

    def do_get(self) -> None:
        content = self.store.objects.get(self.key)
        if content is None:
            return self.fail(404, 'NoSuchKey')
        wanted = re.fullmatch(r'bytes=(\d+)-(\d*)', self.headers.get('range', ''))
        if not wanted or self.whole_only:
            return self.answer(200, content, {'ETag': etag(content)})
        first, last = int(wanted[1]), min(int(wanted[2] or len(content) - 1), len(content) - 1)
        if first >= len(content):
            return self.fail(416, 'InvalidRange')
        return self.answer(206, content[first:last + 1], {'Content-Range': f'bytes {first}-{last}/{len(content)}'})

    def do_head(self) -> None:
        content = self.store.objects.get(self.key)
        if content is None:
            self.answer(404)
        else:
            mark = f'"{"0" * 32}-{self.store.uploads.get(self.key, {}).get("count", 1)}"'
            self.answer(200, b'', {'Content-Length': str(len(content)), 'ETag': mark,
                                   'Last-Modified': 'Fri, 24 May 2013 00:00:00 GMT'})

    def do_remove(self) -> None:
        self.store.objects.pop(self.key, None)
        self.answer(204)

    def do_remove_many(self) -> None:
        assert base64.b64encode(hashlib.md5(self.body).digest()).decode() == self.headers['content-md5']
        refused = ''
        for key in re.findall('<Key>(.*?)</Key>', self.body.decode()):
            if key in self.store.kept:
                refused += f'<Error><Key>{key}</Key><Code>InternalError</Code><Message>as told</Message></Error>'
            else:
                self.store.objects.pop(key, None)
        self.answer(200, f'{XML}<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{refused}</DeleteResult>')

    def time_of(self, key: str) -> str:
        then = datetime.datetime.fromtimestamp(self.store.times.get(key, 0), datetime.timezone.utc)
        return f'{then:%Y-%m-%dT%H:%M:%S}.000Z'

    def do_list(self) -> None:
        prefix, after = self.query.get('prefix', ''), self.query.get('continuation-token', '')
        keys = [key for key in sorted(self.store.objects) if key.startswith(prefix) and key > after]
        page = keys[:self.store.page]
        body = ''.join(f'<Contents><Key>{urllib.parse.quote(key)}</Key><Size>{len(self.store.objects[key])}</Size>'
                       f'<LastModified>{self.time_of(key)}</LastModified></Contents>' for key in page)
        more = f'<NextContinuationToken>{page[-1]}</NextContinuationToken>' if len(keys) > len(page) else ''
        self.answer(200, f'{XML}<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><EncodingType>url'
                         f'</EncodingType><IsTruncated>{"true" if more else "false"}</IsTruncated>{more}{body}</ListBucketResult>')

    def do_begin(self) -> None:
        name = f'upload-{len(self.store.uploads)}+/='
        self.store.uploads[name] = {'key': self.key, 'parts': {}, 'since': datetime.datetime(2020, 1, 1)}
        self.answer(200, f'{XML}<InitiateMultipartUploadResult><UploadId>{name}</UploadId></InitiateMultipartUploadResult>')

    def do_part(self) -> None:
        upload = self.store.uploads.get(self.query['uploadId'])
        if not upload:
            return self.fail(404, 'NoSuchUpload')
        upload['parts'][int(self.query['partNumber'])] = self.body
        return self.answer(headers={'ETag': etag(self.body)})

    def do_complete(self) -> None:
        upload = self.store.uploads.pop(self.query['uploadId'], None)
        if not upload:
            return self.fail(404, 'NoSuchUpload')
        listed = re.findall(r'<PartNumber>(\d+)</PartNumber><ETag>(.*?)</ETag>', self.body.decode())
        parts = [upload['parts'][int(number)] for number, _ in listed]
        assert [tag for _, tag in listed] == [etag(part) for part in parts]
        if self.put_under(b''.join(parts)):
            self.store.uploads[self.key] = {'count': len(parts), 'done': True}
            return self.answer(200, f'{XML}<CompleteMultipartUploadResult><Key>{self.key}</Key></CompleteMultipartUploadResult>')
        return None

    def do_abort(self) -> None:
        self.store.uploads.pop(self.query['uploadId'], None)
        self.answer(204)

    def do_uploads(self) -> None:
        body = ''.join(f'<Upload><Key>{u["key"]}</Key><UploadId>{name}</UploadId><Initiated>{u["since"].isoformat()}Z'
                       f'</Initiated></Upload>' for name, u in self.store.uploads.items() if not u.get('done')
                       and u['key'].startswith(self.query.get('prefix', '')))
        self.answer(200, f'{XML}<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>{body}</ListMultipartUploadsResult>')

    def do_retain(self) -> None:
        until = re.search(r'<RetainUntilDate>(.*?)<', self.body.decode())[1]
        if until < self.store.retained.get(self.key, ''):
            return self.fail(403, 'AccessDenied')
        self.store.retained[self.key] = until
        return self.answer()

    def do_retention(self) -> None:
        self.answer(200, f'<Retention><RetainUntilDate>{self.store.retained.get(self.key, "")}</RetainUntilDate></Retention>')

    def do_lock_status(self) -> None:
        if not self.store.lock:
            return self.fail(404, 'ObjectLockConfigurationNotFoundError')
        return self.answer(200, '<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>')

    def do_make(self) -> None:
        self.store.bucket = True
        self.answer()


class BadS3(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(('127.0.0.1', 0), Handler)
        self.store, self.faults, self.lock = Store(), [], threading.Lock()
        self.ended = threading.Event()
        threading.Thread(target=self.serve_forever, kwargs={'poll_interval': 0.05}, daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f'http://127.0.0.1:{self.server_address[1]}'

    def handle_error(self, request, address) -> None:
        import sys
        if not isinstance(sys.exc_info()[1], (ConnectionError, ValueError, OSError)):
            self.store.problems.append(repr(sys.exc_info()[1]))

    def take_fault(self, operation: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.operation not in (operation, '*') or fault.times == 0:
                    continue
                if fault.after > 0:
                    fault.after -= 1
                    continue
                fault.times -= 1
                return fault
        return None

    def stop(self) -> None:
        self.ended.set()
        self.shutdown()
        self.server_close()


# ---- what can be told ---------------------------------------------------------------------------------------------------

def error(status: int, code: str = '', headers: dict | None = None, more: str = ''):
    return lambda h: h.fail(status, code, headers=headers, more=more)


def reset(h: Handler) -> None:
    h.hang_up()


def swallow(h: Handler) -> None:
    """Do it, and say nothing."""
    h.answer = lambda *a, **k: None
    signed = h.check_signature()
    h.body = h.read_body(*signed)
    getattr(h, 'do_' + h.operation)()
    h.hang_up()


def black_hole(h: Handler) -> None:
    h.server.ended.wait(30)
    h.hang_up()


def harmed(change: Callable[[bytes, dict], tuple[bytes, dict]]):
    def act(h: Handler) -> bool:
        h.harm = change
        return True
    return act


def cut(share: float):
    """The whole length is promised, a share of it sent."""
    return harmed(lambda body, headers: (body[:int(len(body) * share)], headers | {'Connection': 'close'}))


def cut_head(h: Handler) -> None:
    h.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Le')
    h.hang_up()


def trickle(h: Handler) -> None:
    h.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n')
    try:
        while not h.server.ended.wait(0.2):
            h.wfile.write(b'x')
            h.wfile.flush()
    except OSError:
        pass
    h.close_connection = True


def said(body: str, status: int = 200, headers: dict | None = None):
    def act(h: Handler) -> None:
        h.drain()
        h.close_connection = True
        h.answer(status, body, {'Connection': 'close'} | (headers or {}))
    return act


def whole_only(h: Handler) -> bool:
    h.whole_only = True
    return True


def slow(seconds: float):
    def act(h: Handler) -> bool:
        time.sleep(seconds)
        return True
    return act
