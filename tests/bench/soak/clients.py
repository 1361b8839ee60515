"""The soak's clients: threads that know what each answer must be."""
import collections
import dataclasses
import http.client
import json
import random
import re
import threading
import time

HOST = 'soak.localhost'
MIB = 1 << 20
CONTENT = (bytes(range(256)) * 64) * (MIB // 16384)
BAD_KEY = 'gwk_live_nobody_knows_this_one'


@dataclasses.dataclass(frozen=True)
class Failure:
    since: float
    until: float
    upstream: str
    kind: str  # small · get-1m · post-1m
    what: str  # status and reason · cut · reset while sending · an exception before any answer


class Client(threading.Thread):
    """With `keep` its connection is used again, as long as the gateway lets it."""

    def __init__(self, number, target, keys, stopping, keep):
        super().__init__(daemon=True, name=f'client {number}')
        self.target, self.keys, self.stopping, self.keep = target, keys, stopping, keep
        self.random = random.Random(number)
        self.connection = None
        self.good = self.refused = 0  # refused: as it should be
        self.failures, self.wrong = [], []
        self.sent, self.answered = collections.Counter(), collections.Counter()  # by app; answered: by a backend

    def run(self):
        while not self.stopping.is_set():
            who = self.random.choices(('fast', 'slow', 'nobody'), (85, 10, 5))[0]
            kind = self.random.choices(('small', 'get-1m', 'post-1m'), (90, 5, 5))[0] if who == 'fast' else 'small'
            self.one(who, kind, self.random.choice(('steady', 'shaky')))
            self.stopping.wait(0.02)
        self.close()

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def one(self, who, kind, upstream):
        path = f'/{upstream}/bytes/{MIB}' if kind == 'get-1m' else f'/{upstream}/{self.good}'
        since = time.monotonic()
        self.sent[who] += 1
        try:
            status, body = self.ask('POST' if kind == 'post-1m' else 'GET', path, CONTENT if kind == 'post-1m' else None, self.keys.get(who, BAD_KEY))
            what = self.judge(who, kind, path, status, body)
        except ConnectionError as error:
            what = self.lost(error)
        except http.client.HTTPException as error:
            what = 'cut' if isinstance(error, http.client.IncompleteRead) else self.lost(error)
        except OSError as error:
            what = self.lost(error)
        if what:
            self.failures.append(Failure(since, time.monotonic(), upstream, kind, what))
            self.close()
        elif not self.keep:
            self.close()

    def lost(self, error):
        return {'answer': 'cut', 'sending': 'reset while sending'}.get(self.step) or f'{type(error).__name__} {error}'

    def ask(self, method, path, body, key):
        if self.connection is None:
            self.connection = http.client.HTTPConnection(*self.target, timeout=30)
        self.step = 'asking'
        try:
            self.connection.request(method, path, body=body, headers={'Host': HOST, 'x-api-key': key})
        except ConnectionError:
            if body is None:
                raise
            self.step = 'sending'  # the answer may have come before the body's end
        response = self.connection.getresponse()
        self.step = 'answer'
        return response.status, response.read()

    def judge(self, who, kind, path, status, body):
        """What failed, or nothing. An answer that is wrong is noted besides."""
        reason = re.search(rb'"reason": ?"([A-Z_]+)"', body) if status >= 400 else None
        reason = reason[1].decode() if reason else ''
        if (who, status, reason) in (('slow', 429, 'RATE_LIMITED'), ('nobody', 401, 'AUTH_INVALID')):
            self.good += 1
            self.refused += 1
            return ''
        if status != 200 or who == 'nobody':
            return f'{status} {reason}'
        self.answered[who] += 1
        self.good += 1
        if kind == 'get-1m':
            if body != CONTENT:
                self.wrong.append(f'{path}: {len(body)} bytes, not those that were sent')
            return ''
        told = json.loads(body)
        expected = {'path': path, 'app': f'platform/{who}', 'body_bytes': MIB if kind == 'post-1m' else 0}
        if any(told[name] != value for name, value in expected.items()):
            self.wrong.append(f'{path}: {told}, not {expected}')
        return ''
