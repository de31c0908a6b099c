"""What gives out credentials to a machine (IMDSv2) or to a container."""
from __future__ import annotations

import datetime
import http.server
import json
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, text: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def do_PUT(self) -> None:
        self.server.seen.append('token')
        good = self.path == '/latest/api/token' and self.headers['X-aws-ec2-metadata-token-ttl-seconds']
        self.answer('the-token' if good else '', 200 if good else 400)

    def do_GET(self) -> None:
        self.server.seen.append(self.path)
        container = self.path == '/container'
        allowed = self.headers['Authorization'] == 'of the container' if container else \
            self.headers['X-aws-ec2-metadata-token'] == 'the-token'
        if not allowed:
            self.answer('', 401)
        elif self.path.endswith('/security-credentials/'):
            self.answer('role-of-tests')
        else:
            until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.server.seconds)
            self.answer(json.dumps({'AccessKeyId': self.server.access, 'SecretAccessKey': self.server.secret,
                                    'Token': 'temporary', 'Expiration': until.strftime('%Y-%m-%dT%H:%M:%SZ')}))


class Metadata(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, access: str, secret: str, seconds: int) -> None:
        super().__init__(('127.0.0.1', 0), Handler)
        self.access, self.secret, self.seconds, self.seen = access, secret, seconds, []
        threading.Thread(target=self.serve_forever, kwargs={'poll_interval': 0.05}, daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f'http://127.0.0.1:{self.server_address[1]}'

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
