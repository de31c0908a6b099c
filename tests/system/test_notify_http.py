"""The notifier `http` against a web server that fails in every way there is; and what is filled in."""
import json
import re
import subprocess
import time
from urllib.parse import parse_qs, unquote

import pytest

from support.bad_http import BadHttp, context, endless, says, silent, status
from support.cli import BAD_CONFIG, DONE, FAILED, WRONG_KEY
from support.ports import free_port
from support.tree import plain_tree

SECRET = 'T0p-S3cret'

# The path, how it is answered, the exit status of `notify test`, and what is said. Status 0: it counts as told.
WAYS = {
    'ok': (status(200, body='ok'), DONE, ''),
    'created': (status(201), DONE, ''),
    'nothing': (says('HTTP/1.1 204 No Content\n\n'), DONE, ''),
    'after-continue': (says('HTTP/1.1 100 Continue\n\nHTTP/1.1 200 OK\nContent-Length: 0\n\n'), DONE, ''),
    'short-body': (says('HTTP/1.1 200 OK\nContent-Length: 100\n\nhalf'), DONE, ''),
    'stalled-body': (says('HTTP/1.1 200 OK\nContent-Length: 100\n\nhalf', silent), DONE, ''),
    'endless-body': (says('HTTP/1.1 200 OK\n\n', endless(b'x' * 65536)), DONE, ''),
    'no-length': (says('HTTP/1.0 200 OK\n\nok'), DONE, ''),
    'bad-chunks': (says('HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\nzz\n'), DONE, ''),
    'moved': (status(301, 'Location: /ok'), BAD_CONFIG, 'status 301.*redirects'),
    'found': (status(302, 'Location: http://127.0.0.1:1/'), BAD_CONFIG, 'status 302'),
    'not-modified': (says('HTTP/1.1 304 Not Modified\n\n'), BAD_CONFIG, 'status 304'),
    'bad-request': (status(400, body=f'you sent {SECRET}'), FAILED, 'status 400.*body'),
    'who-are-you': (status(401, 'WWW-Authenticate: Basic'), WRONG_KEY, 'status 401'),
    'forbidden': (status(403), FAILED, 'status 403'),
    'not-found': (status(404), FAILED, "status 404.*is 'url' right"),
    'no-such-method': (status(405), BAD_CONFIG, 'status 405.*method'),
    'slow-client': (status(408), FAILED, 'status 408'),
    'gone': (status(410), FAILED, 'status 410'),
    'too-large': (status(413), FAILED, 'status 413'),
    'nonsense': (status(422), FAILED, 'status 422'),
    'too-early': (status(425), FAILED, 'status 425'),
    'too-many': (status(429, 'Retry-After: 7'), FAILED, 'status 429'),
    'broken': (status(500, body='x' * 10000), FAILED, 'status 500'),
    'gateway': (status(502), FAILED, 'status 502'),
    'busy': (status(503, 'Retry-After: Fri, 31 Dec 2099 23:59:59 GMT'), FAILED, 'status 503'),
    'gateway-slow': (status(504), FAILED, 'status 504'),
    'unknown': (status(799), FAILED, 'status 799, which there is not'),
    'hangs-up': (lambda stream, _: None, FAILED, 'send the request'),
    'half-a-head': (says('HTTP/1.1 200 OK\nContent-'), FAILED, 'send the request'),
    'only-continue': (says('HTTP/1.1 100 Continue\n\n'), FAILED, 'send the request'),
    'no-http': (says('220 mail.example.org ESMTP\n'), FAILED, 'send the request'),
    'noise': (lambda stream, _: stream.sendall(bytes(range(256)) * 100), FAILED, 'send the request'),
    'silent': (silent, FAILED, 'took longer than it may'),
    'drop-by-drop': (endless(b'x', 0.05), FAILED, 'send the request|took longer'),
    'endless-head': (says('HTTP/1.1 200 OK\n', endless(b'X: ' + b'y' * 1000 + b'\r\n')), FAILED, 'send the request'),
    'endless-line': (says('HTTP/1.1 200 OK\nX: ', endless(b'y' * 65536)), FAILED, 'send the request'),
    'round': (status(307, f'Location: /{SECRET}/round'), BAD_CONFIG, 'status 307'),
}


@pytest.fixture(scope='module')
def server():
    made = BadHttp({f'/{SECRET}/{way}': answer for way, (answer, _, _) in WAYS.items()} | {'/ok': status(200)})
    yield made
    made.close()


def hook(world, name: str, url: str, **options) -> None:
    world.section(f'notify {name}', **{'plugin': 'http', 'url': url, 'retry_for': 0, 'timeout': '2s'} | options)


