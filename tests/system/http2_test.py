#!/usr/bin/env python3
"""HTTP/2 with real clients (nghttp, h2load, curl, Python's h2) from `apply` to the bytes: fields, refusals, explain, metrics, log, drain."""
import json
import re
import socket
import subprocess
import sys
import threading

import harness
from harness import SystemTest, api, documents, fetch, gateway, route, team, upstream

sys.path.append('/usr/lib/python3/dist-packages')  # Debian's h2, for any Python 3
import h2.config  # noqa: E402
import h2.connection  # noqa: E402
import h2.events  # noqa: E402
import h2.settings  # noqa: E402

HOST = 'http2.localhost'


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=harness.CAP_S)


class Client:
    """One connection of Python's h2."""

    def __init__(self, address):
        self.sock = socket.create_connection(address, timeout=harness.CAP_S)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding='utf-8'))
        self.h2.initiate_connection()
        self.flush()
        self.answers, self.goaways, self.closed = {}, [], False

    def flush(self):
        self.sock.sendall(self.h2.data_to_send())

    def request(self, path, body=b'', method=None, more=()):
        stream = self.h2.get_next_available_stream_id()
        self.answers[stream] = {'status': None, 'body': b'', 'ended': False}
        self.h2.send_headers(stream, [(':method', method or ('POST' if body else 'GET')), (':scheme', 'http'), (':authority', HOST),
                                      (':path', path), *more], end_stream=not body)
        self.flush()
        while body:
            size = min(len(body), self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            if size == 0:
                self.turn()
                continue
            self.h2.send_data(stream, body[:size], end_stream=size == len(body))
            body = body[size:]
            self.flush()
        return stream

    def turn(self):
        data = self.sock.recv(65536)
        self.closed = not data
        for event in self.h2.receive_data(data) if data else ():
            if isinstance(event, h2.events.ResponseReceived):
                self.answers[event.stream_id]['status'] = int(dict(event.headers)[':status'])
                self.answers[event.stream_id]['headers'] = dict(event.headers)
            elif isinstance(event, h2.events.DataReceived):
                self.answers[event.stream_id]['body'] += event.data
                if event.flow_controlled_length:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
                self.answers[event.stream_id]['ended'] = True
            elif isinstance(event, h2.events.ConnectionTerminated):
                self.goaways.append(event)
        if data:
            self.flush()

    def finish(self, stream):
        while not self.answers[stream]['ended'] and not self.closed:
            self.turn()
        return self.answers[stream]


class Http2(SystemTest):
    def setUp(self):
        super().setUp()
        self.log = self.folder / 'access.log'
        self.start(nodes=('n1',), zones=('az-a',))
        self.apply(self.config({'http2': True, 'http2Limits': {'maxStreams': 50}}))
        self.address = self.cluster.wait_listening('n1', 'http')
        self.url = f'http://{self.address[0]}:{self.address[1]}'

    def config(self, listener):
        return documents(team('platform'), gateway(listener=listener, accessLog={'to': {'file': str(self.log)}}),
                         upstream('echo', self.backend()), api('all', ['*']), route('all', 'all', 'echo'))

    def test_nghttp_and_curl_and_http1_are_served_on_one_port(self):
        done = run('nghttp', '--no-dep', '-v', '-n', f'{self.url}/a', f'{self.url}/b', f'{self.url}/c')
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(re.findall(r':status: 200', done.stdout)), 3, done.stdout)
        self.assertIn('SETTINGS_MAX_CONCURRENT_STREAMS(0x03):50', done.stdout)
        shown = '%{http_version} %{http_code}'
        done = run('curl', '-sS', '--http2-prior-knowledge', '-o', '/dev/null', '-w', shown, f'{self.url}/curl')
        self.assertEqual((done.returncode, done.stdout), (0, '2 200'), done.stderr)
        large = self.folder / 'large'
        large.write_bytes(b'x' * 900_000)
        done = run('curl', '-sS', '--http2-prior-knowledge', '-o', '/dev/null', '-w', shown, '--data-binary', f'@{large}', f'{self.url}/curl')
        self.assertEqual((done.returncode, done.stdout), (0, '2 200'), done.stderr)
        self.assertEqual(fetch(*self.address, '/one').status, 200)
        self.eventually('the log', lambda: self.log.exists() and len(self.log.read_text().splitlines()) >= 6)
        versions = [json.loads(line)['network.protocol.version'] for line in self.log.read_text().splitlines()]
        self.assertEqual(sorted(versions), ['1.1', '2', '2', '2', '2', '2'])

    def test_h2load_gets_every_answer_and_the_metrics_say_so(self):
        count = harness.scaled(20_000, 1000)
        done = run('h2load', '-n', str(count), '-c', '8', '-m', '40', f'{self.url}/load')
        self.assertIn(f'{count} succeeded, 0 failed, 0 errored, 0 timeout', done.stdout, done.stdout + done.stderr)
        self.assertIn(f'{count} 2xx, 0 3xx, 0 4xx, 0 5xx', done.stdout)
        metrics = self.metrics()
        self.assertEqual(metrics['gw_http2_requests_total'], count)
        self.assertEqual(metrics['gw_http2_budget_exceeded_total'], 0)
        self.eventually('no connection is left', lambda: self.metrics()['gw_http2_connections'] == 0)
        self.assertEqual(self.metrics()['gw_http2_streams'], 0)

    def test_pythons_client_sends_bodies_and_sees_goaway_when_the_node_goes(self):
        client = Client(self.address)
        first, second = client.request('/a'), client.request('/b', b'y' * 500_000)
        self.assertEqual(client.finish(first)['status'], 200)
        self.assertEqual(client.finish(second)['status'], 200)
        self.assertEqual(client.h2.remote_settings[h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS], 50)
        stopped = threading.Thread(target=self.cluster.stop, args=('n1',))
        stopped.start()
        while not client.closed:
            client.turn()
        stopped.join()
        self.assertEqual([(e.error_code, e.last_stream_id) for e in client.goaways], [(0, 2**31 - 1), (0, second)])

    def test_a_flood_of_resets_ends_its_connection_and_no_other(self):
        good = Client(self.address)
        self.assertEqual(good.finish(good.request('/a'))['status'], 200)
        bad = Client(self.address)
        try:
            for _ in range(1000):
                stream = bad.h2.get_next_available_stream_id()
                bad.h2.send_headers(stream, [(':method', 'GET'), (':scheme', 'http'), (':authority', HOST), (':path', '/')], end_stream=True)
                bad.h2.reset_stream(stream, 8)
                bad.flush()
        except OSError:
            pass  # it is over already
        while not bad.closed:
            try:
                bad.turn()
            except OSError:
                break
        self.assertEqual([e.error_code for e in bad.goaways], [11])
        self.assertEqual(self.metrics()['gw_http2_budget_exceeded_total'], 1)
        self.assertEqual(good.finish(good.request('/b'))['status'], 200)

    def test_what_makes_no_sense_is_refused_and_what_is_in_force_is_shown(self):
        self.refused(self.config({'http2Limits': {'maxStreams': 5}}), 8, 'GW1439', 'spec.listeners[0].http2Limits')
        self.refused(self.config({'http2': True, 'http2Limits': {'maxStreams': 0}}), 8, 'GW1102', 'maxStreams')
        told = self.gwctl.run('explain', 'gateway.listeners.http2Limits')
        self.assertIn('maxResets', told.stdout)
        explained = self.gwctl.run('explain-request', 'GET', f'http://{HOST}/a')
        self.assertIn('HTTP/2 by prior knowledge', explained.stdout)
        self.apply(self.config({}))
        done = run('curl', '-sS', '--http2-prior-knowledge', f'{self.url}/curl')
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(fetch(*self.address, '/one').status, 200)


if __name__ == '__main__':
    harness.main()
