#!/usr/bin/env python3
"""Sends the cases of cases.py through the built programs; see README.md. Ends with `N passed, N failed`."""
import argparse
import contextlib
import random
import re
import socket
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / 'system'))
sys.path.insert(0, str(Path(__file__).resolve().parent))
import cases  # noqa: E402
import http2_cases  # noqa: E402
from harness import api, documents, gateway, route, standalone, team, upstream  # noqa: E402

CAP_S = 20  # only a broken gateway lets anything wait that long
TOKEN = rb"[!#$%&'*+.^`|~0-9A-Za-z-]+"
LINE = re.compile(rb'(' + TOKEN + rb') ([!-"$-~]+) HTTP/1\.1')
FIELD = re.compile(rb'(' + TOKEN + rb'):[ \t]*([\t -~\x80-\xff]*?)[ \t]*')
CHUNK = re.compile(rb'([0-9A-Fa-f]{1,15})\r\n')


class Ambiguous(Exception):
    """Something that two readers could understand in two ways."""


class Cut(Exception):
    """The connection ended within a message: incomplete, and seen to be."""


class Reader:
    def __init__(self, sock):
        self.sock, self.buffer = sock, b''

    def fill(self):
        more = self.sock.recv(65536)
        self.buffer += more
        return bool(more)

    def through(self, mark):
        while mark not in self.buffer:
            if not self.fill():
                if self.buffer:
                    raise Cut
                return None
        at = self.buffer.index(mark) + len(mark)
        out, self.buffer = self.buffer[:at], self.buffer[at:]
        return out

    def exactly(self, size):
        while len(self.buffer) < size:
            if not self.fill():
                raise Cut
        out, self.buffer = self.buffer[:size], self.buffer[size:]
        return out


def read_request(reader):
    """One request, read as strictly as can be: (head, body), or None at the end."""
    head = reader.through(b'\r\n\r\n')
    if head is None:
        return None
    lines = head[:-4].split(b'\r\n')
    if not LINE.fullmatch(lines[0]):
        raise Ambiguous(f'the request line {lines[0]!r}')
    fields = {}
    for line in lines[1:]:
        match = FIELD.fullmatch(line)
        if not match:
            raise Ambiguous(f'the field {line!r}')
        fields.setdefault(match[1].lower(), []).append(match[2])
    if len(fields.get(b'host', [])) != 1:
        raise Ambiguous('not one Host')
    lengths, codings = fields.get(b'content-length', []), fields.get(b'transfer-encoding', [])
    if len(lengths) + len(codings) > 1 or (lengths and not lengths[0].isdigit()) or (codings and codings[0].lower() != b'chunked'):
        raise Ambiguous(f'length {lengths} and codings {codings}')
    if lengths:
        return head, reader.exactly(int(lengths[0]))
    body = b''
    while codings:
        line = reader.through(b'\r\n')
        if line is None:
            raise Cut
        size = CHUNK.fullmatch(line)
        if not size:
            raise Ambiguous(f'the chunk size {line!r}')
        n = int(size[1], 16)
        if n == 0:
            if reader.exactly(2) != b'\r\n':
                raise Ambiguous('trailers that nobody asked for')
            break
        body += reader.exactly(n)
        if reader.exactly(2) != b'\r\n':
            raise Ambiguous('a chunk without an end')
    return head, body


class RecordingUpstream:
    """Answers 200 to everything but /answer/N, which gets the bytes of that case."""

    def __init__(self):
        self.lock, self.seen, self.faults = threading.Lock(), [], []
        self.sock = socket.create_server(('127.0.0.1', 0), backlog=256)
        self.port = self.sock.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        number = 0
        while True:
            try:
                sock, _ = self.sock.accept()
            except OSError:
                return
            number += 1
            threading.Thread(target=self.serve, args=(sock, number), daemon=True).start()

    def serve(self, sock, number):
        sock.settimeout(300)
        reader = Reader(sock)
        with sock:
            try:
                while (got := read_request(reader)) is not None:
                    with self.lock:
                        self.seen.append((number, *got))
                    special = re.match(rb'\S+ /answer/(\d+) ', got[0])
                    if special:
                        case = cases.ANSWERS[int(special[1])]
                        sock.sendall(case['raw'])
                        if case['ends']:
                            return
                    else:
                        body = b'' if got[0].startswith(b'HEAD') else b'ok\n'
                        sock.sendall(b'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n' % len(body) + body)
            except Ambiguous as fault:
                with self.lock:
                    self.faults.append(str(fault))
            except (OSError, Cut):
                pass

    def take(self):
        with self.lock:
            seen, faults, self.seen, self.faults = self.seen, self.faults, [], []
        return seen, faults


