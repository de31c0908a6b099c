"""A store that misbehaves, one fault at a time: what passes is got over, what does not is named, nothing waits for ever."""
import datetime
import re

import pytest

from support import bad_s3
from support.bad_s3 import (XML, Fault, black_hole, cut, cut_head, error, harmed, reset, said, slow, swallow, trickle,
                            whole_only)
from support.cli import execute

SIZE = 700_000
RETRY, PERMANENT, NOT_FOUND, EXISTS, AUTH, DENIED, LOCKED, NO_SPACE, INTEGRITY, CONFIG, UNSUPPORTED, RANGE = range(1, 13)
OK = 0


@pytest.fixture
def bad(bad_s3_server):
    return bad_s3_server


@pytest.fixture
def sinkdo(binary):
    """One operation of the plugin: (class, text)."""
    def run(server, *words, retry=4000, secret=bad_s3.SECRET, **options):
        options = {'bucket': 'b', 'endpoint': server.endpoint, 'access_key': bad_s3.ACCESS, 'secret_key': secret,
                   'region': bad_s3.REGION, 'idle_timeout': '1s', 'part_size': '5MiB'} | options
        result = execute([binary.parent / 'tests' / 'sinkdo', binary.parent / 'plugins', 's3', retry,
                          *(f'{name}={value}' for name, value in options.items()), '--', *words], timeout=40)
        last = result.out.splitlines()[-1] if result.out else ''
        found = re.match(r'error (\d+) ', last)
        assert found or last == 'ok', result
        assert bad_s3.SECRET not in result.text
        return int(found[1]) if found else OK, result.text
    return run


def page(*keys, more='', size=5, extra=''):
    listed = ''.join(f'<Contents><Key>{key}</Key><Size>{size}</Size></Contents>' for key in keys)
    return said(f'{XML}<ListBucketResult><IsTruncated>{"true" if more else "false"}</IsTruncated>'
                f'{f"<NextContinuationToken>{more}</NextContinuationToken>" if more else ""}{listed}{extra}</ListBucketResult>')


PUT, NEW, SMALL = ('put', 'a/k', SIZE), ('new', 'a/k', SIZE), ('put', 'a/k', 300)
GET, PIECES, PART = ('get', 'there', SIZE), ('pieces', 'there', SIZE), ('range', 'there', 1000, 5000, SIZE)
LIST, REMOVE, STAT = ('list', ''), ('remove', 'there'), ('stat', 'there')
STREAM, LOCK = ('stream', 'a/s', 12_000_000), ('retain', 'there', 4102444800_000000000)
BOMB = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">' \
       '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><ListBucketResult>&c;</ListBucketResult>'
ALWAYS = 1000