def test_a_server_that_fails(world, server):
    """Side by side: each by a command of its own."""
    for way in WAYS:
        hook(world, way, f'{server.url}/{SECRET}/{way}')
    running = {way: subprocess.Popen(world.command('notify', 'test', way), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT, text=True) for way in WAYS}
    wrong = []
    for way, process in running.items():
        said = process.communicate(timeout=120)[0]
        _, expected, text = WAYS[way]
        if process.returncode != expected or not re.search(text, said, re.S) or SECRET in said:
            wrong.append(f'{way}: {process.returncode} instead of {expected}\n{said}')
    assert not wrong, '\n'.join(wrong)
    assert {one['path'].rsplit('/', 1)[1] for one in server.requests} == set(WAYS)


def test_what_is_in_the_way(world, server, tmp_path):
    ways = {
        'nobody': (f'http://127.0.0.1:{free_port()}/{SECRET}', {}, FAILED, 'running'),
        'nowhere': (f'http://{SECRET}.invalid/', {}, FAILED, 'resolve'),
        'other-protocol': (f'ftp://127.0.0.1/{SECRET}', {}, BAD_CONFIG, 'neither http:// nor https://'),
        'a-file': (f'file:///etc/{SECRET}', {}, BAD_CONFIG, 'neither http:// nor https://'),
        'blank': (f'http://127.0.0.1/ {SECRET}', {}, BAD_CONFIG, 'a blank in it'),
        'tls-where-none-is': (server.url.replace('http:', 'https:') + f'/{SECRET}/ok', {}, FAILED, 'TLS|took longer'),
        'bad-url-word': (f'{server.url}/{SECRET}/{{titel}}', {}, BAD_CONFIG, "'url': there is no {titel}"),
        'bad-word': (f'{server.url}/{SECRET}/ok', {'body': 'x {texxt}'}, BAD_CONFIG, "'body': there is no {texxt}"),
        'bad-header': (f'{server.url}/{SECRET}/ok', {'headers': f'no {SECRET}'}, BAD_CONFIG, 'NAME: VALUE'),
        'bad-method': (f'{server.url}/{SECRET}/ok', {'method': 'POST / HTTP'}, BAD_CONFIG, "'method'"),
        'round-twice': (f'{server.url}/{SECRET}/round', {'redirects': 3}, BAD_CONFIG, '(?i)redirect'),
    }
    for name, (url, options, _, _) in ways.items():
        hook(world, name, url, **options)
    for name, (_, _, expected, text) in ways.items():
        done = world.fails(expected, 'notify', 'test', name)
        assert re.search(text, done.err) and SECRET not in done.text, (name, done)


def test_tls(world, tmp_path):
    good, ca = context(tmp_path / 'good')
    other, _ = context(tmp_path / 'other', 'elsewhere.example.org')
    answers = {'/x': status(200)}
    server, elsewhere = BadHttp(answers, good), BadHttp(answers, other)
    other_ca = tmp_path / 'other' / 'ca.pem'
    for file in (ca, other_ca):
        file.parent.chmod(0o755)
    hook(world, 'fine', f'{server.url}/x', ca_file=ca)
    hook(world, 'unknown', f'{server.url}/x')
    hook(world, 'wrong-authority', f'{server.url}/x', ca_file=other_ca)
    hook(world, 'wrong-name', f'{elsewhere.url}/x', ca_file=other_ca)
    hook(world, 'plain', f'http://127.0.0.1:{server.port}/x')
    world.ok('notify', 'test', 'fine')
    for name in ('unknown', 'wrong-authority', 'wrong-name'):
        assert 'ca_file' in world.fails(BAD_CONFIG, 'notify', 'test', name).err
    world.fails(FAILED, 'notify', 'test', 'plain')
    assert 'can be reached' in world.ok('check', 'fine').out and 'ca_file' in world('check', 'unknown').err
    assert len(server.requests) == 1 and not elsewhere.requests
    server.close()
    elsewhere.close()


@pytest.fixture
def told(world, tmp_path):
    world.simple(plain_tree(tmp_path / 'tree', files=3))
    server = BadHttp({'/hook': status(200), '/hook/0': status(200), '/hook/1': status(200)})

    def request(*words: str, **options) -> dict:
        hook(world, 'web', options.pop('url', f'{server.url}/hook'), on='success, failure, incomplete', **options)
        world.job(notify='web')
        world(*words or ('run', 'job'))
        return server.requests[-1]

    request.server = server
    yield request
    server.close()


def test_the_whole_as_json(told):
    one = told()
    event = json.loads(one['body'])
    assert one['method'] == 'POST' and one['headers']['content-type'] == 'application/json' and 'expect' not in one['headers']
    assert event['event'] == 'success' and event['record']['command'] == 'run'


def test_what_is_filled_in(told, world, tmp_path):
    world.source('tree', tmp_path / 'no "such"\\tree')
    body = '{"a": "{title}", "b": "{text}", "c": {json}, "d": "{event} {job} {sink} {level} {failed} {host}", "e": {}, "f": "{1}"}'
    one = told(body=body)
    filled = json.loads(one['body'])
    assert filled['a'] == filled['c']['title'] == "testhost: run of job 'job' failed" and filled['b'] == filled['c']['text'] and '\n' in filled['b']
    assert filled['d'] == 'failure job  error 1 testhost' and filled['e'] == {} and filled['f'] == '{1}' and '"such"' in filled['b']
    world.source('tree', tmp_path / 'tree')
    form = told(body='chat=7&text={text}&all={json}', content_type='application/x-www-form-urlencoded')
    fields = parse_qs(form['body'].decode(), strict_parsing=True)
    assert fields['chat'] == ['7'] and json.loads(fields['all'][0])['text'] == fields['text'][0]