class Conversation:
    def __init__(self, port, up):
        self.port, self.up = port, up

    def send(self, raw, to_end=True):
        """All that comes back; whether the gateway closed. A half-closed client still gets its answer."""
        with socket.create_connection(('127.0.0.1', self.port), timeout=CAP_S) as sock:
            try:
                sock.sendall(raw)
            except OSError:
                pass  # it may hang up before all was sent
            out = b''
            try:
                while more := sock.recv(65536):
                    out += more
                    if not to_end and b'\r\n\r\n' in out:
                        return out, False
                return out, True
            except TimeoutError:
                return out, False
            except OSError:
                return out, True

    def settle(self):
        """An ordinary request; when it is answered, what came before has been dealt with."""
        out, _ = self.send(b'GET /settle HTTP/1.1\r\nHost: conform.test\r\nConnection: close\r\n\r\n')
        if not out.startswith(b'HTTP/1.1 200'):
            raise AssertionError(f'the gateway does not serve any more: {out[:100]!r}')
        seen, faults = self.up.take()
        return [s for s in seen if b' /settle ' not in s[1]], faults


def statuses(raw):
    return [int(s) for s in re.findall(rb'HTTP/1\.1 (\d{3}) ', raw) if not s.startswith(b'1')]


def judge_request(talk, case):
    out, closed = talk.send(case['raw'])
    seen, faults = talk.settle()
    problems = list(faults)
    got = statuses(out)
    if not got or got[0] not in case['statuses']:
        problems.append(f'answer {got[:1] or out[:60]!r}, not {case["statuses"]}')
    if case['close'] and not closed:
        problems.append('the connection stayed open')
    if case['close'] and len(got) > 1:
        problems.append(f'{len(got)} answers')
    want = case['seen'] if got and got[0] < 300 else 0
    if len(seen) != want:
        problems.append(f'the upstream got {len(seen)} requests, not {want}')
    heads = b''.join(s[1] for s in seen)
    if case['has'] and case['has'].lower() not in heads.lower():
        problems.append(f'the upstream did not get {case["has"]!r}')
    if case['not'] and case['not'].lower() in heads.lower():
        problems.append(f'the upstream got {case["not"]!r}')
    return problems, out, seen


def judge_answer(talk, number, case):
    out, _ = talk.send(case['method'] + b' /answer/%d HTTP/1.1\r\nHost: conform.test\r\nConnection: close\r\n\r\n' % number)
    with talk.up.lock:
        connections = [s[0] for s in talk.up.seen]
    problems = []
    if statuses(out)[:1] != [case['status']]:
        problems.append(f'answer {statuses(out)[:1]}, not {case["status"]}')
    if case['not'] and case['not'] in out:
        problems.append(f'the client got {case["not"]!r}')
    for _ in range(3):
        talk.send(b'GET /after HTTP/1.1\r\nHost: conform.test\r\nConnection: close\r\n\r\n')
    with talk.up.lock:
        after = [s[0] for s in talk.up.seen if b' /after ' in s[1]]
    if case['reused'] is False and connections and connections[-1] in after:
        problems.append('the upstream connection was used again')
    if case['reused'] is True and connections and connections[-1] not in after:
        problems.append('the upstream connection was not used again')
    seen, faults = talk.settle()
    return problems + faults, out, seen


class Http2Reader:
    def __init__(self, sock):
        self.reader = Reader(sock)

    def frame(self):
        """(type, flags, stream, payload); None at the end."""
        try:
            head = self.reader.exactly(9)
            return head[3], head[4], int.from_bytes(head[5:9], 'big'), self.reader.exactly(int.from_bytes(head[:3], 'big'))
        except (Cut, OSError):
            return None


def status_of(payload):
    """:status, which comes first: from the static table, or a literal behind its name."""
    known = {0x88: 200, 0x89: 204, 0x8a: 206, 0x8b: 304, 0x8c: 400, 0x8d: 404, 0x8e: 500}
    if payload[0] in known:
        return known[payload[0]]
    size = payload[1] & 0x7f
    text = payload[2:2 + size]
    if payload[1] & 0x80:  # Huffman: digits have five bits (0, 1, 2) or six
        bits, digits = ''.join(f'{b:08b}' for b in text), ''
        codes = {'00000': '0', '00001': '1', '00010': '2', **{f'{0b011001 + i:06b}': str(3 + i) for i in range(7)}}
        while len(digits) < 3:
            code = next(c for c in codes if bits.startswith(c))
            digits, bits = digits + codes[code], bits[len(code):]
        text = digits
    return int(text)