# words, what happens to which operation, how often, the class that comes out, and what the text must say
FAULTS = {
    # put
    'put 503 once': (PUT, 'put', error(503, 'SlowDown'), 1, OK, 'trying again'),
    'put 503 once, several pieces': (('put', 'a/k', 5_000_000), 'put', error(503), 1, OK, 'trying again'),
    'put 503 storm': (PUT, 'put', error(503, 'SlowDown'), ALWAYS, RETRY, 'slower'),
    'put 500 once': (PUT, 'put', error(500, 'InternalError'), 1, OK, 'InternalError'),
    'put 500 without words': (PUT, 'put', error(500), 2, OK, 'HTTP 500'),
    'put 502 of a proxy': (PUT, 'put', said('<html>Bad Gateway</html>', 502), 1, OK, 'HTTP 502'),
    'put 429 and when': (PUT, 'put', error(429, headers={'Retry-After': '1'}), 1, OK, 'trying again in 0:01'),
    'put 503 later than we wait': (PUT, 'put', error(503, 'SlowDown', {'Retry-After': '3000'}), 1, RETRY, 'slower'),
    'put 408': (PUT, 'put', error(408, 'RequestTimeout'), 1, OK, 'RequestTimeout'),
    'put 409': (NEW, 'put', error(409, 'ConditionalRequestConflict'), 1, OK, 'somebody else'),
    'put reset': (PUT, 'put', reset, 1, OK, 'trying again'),
    'put reset always': (PUT, 'put', reset, ALWAYS, RETRY, "put 'a/k'"),
    'put stalls': (PUT, 'put', black_hole, 1, OK, 'trying again'),
    'put head cut': (PUT, 'put', cut_head, 1, OK, 'trying again'),
    'put answer lost': (PUT, 'put', swallow, 1, OK, 'trying again'),
    'new answer lost': (NEW, 'put', swallow, 1, OK, 'trying again'),
    'new answer lost, small': (('new', 'a/k', 10), 'put', swallow, 1, OK, 'trying again'),
    'put of other bytes': (PUT, 'put', harmed(lambda b, h: (b, h | {'ETag': '"' + '0' * 32 + '"'})), ALWAYS, PERMANENT, 'other bytes'),
    'put of other bytes, once': (NEW, 'put', harmed(lambda b, h: (b, h | {'ETag': '"' + '0' * 32 + '"'})), 1, OK, 'signed whole'),
    'put damaged on its way': (PUT, 'put', error(400, 'BadDigest'), 1, OK, 'damaged on their way'),
    'put 412': (NEW, 'put', error(412, 'PreconditionFailed'), 1, EXISTS, 'already'),
    'put 403': (PUT, 'put', error(403, 'AccessDenied'), 1, DENIED, 'may not'),
    'put 403 without words': (PUT, 'put', error(403), 1, DENIED, 'may not'),
    'put skew': (PUT, 'put', error(403, 'RequestTimeTooSkewed'), 1, AUTH, 'NTP'),
    'put expired token': (PUT, 'put', error(400, 'ExpiredToken'), 1, AUTH, 'expired'),
    'put wrong token': (PUT, 'put', error(400, 'InvalidToken'), 1, AUTH, 'session_token'),
    'put 301 and where': (PUT, 'put', error(301, 'PermanentRedirect', {'x-amz-bucket-region': 'mars-1'}), 1, CONFIG, 'set region = mars-1'),
    'put 301 and location': (PUT, 'put', error(301, '', {'Location': 'http://127.0.0.1:1/'}), 1, CONFIG, 'no redirection'),
    'put 307': (PUT, 'put', error(307, 'TemporaryRedirect', {'Location': 'http://127.0.0.1:1/'}), ALWAYS, RETRY, 'elsewhere'),
    'put 302 of a portal': (PUT, 'put', said('', 302, {'Location': 'http://127.0.0.1:1/'}), 1, CONFIG, 'set endpoint'),
    'put wrong region': (PUT, 'put', error(400, 'AuthorizationHeaderMalformed', more='<Region>mars-1</Region>'), 1, CONFIG, 'mars-1'),
    'put no bucket': (PUT, 'put', error(404, 'NoSuchBucket'), 1, NOT_FOUND, 'no such bucket'),
    'put full': (PUT, 'put', error(507, 'XMinioStorageFull'), 1, NO_SPACE, 'full'),
    'put quota': (PUT, 'put', error(403, 'QuotaExceeded'), 1, NO_SPACE, 'quota'),
    'put 413': (PUT, 'put', error(413, 'EntityTooLarge'), 1, PERMANENT, 'part_size'),
    'put no pieces': (PUT, 'put', error(501, 'NotImplemented'), 1, OK, 'signed in pieces'),
    'put 418': (PUT, 'put', error(418), 1, PERMANENT, 'HTTP 418'),
    'put class': (SMALL, 'put', error(400, 'InvalidStorageClass'), 1, CONFIG, 'storage_class'),
    'probe 503': (NEW, 'probe', error(503), 1, OK, 'trying again'),
    # get
    'get 503': (GET, 'get', error(503), 1, OK, 'trying again'),
    'get reset': (GET, 'get', reset, 1, OK, 'trying again'),
    'get stalls': (GET, 'get', black_hole, 1, OK, 'trying again'),
    'get trickles': (GET, 'get', trickle, 1, OK, 'trying again'),
    'get cut': (GET, 'get', cut(0.5), 1, OK, 'trying again'),
    'get cut, in pieces': (PIECES, 'get', cut(0.5), 1, OK, 'trying again'),
    'get cut thrice, in pieces': (PIECES, 'get', cut(0.7), 3, OK, 'trying again'),
    'get cut at nothing': (GET, 'get', cut(0), 1, OK, 'trying again'),
    'get cut always': (GET, 'get', cut(0.9), ALWAYS, RETRY, 'given up after'),
    'get wrong bytes': (GET, 'get', harmed(lambda b, h: (b[:-1] + b'!', h)), 1, 18, 'other bytes'),
    'get longer': (GET, 'get', harmed(lambda b, h: (b + b'!', h | {'Content-Length': str(len(b) + 1)})), 1, INTEGRITY, 'larger'),
    'get of no length': (GET, 'get', harmed(lambda b, h: (b, {'Connection': 'close'})), 1, INTEGRITY, 'how long'),
    'get a range': (GET, 'get', harmed(lambda b, h: (b[:10], {'Content-Length': '10'})), 1, 18, ''),
    'range ignored': (PART, 'get', whole_only, 1, INTEGRITY, "get 'there'"),
    'range of another place': (PART, 'get', harmed(lambda b, h: (b, h | {'Content-Range': f'bytes 0-4999/{SIZE}'})), 1, INTEGRITY, 'another range'),
    'range of another length': (PART, 'get', harmed(lambda b, h: (b[:9], h | {'Content-Length': '9'})), 1, INTEGRITY, 'another length'),
    'range nonsense': (PART, 'get', harmed(lambda b, h: (b, h | {'Content-Range': 'bytes */*'})), 1, INTEGRITY, 'which range'),
    'range cut': (PART, 'get', cut(0.5), 1, OK, 'trying again'),
    'get 404': (GET, 'get', error(404, 'NoSuchKey'), 1, NOT_FOUND, 'no such object'),
    'get 416': (PART, 'get', error(416, 'InvalidRange'), 1, RANGE, 'shorter'),
    'get archived': (GET, 'get', error(403, 'InvalidObjectState'), 1, PERMANENT, 'archive'),
    'stat 403': (STAT, 'head', error(403), 1, DENIED, 'may not'),
    'stat 500': (STAT, 'head', error(500), 1, OK, '700000'),
    'stat of no length': (STAT, 'head', harmed(lambda b, h: (b, {})), 1, PERMANENT, 'how long'),
    # list
    'list 503': (LIST, 'list', error(503, 'SlowDown'), 2, OK, 'there 700000'),
    'list error in a 200': (LIST, 'list', said(f'{XML}<Error><Code>InternalError</Code></Error>'), 1, OK, 'InternalError'),
    'list denied in a 200': (LIST, 'list', said(f'{XML}<Error><Code>AccessDenied</Code></Error>'), 1, DENIED, 'may not'),
    'list cut': (LIST, 'list', cut(0.5), 1, OK, 'there 700000'),
    'list short with its length': (LIST, 'list', harmed(lambda b, h: (b[:-30], h | {'Content-Length': str(len(b) - 30)})), 1, OK, 'no XML'),
    'list bad XML': (LIST, 'list', said('<ListBucketResult><Contents></ListBucketResult>'), ALWAYS, RETRY, 'no XML'),
    'list a web page': (LIST, 'list', said('<html><body>Welcome</body></html>'), ALWAYS, RETRY, 'html'),
    'list nothing at all': (LIST, 'list', said(''), ALWAYS, RETRY, 'no XML'),
    'list entity bomb': (LIST, 'list', said(BOMB), 1, PERMANENT, 'document type'),
    'list deep': (LIST, 'list', said('<ListBucketResult>' + '<a>' * 5000), 1, PERMANENT, 'deeper'),
    'list a long text': (LIST, 'list', said(f'<ListBucketResult><Key>{"k" * 100000}</Key></ListBucketResult>'), 1, PERMANENT, 'longer'),
    'list huge': (LIST, 'list', said('<ListBucketResult>' + ' ' * (17 << 20)), 1, PERMANENT, 'larger'),
    'list empty page, then more': (LIST, 'list', page(more='a'), 1, OK, 'there 700000'),
    'list empty pages for ever': (LIST, 'list', lambda h: page(more=f't{h.query.get("continuation-token", "")}'[:200])(h), ALWAYS, PERMANENT, 'without end'),
    'list repeated token': (LIST, 'list', page('a', more='same'), ALWAYS, PERMANENT, 'again'),
    'list two tokens by turns': (LIST, 'list', lambda h: page('a', more='y' if h.query.get('continuation-token') == 'x' else 'x')(h), ALWAYS, PERMANENT, 'again and again'),
    'list more without token': (LIST, 'list', said('<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>'), 1, PERMANENT, 'how to go on'),
    'list what was not asked for': (('list', 'th'), 'list', page('other'), 1, PERMANENT, 'not asked for'),
    'list out of order': (LIST, 'list', page('b', 'a'), 1, PERMANENT, 'out of order'),
    'list a negative size': (LIST, 'list', page('a', size=-1), 1, PERMANENT, 'size'),
    'list without size': (LIST, 'list', page(extra='<Contents><Key>a</Key></Contents>'), 1, PERMANENT, 'size'),
    'list a long token': (LIST, 'list', page('a', more='t' * 1023), 1, PERMANENT, 'token'),
    'list denied': (LIST, 'list', error(403, 'AccessDenied'), 1, DENIED, 'may not'),
    # remove
    'remove 503': (REMOVE, 'remove', error(503), 1, OK, 'trying again'),
    'remove answer lost': (REMOVE, 'remove', swallow, 1, OK, 'trying again'),
    'remove 404': (REMOVE, 'remove', error(404, 'NoSuchKey'), 1, OK, ''),
    'remove denied': (REMOVE, 'remove', error(403, 'AccessDenied'), 1, DENIED, 'may not'),
    # parts
    'begin 503': (STREAM, 'begin', error(503), 1, OK, 'trying again'),
    'begin 503 storm': (STREAM, 'begin', error(503, 'SlowDown'), ALWAYS, RETRY, 'begin to put'),
    'begin without name': (STREAM, 'begin', said('<InitiateMultipartUploadResult/>'), 1, PERMANENT, 'no name'),
    'begin error in a 200': (STREAM, 'begin', said('<Error><Code>AccessDenied</Code></Error>'), 1, DENIED, 'may not'),
    'part 500': (STREAM, 'part', error(500), 1, OK, 'trying again'),
    'part 503 and when': (STREAM, 'part', error(503, 'SlowDown', {'Retry-After': '1'}), 1, OK, 'trying again in 1000 ms'),
    'part reset twice': (STREAM, 'part', reset, 2, OK, 'trying again'),
    'part reset always': (STREAM, 'part', reset, ALWAYS, RETRY, 'put a part'),
    'part stalls': (STREAM, 'part', black_hole, 1, OK, 'trying again'),
    'part answer lost': (STREAM, 'part', swallow, 1, OK, 'trying again'),
    'short stream 503': (('stream', 'a/s', 1000), 'put', error(503), 1, OK, 'trying again'),
    'part without ETag': (STREAM, 'part', harmed(lambda b, h: (b, {'Content-Length': '0'})), 1, PERMANENT, 'ETag'),
    'part of other bytes': (STREAM, 'part', harmed(lambda b, h: (b, h | {'ETag': '"' + '0' * 32 + '"'})), 1, PERMANENT, 'other bytes'),
    'part gone': (STREAM, 'part', error(404, 'NoSuchUpload'), 1, RETRY, 'gone'),
    'complete error in a 200': (STREAM, 'complete', said('<Error><Code>InternalError</Code></Error>'), 1, OK, 'InternalError'),
    'complete says nothing': (STREAM, 'complete', said(''), 1, OK, 'no XML'),
    'complete says nothing always': (STREAM, 'complete', said(''), ALWAYS, RETRY, 'no XML'),
    'complete answer lost': (STREAM, 'complete', swallow, 1, OK, ''),
    'complete too small': (STREAM, 'complete', error(400, 'EntityTooSmall'), 1, PERMANENT, 'part_size'),
    'complete stalls': (STREAM, 'complete', black_hole, 1, OK, 'end the put'),
    'abort fails too': (STREAM, '*', error(500), ALWAYS, RETRY, 'begin to put'),
    # locks
    'lock 503': (LOCK, 'retain', error(503), 1, OK, 'trying again'),
    'lock denied': (LOCK, 'retain', error(403, 'AccessDenied'), 1, DENIED, 's3:PutObjectRetention'),
    'lock unknown': (LOCK, 'retain', error(501, 'NotImplemented'), 1, UNSUPPORTED, 'cannot'),
    'put answered late': (PUT, 'put', slow(0.7), 1, OK, ''),
}