def test_headers_and_url(told, tmp_path, world):
    headers = tmp_path / 'headers'
    headers.write_text(f'Authorization: Bearer {SECRET}\r\nTitle: {{title}}: {{text}}\nX-Priority: 4\n')
    headers.chmod(0o600)
    one = told(url=f'{told.server.url}/hook/{{failed}}?t={{title}}', headers=f'@file:{headers}', body='{text}', content_type='text/plain')
    path, query = one['path'].split('?')
    assert path == '/hook/0' and unquote(query) == "t=testhost: run of job 'job' is complete" and ' ' not in query
    assert one['headers']['authorization'] == f'Bearer {SECRET}' and one['headers']['x-priority'] == '4'
    assert one['headers']['title'].startswith("testhost: run of job 'job' is complete: testhost") and b'\nbegun ' in one['body']
    got = told(method='GET', url=f'{told.server.url}/hook/{{failed}}', body='x')
    assert (got['method'], got['body'], 'content-length' in got['headers']) == ('GET', b'', False)
    put = told(method='PUT', body='x', redirects=1)
    assert (put['method'], put['body']) == ('PUT', b'x')


def test_secrets_are_nowhere_to_be_seen(world, server, tmp_path):
    """Neither in what is said at any level, nor in an argument list, nor in what is remembered."""
    world.simple(plain_tree(tmp_path / 'tree', files=3))
    secret = tmp_path / 'hook'
    secret.write_text(f'{server.url}/{SECRET}/broken\n')
    secret.chmod(0o600)
    hook(world, 'web', f'@file:{secret}', on='success', headers=f'X: {SECRET}')
    world.job(notify='web')
    traced = tmp_path / 'trace'
    done = world('-v', 'run', 'job', prefix=('strace', '-f', '-e', 'trace=execve', '-s', '10000', '-v', '-o', traced))
    assert done.status == DONE and 'status 500' in done.err and SECRET not in done.text and SECRET not in traced.read_text()
    state = [path for path in (world.base / 'state').rglob('*') if path.is_file()]
    assert any(path.name == 'web' for path in state) and not any(SECRET.encode() in path.read_bytes() for path in state)
    assert SECRET not in world('-v', 'check').text
    world.conf.joinpath('notify-web.conf').chmod(0o644)
    assert 'chmod 600' in world.fails(BAD_CONFIG, 'notify', 'test', 'web').err


def test_healthchecks(world, tmp_path):
    """Start before end, also when the start hangs: which it then is not told again."""
    web = BadHttp({'/uuid/start': status(200), '/uuid/0': status(200), '/uuid/1': status(200), '/stuck': silent})
    tmp_path.chmod(0o755)
    world.simple(plain_tree(tmp_path / 'tree', files=3))
    hook(world, 'hc', f'{web.url}/uuid/{{failed}}', on='success, failure', remind=0)
    hook(world, 'hc-start', f'{web.url}/uuid/start', on='start')
    hook(world, 'stuck', f'{web.url}/stuck', on='start', timeout='10min', retry_for='10min')
    world.job(notify='hc, hc-start, stuck')
    result = world.ok('run', 'job')
    assert "notifier 'stuck': the start of job 'job' was not told" in result.err, result
    asked = [one['path'] for one in web.requests]
    assert sorted(asked) == ['/stuck', '/uuid/0', '/uuid/start'] and asked[-1] == '/uuid/0'
    world.ok('gc', 'disk')
    assert len(web.requests) == 3
    world.section('notify stuck', plugin='command', program='/bin/true')
    world.key.rename(tmp_path / 'away')
    world.fails({1, 12, 78}, 'run', 'job')
    assert [one['path'] for one in web.requests][3:] in (['/uuid/1'], ['/uuid/start', '/uuid/1'])
    web.close()


def test_what_it_asks_to_wait_is_heeded(world, server):
    """Retry-After beyond retry_for: not tried again now."""
    hook(world, 'slow', f'{server.url}/{SECRET}/too-many', retry_for='3s')
    begun = time.monotonic()
    world.fails(FAILED, 'notify', 'test', 'slow')
    before = sum(one['path'].endswith('too-many') for one in server.requests)
    assert before >= 1 and time.monotonic() - begun < 60
    hook(world, 'again', f'{server.url}/{SECRET}/gateway', retry_for='1s')
    was = sum(one['path'].endswith('gateway') for one in server.requests)
    assert 'trying again' in world.fails(FAILED, 'notify', 'test', 'again').err
    assert sum(one['path'].endswith('gateway') for one in server.requests) >= was + 2