def judge_http2(talk, case):
    """What becomes of stream 1, or of the connection; then, unless that has ended, a request on the same connection."""
    problems, got = [], set()
    with socket.create_connection(('127.0.0.1', talk.port), timeout=CAP_S) as sock:
        with contextlib.suppress(OSError):
            sock.sendall(http2_cases.PREFACE + http2_cases.frame(http2_cases.SETTINGS) + case['frames'])
        reader = Http2Reader(sock)
        while (frame := reader.frame()) is not None:
            kind, flags, stream, payload = frame
            if kind == http2_cases.GOAWAY:
                got.add('goaway')
            elif kind == http2_cases.RST and stream == 1:
                got.add('rst')
            elif kind == http2_cases.HEADERS and stream == 1:
                got.add(status_of(payload))
            if got & case['want'] or (got and not case['ends']):
                break
        if not got & case['want']:
            problems.append(f'came {sorted(map(str, got)) or "nothing"}, not {sorted(map(str, case["want"]))}')
        elif not case['ends']:
            with contextlib.suppress(OSError):
                sock.sendall(http2_cases.get(stream=101, path=b'/settle'))
            while (frame := reader.frame()) is not None and not (frame[0] == http2_cases.HEADERS and frame[2] == 101):
                pass
            if frame is None or status_of(frame[3]) != 200:
                problems.append('the connection does not go on')
        else:
            while reader.frame() is not None:
                pass
    seen, faults = talk.settle()
    problems += faults
    if case['seen'] is not None and len(seen) != case['seen']:
        problems.append(f'the upstream got {len(seen)} requests, not {case["seen"]}')
    heads = b''.join(s[1] for s in seen).lower()
    if case['has'] and case['has'].lower() not in heads:
        problems.append(f'the upstream did not get {case["has"]!r}')
    if case['not'] and case['not'].lower() in heads:
        problems.append(f'the upstream got {case["not"]!r}')
    return problems, repr(sorted(map(str, got))).encode(), seen


def mutations(count):
    """Requests that are nearly right."""
    rng = random.Random(9112)
    seeds = [c['raw'] for c in cases.REQUESTS if len(c['raw']) < 400]
    pieces = [b'\r\n', b'\n', b'\r', b'\0', b' ', b'\t', b':', b',', b';', b'0', b'Content-Length: 3\r\n', b'Transfer-Encoding: chunked\r\n', b'0\r\n\r\n',
              b'HTTP/1.1', b'HTTP/1.0', b'\x80', b'%2e', b'/../', b'Host: evil.test\r\n', b'Connection: close\r\n', b'\x0b', b'_']
    for _ in range(count):
        raw = bytearray(rng.choice(seeds))
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(raw) + 1)
            match rng.randrange(4):
                case 0: raw[at:at] = rng.choice(pieces)
                case 1: del raw[at:at + rng.randint(1, 6)]
                case 2: raw[at:at + 1] = bytes([rng.randrange(256)])
                case 3: raw[at:at] = rng.choice(seeds)[:rng.randint(1, 80)]
        yield bytes(raw)


def judge_mutation(talk, raw):
    """Whatever it is: each request upstream is one in one meaning (the upstream checks), and there is an answer for each."""
    with socket.create_connection(('127.0.0.1', talk.port), timeout=CAP_S) as sock:
        out = b''
        try:
            sock.sendall(raw)
            sock.shutdown(socket.SHUT_WR)
            while more := sock.recv(65536):
                out += more
        except OSError:
            pass
    seen, faults = talk.settle()
    problems = list(faults)
    if len(seen) > len(statuses(out)):
        problems.append(f'{len(seen)} requests upstream, {len(statuses(out))} answers')
    return problems, out, seen


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--only', default='')
    parser.add_argument('--mutations', type=int, default=1500)
    options = parser.parse_args()
    test = standalone()
    passed = failed = 0

    def note(name, rule, problems, sent, out, seen):
        nonlocal passed, failed
        passed, failed = passed + (not problems), failed + bool(problems)
        if problems:
            print(f'FAILED {name} ({rule}): {"; ".join(problems)}\n  sent {sent[:300]!r}', flush=True)
        if options.only:
            print(f'{name}\n  sent {sent[:600]!r}\n  came {out[:600]!r}\n  upstream {[(s[1], s[2]) for s in seen]!r}')

    try:
        test.start(nodes=('n1',), zones=('az-a',))
        up = RecordingUpstream()
        test.apply(documents(team('platform'), gateway(listener={'http2': True}), upstream('recorder', up.port), api('all', ['conform.test']),
                             route('all', 'all', 'recorder'), route('ws', 'all', 'recorder', prefix='/ws', websocket={})))
        _, port = test.targets()[0]
        talk = Conversation(port, up)
        talk.settle()
        for case in cases.REQUESTS:
            if options.only in case['name']:
                note(case['name'], case['rule'], *_with(case['raw'], judge_request(talk, case)))
        for number, case in enumerate(cases.ANSWERS):
            if options.only in case['name']:
                note('answer: ' + case['name'], case['rule'], *_with(case['raw'], judge_answer(talk, number, case)))
        for case in http2_cases.CASES:
            if options.only in case['name']:
                note('http2: ' + case['name'], case['rule'], *_with(case['frames'], judge_http2(talk, case)))
        for number, raw in enumerate(mutations(0 if options.only else options.mutations)):
            note(f'mutation {number}', 'one meaning', *_with(raw, judge_mutation(talk, raw)))
    finally:
        test.doCleanups()
    print(f'{passed} passed, {failed} failed')
    return 1 if failed else 0


def _with(raw, judged):
    problems, out, seen = judged
    return problems, raw, out, seen


if __name__ == '__main__':
    sys.exit(main())
