#!/usr/bin/env python3
"""WebSockets, server-sent events and mirrors from `apply` to the bytes: fields, describe, explain-request, metrics, log, drain."""
import base64
import hashlib
import http.server
import json
import socket
import threading

import harness
from harness import SystemTest, api, documents, fetch, gateway, route, team, upstream

HOST = 'live.localhost'
KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
GOING_AWAY = b'\x88\x02\x03\xe9'


def accept_of(key):
    return base64.b64encode(hashlib.sha1((key + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').encode()).digest()).decode()


class Handler(http.server.BaseHTTPRequestHandler):
    """Echoes WebSockets, sends events as it is told, and remembers what it was asked."""
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        self.server.seen.append((self.path, dict(self.headers)))
        if self.headers.get('Upgrade'):
            self.wfile.write(('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
                              f'Sec-WebSocket-Accept: {accept_of(self.headers["Sec-WebSocket-Key"])}\r\n\r\n').encode())
            while piece := self.connection.recv(65536):
                self.connection.sendall(piece)
            self.close_connection = True
        elif self.path.startswith('/events'):
            self.send_response(200)
            self.send_header('Content-Type', 'text/event-stream')
            self.end_headers()
            for n in range(3):
                self.server.step.acquire()
                self.wfile.write(f'data: {n}\n\n'.encode())
            self.close_connection = True
        else:
            self.send_response(200)
            self.send_header('Content-Length', '2')
            self.end_headers()
            self.wfile.write(b'ok')

    def log_message(self, *args):
        pass


def serve():
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    server.daemon_threads = True
    server.seen, server.step = [], threading.Semaphore(0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class Tunnel(SystemTest):
    def setUp(self):
        super().setUp()
        self.live, self.shadow = serve(), serve()
        self.backends += [self.live, self.shadow]
        self.log = self.folder / 'access.log'
        self.start(nodes=('n1',), zones=('az-a',), more={'n1': ('--tunnel-grace-ms', '100')})
        self.apply(documents(
            team('platform'), gateway(accessLog={'to': {'file': str(self.log)}}), upstream('echo', self.live.server_port),
            upstream('shadow', self.shadow.server_port), api('live', [HOST]),
            route('all', 'live', {'upstream': 'echo', 'mirror': {'upstream': 'shadow', 'percent': '100%'}}),
            route('ws', 'live', 'echo', prefix='/ws', websocket={'origins': ['https://app.localhost'], 'idleTimeout': '60s'}),
            route('events', 'live', 'echo', prefix='/events', timeouts={'idle': '1h', 'firstByte': '5m'})))

    def connect(self):
        s = socket.create_connection(self.cluster.wait_listening('n1', 'http'), timeout=harness.CAP_S)
        self.addCleanup(s.close)
        return s

    def open_socket(self):
        s = self.connect()
        s.sendall((f'GET /ws HTTP/1.1\r\nHost: {HOST}\r\nOrigin: https://app.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'
                   f'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n').encode())
        head = self.read(s, lambda b: b.endswith(b'\r\n\r\n'))
        self.assertTrue(head.startswith(b'HTTP/1.1 101 '), head)
        self.assertIn(f'Sec-WebSocket-Accept: {accept_of(KEY)}\r\n'.encode(), head)
        return s

    @staticmethod
    def read(s, done):
        data = b''
        while not done(data):
            piece = s.recv(65536)
            if not piece:
                break
            data += piece
        return data

    def test_a_websocket_goes_through_survives_a_change_and_ends_when_the_node_goes(self):
        s = self.open_socket()
        s.sendall(b'\x81\x02hi')  # the echo sends frames back as they are
        self.assertEqual(self.read(s, lambda b: len(b) == 4), b'\x81\x02hi')
        self.assertEqual(self.metrics()['gw_tunnels'], 1)
        self.apply(route('other', 'live', 'echo', prefix='/other'))
        s.sendall(b'\x81\x03you')
        self.assertEqual(self.read(s, lambda b: len(b) == 5), b'\x81\x03you')
        self.cluster.stop('n1')
        self.assertEqual(self.read(s, lambda b: False), GOING_AWAY)
        line = next(entry for entry in map(json.loads, self.log.read_text().splitlines()) if entry['status'] == 101)
        self.assertEqual((line['bytes_in'], line['bytes_out'], line['tunnel_ended_by'], line['route']), (9, 9, 'drain', 'platform/ws'))

    def test_describe_and_explain_request_show_it(self):
        described = self.gwctl.ok('describe', 'route', 'platform/ws')
        self.assertIn('from https://app.localhost', described)
        self.assertIn('100% to platform/shadow', self.gwctl.ok('describe', 'route', 'platform/all'))
        asked = self.gwctl.ok('explain-request', 'GET', f'http://{HOST}/ws', '-H', 'Upgrade: websocket', '-H', 'Origin: https://evil.localhost')
        self.assertIn('CORS_DENIED', asked)
        asked = self.gwctl.ok('explain-request', 'GET', f'http://{HOST}/')
        self.assertIn('100% of requests are copied', asked)

    def test_events_come_one_by_one(self):
        s = self.connect()
        s.sendall(f'GET /events HTTP/1.1\r\nHost: {HOST}\r\n\r\n'.encode())
        data = b''
        for n in range(3):
            self.live.step.release()
            data += self.read(s, lambda b: f'data: {n}\n\n'.encode() in data + b)
        self.assertIn(b'text/event-stream', data)

    def test_a_mirror_gets_marked_copies_and_a_dead_one_is_not_felt(self):
        for _ in range(20):
            self.assertEqual(self.get('/x', HOST).status, 200)
        self.eventually('the copies', lambda: self.metrics().get('gw_mirror_requests_total{upstream="platform/shadow",result="2xx"}') == 20)
        self.assertEqual({h.get('x-gw-mirror') for _, h in self.shadow.seen}, {'1'})
        self.assertEqual({h.get('Host') for _, h in self.shadow.seen}, {HOST})
        with socket.socket() as unused:
            unused.bind(('127.0.0.1', 0))
            gone = unused.getsockname()[1]
        self.apply(upstream('shadow', gone))
        for _ in range(20):
            self.assertEqual(self.get('/x', HOST).status, 200)
        self.eventually('the failures', lambda: self.metrics().get('gw_mirror_requests_total{upstream="platform/shadow",result="failed"}') == 20)
        self.assertEqual(sum(v for k, v in self.metrics().items() if k.startswith('gw_http_requests_total') and 'code="5' in k), 0)


if __name__ == '__main__':
    harness.main()