@pytest.mark.parametrize('name', FAULTS)
def test_fault(bad, sinkdo, name):
    words, operation, act, times, expected, text = FAULTS[name]
    content = bytes(((at * 2654435761 % 2**32 >> 13) + SIZE) & 255 for at in range(SIZE))
    bad.store.objects['there'] = content
    bad.faults.append(Fault(operation, act, times))
    got, said_text = sinkdo(bad, *words, retry=1500 if times == ALWAYS else 15000)
    assert (got, text in said_text) == (expected, True), said_text
    assert operation == '*' or operation in bad.store.seen
    key = words[1]
    if words[0] in ('put', 'new', 'stream') and got == OK:
        stored = bad.store.objects[key]
        assert len(stored) == words[2] and all(stored[at] == ((at * 2654435761 % 2**32 >> 13) + words[2]) & 255
                                               for at in range(0, len(stored), 997))
    elif words[0] == 'stream':
        assert key not in bad.store.objects
        assert operation == '*' or not [u for u in bad.store.uploads.values() if not u.get('done')], 'not given up'


def test_left_overs_of_a_killed_upload_are_swept(bad, sinkdo):
    bad.store.uploads = {name: {'key': key, 'parts': {}, 'since': datetime.datetime(year, 1, 1)}
                         for name, key, year in (('old', 'p/a', 2020), ('elsewhere', 'q/a', 2020), ('new', 'p/b', 2999))}
    assert sinkdo(bad, 'sweep', 1_000_000_000, prefix='p')[0] == OK and len(bad.store.uploads) == 3
    assert sinkdo(bad, 'sweep', 9_000_000_000_000_000_000, prefix='p')[0] == OK
    assert set(bad.store.uploads) == {'elsewhere', 'new'}
    bad.faults.append(Fault('uploads', error(403, 'AccessDenied'), 1))
    assert sinkdo(bad, 'sweep', 9_000_000_000_000_000_000, prefix='q')[0] == OK
    assert set(bad.store.uploads) == {'elsewhere', 'new'}


