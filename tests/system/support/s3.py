"""A small client of S3, to see past cofre what is in a bucket and to harm it. Python's own libraries only."""
from __future__ import annotations

import datetime
import hashlib
import hmac
import http.client
import shutil
import urllib.parse
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import SimpleNamespace

NAMESPACE = '{http://s3.amazonaws.com/doc/2006-03-01/}'


class S3Error(Exception):
    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f'HTTP {status}: {body[:500]!r}')
        self.status = status


class Client:
    def __init__(self, endpoint: str, access: str, secret: str, region: str = 'us-east-1') -> None:
        self.endpoint, self.access, self.secret, self.region = endpoint, access, secret, region

    def request(self, method: str, path: str, query: dict | None = None, body: bytes = b'', headers: dict | None = None):
        """The answer's headers and body. path: /BUCKET/KEY"""
        address = urllib.parse.urlsplit(self.endpoint)
        now = datetime.datetime.now(datetime.timezone.utc).strftime('%Y%m%dT%H%M%SZ')
        encoded = urllib.parse.quote(path, safe='/-._~')
        text = '&'.join(sorted(f'{urllib.parse.quote(k, safe="-._~")}={urllib.parse.quote(v, safe="-._~")}'
                               for k, v in (query or {}).items()))
        hashed = hashlib.sha256(body).hexdigest()
        signed = {'host': address.netloc, 'x-amz-content-sha256': hashed, 'x-amz-date': now} | (headers or {})
        names = ';'.join(sorted(signed))
        canonical = '\n'.join([method, encoded, text, *(f'{name}:{signed[name]}' for name in sorted(signed)), '', names,
                               hashed])
        scope = f'{now[:8]}/{self.region}/s3/aws4_request'
        to_sign = f'AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}'
        key = f'AWS4{self.secret}'.encode()
        for part in (now[:8], self.region, 's3', 'aws4_request'):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
        signed['authorization'] = (f'AWS4-HMAC-SHA256 Credential={self.access}/{scope},SignedHeaders={names},'
                                   f'Signature={signature}')
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
        try:
            connection.request(method, encoded + ('?' + text if text else ''), body or None, signed)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status >= 300:
            raise S3Error(answer.status, content)
        return answer.headers, content

    def make_bucket(self, bucket: str, lock: bool = False) -> None:
        self.request('PUT', f'/{bucket}', headers={'x-amz-bucket-object-lock-enabled': 'true'} if lock else None)

    def list(self, bucket: str, prefix: str = '') -> list[str]:
        keys, more = [], {}
        while True:
            root = ElementTree.fromstring(self.request('GET', f'/{bucket}', {'list-type': '2', 'prefix': prefix} | more)[1])
            keys += [found.findtext(f'{NAMESPACE}Key') for found in root.iter(f'{NAMESPACE}Contents')]
            token = root.findtext(f'{NAMESPACE}NextContinuationToken')
            if root.findtext(f'{NAMESPACE}IsTruncated') != 'true':
                return keys
            more = {'continuation-token': token}

    def uploads(self, bucket: str) -> list[str]:
        root = ElementTree.fromstring(self.request('GET', f'/{bucket}', {'uploads': ''})[1])
        return [found.findtext(f'{NAMESPACE}Key') for found in root.iter(f'{NAMESPACE}Upload')]

    def get(self, bucket: str, key: str) -> bytes:
        return self.request('GET', f'/{bucket}/{key}')[1]

    def put(self, bucket: str, key: str, content: bytes) -> None:
        self.request('PUT', f'/{bucket}/{key}', body=content)

    def remove(self, bucket: str, key: str) -> None:
        self.request('DELETE', f'/{bucket}/{key}')


class StoredObject:
    """What a test needs of a Path."""

    def __init__(self, store: 'BucketStore', key: str) -> None:
        self.store, self.key, self.name = store, key, key.rpartition('/')[2]

    def _name(self) -> tuple[str, str]:
        return self.store.bucket, self.store.prefix + self.key

    def read_bytes(self) -> bytes:
        return self.store.client.get(*self._name())

    def write_bytes(self, content: bytes) -> None:
        self.store.client.put(*self._name(), content)

    def unlink(self) -> None:
        self.store.client.remove(*self._name())

    def exists(self) -> bool:
        return self.key in [found.key for found in self.store.objects(self.key)]

    def stat(self):
        return SimpleNamespace(st_size=len(self.read_bytes()))

    def __lt__(self, other: 'StoredObject') -> bool:
        return self.key < other.key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StoredObject) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return self.key


class BucketStore:
    """As directory_store.DirectoryStore."""

    def __init__(self, client: Client, bucket: str, directory: Path, prefix: str = '', **options: object) -> None:
        self.client, self.bucket, self.prefix, self.directory, self.extra = client, bucket, prefix, directory, options
        self.kept: dict[str, bytes] = {}

    def options(self) -> dict[str, object]:
        secret = self.directory / 'secret'
        secret.touch(mode=0o600)
        secret.write_text(self.client.secret)
        return {'plugin': 's3', 'bucket': self.bucket, 'prefix': self.prefix or None, 'endpoint': self.client.endpoint,
                'access_key': self.client.access, 'secret_key': f'@file:{secret}'} | self.extra

    def object(self, key: str) -> StoredObject:
        return StoredObject(self, key)

    def objects(self, kind: str = '') -> list[StoredObject]:
        keys = (key[len(self.prefix):] for key in self.client.list(self.bucket, self.prefix))
        return sorted(StoredObject(self, key) for key in keys if key.startswith(kind) and key != '~probe')

    def keep(self) -> None:
        self.kept = {found.key: found.read_bytes() for found in self.objects()}

    def reset(self) -> None:
        for found in self.objects():
            if found.key not in self.kept:
                found.unlink()
        for key, content in self.kept.items():
            self.object(key).write_bytes(content)

    def as_directory(self) -> Path:
        copy = self.directory / 'copy'
        shutil.rmtree(copy, ignore_errors=True)
        for found in self.objects():
            path = copy / found.key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(found.read_bytes())
        return copy