@pytest.mark.parametrize('words, operation', [(SMALL, 'put'), (PUT, 'put'), (STREAM, 'begin')], ids=['small', 'pieces', 'parts'])
def test_class_and_encryption_are_asked_for(bad, sinkdo, words, operation):
    assert sinkdo(bad, *words, storage_class='STANDARD_IA', sse='aws:kms:key-1')[0] == OK
    asked = {name: value for name, value in bad.store.signed[operation].items() if 'storage' in name or 'encryption' in name}
    assert asked == {'x-amz-storage-class': 'STANDARD_IA', 'x-amz-server-side-encryption': 'aws:kms',
                     'x-amz-server-side-encryption-aws-kms-key-id': 'key-1'}


def test_at_least_sixty():
    assert len(FAULTS) >= 60


def test_many_are_removed_with_one_request(bad, sinkdo):
    """What the store refuses among them is asked for alone; and where it cannot, each is."""
    keys = ['a/1', 'a/2', 'a/3']
    for told, expected in ((None, ['remove-many']), ('kept', ['remove-many', 'remove']),
                           (error(501, 'NotImplemented'), ['remove-many', 'remove', 'remove', 'remove']),
                           (error(503, 'SlowDown'), ['remove-many', 'remove-many'])):
        bad.store.objects.update({key: b'x' for key in (*keys, 'other')})
        bad.store.kept, bad.store.seen = {'a/2'} if told == 'kept' else set(), []
        bad.faults = [Fault('remove-many', told)] if callable(told) else []
        assert sinkdo(bad, 'remove-many', ','.join((*keys, 'absent')))[0] == OK
        assert list(bad.store.objects) == ['other']
        seen = [operation for operation in bad.store.seen if operation.startswith('remove')]
        assert seen == expected + (['remove'] if seen.count('remove') > 1 else [])


def test_many_that_may_not_be_removed_are_named(bad, sinkdo):
    bad.store.objects['a/1'] = b'x'
    bad.store.kept = {'a/1'}
    bad.faults = [Fault('remove', error(403, 'AccessDenied'))]
    result = sinkdo(bad, 'remove-many', 'a/1,a/2')
    assert result[0] == DENIED and "remove 'a/1'" in result[1]
    bad.faults = [Fault('remove-many', said(f'{XML}<DeleteResult><Error><Key>b</Key><Code>X</Code></Error></DeleteResult>'))]
    assert sinkdo(bad, 'remove-many', 'a/1,a/2', retry=0)[0] == PERMANENT
