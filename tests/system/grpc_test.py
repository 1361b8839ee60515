#!/usr/bin/python3
"""gRPC with real clients and servers (Python's grpcio, C++, Node.js) from `apply` to the status: all kinds of calls, deadlines,
cancellation, refusals, health, retries, metrics; gRPC-Web in binary and text."""
import base64
import concurrent.futures
import http.server
import json
import os
import shutil
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import harness
from harness import ROOT, SystemTest, api, document, documents, fetch, gateway, team

sys.path.append(str(ROOT / 'tests' / 'support'))
import ca  # noqa: E402

sys.path.append('/usr/lib/python3/dist-packages')  # Debian's grpcio: of its own Python alone
import grpc  # noqa: E402

BUILD = ROOT / os.environ.get('GW_BUILD_DIR', 'build/release')
CAP = harness.CAP_S
SERVICE = 'shop.Cart'


def frame(message, flag=0):
    return bytes([flag]) + len(message).to_bytes(4, 'big') + message


def frames(body):
    """[(flag, bytes)] of a gRPC-Web body."""
    out = []
    while body:
        size = int.from_bytes(body[1:5], 'big')
        out.append((body[0], body[5:5 + size]))
        body = body[5 + size:]
    return out


class Server(grpc.GenericRpcHandler):
    """A gRPC server whose methods take and give bytes; what it saw is kept."""

    def __init__(self, name, credentials=None):
        self.name, self.serving, self.fail_first = name, True, 0
        self.seen, self.cancelled, self.begun, self.lock = [], threading.Event(), threading.Event(), threading.Lock()
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(16), handlers=(self,))
        self.port = self.server.add_secure_port('127.0.0.1:0', credentials) if credentials else self.server.add_insecure_port('127.0.0.1:0')
        self.server.start()

    def stop(self):
        self.server.stop(None).wait(CAP)

    def service(self, details):
        kinds = {'Get': grpc.unary_unary_rpc_method_handler, 'Fail': grpc.unary_unary_rpc_method_handler,
                 'Flaky': grpc.unary_unary_rpc_method_handler, 'Wait': grpc.unary_unary_rpc_method_handler,
                 'Sum': grpc.stream_unary_rpc_method_handler, 'List': grpc.unary_stream_rpc_method_handler,
                 'Chat': grpc.stream_stream_rpc_method_handler}
        if details.method == '/grpc.health.v1.Health/Check':
            return grpc.unary_unary_rpc_method_handler(lambda request, context: b'\x08\x01' if self.serving else b'\x08\x02')
        service, _, method = details.method[1:].partition('/')
        if service != SERVICE or method not in kinds:
            return None
        with self.lock:
            self.seen.append((method, dict(details.invocation_metadata)))
        return kinds[method](getattr(self, method.lower()))

    def get(self, request, context):
        context.send_initial_metadata((('x-initial', 'first'), ('x-server', self.name)))
        context.set_trailing_metadata((('x-last', 'behind'), ('x-raw-bin', b'\x00\xff')))
        return b'got ' + request

    def sum(self, requests, context):
        return str(sum(int(r) for r in requests)).encode()

    def list(self, request, context):
        for i in range(int(request)):
            yield str(i).encode() * 1000

    def chat(self, requests, context):
        for request in requests:
            yield b're: ' + request

    def fail(self, request, context):
        context.set_trailing_metadata((('x-why', 'gone'),))
        context.abort(grpc.StatusCode.NOT_FOUND, 'no such cart: 50% ü')

    def flaky(self, request, context):
        with self.lock:
            self.fail_first -= 1
            failing = self.fail_first >= 0
        if failing:
            context.abort(grpc.StatusCode.UNAVAILABLE, 'not now')
        return b'at last: ' + request

    def wait(self, request, context):
        ended = threading.Event()
        context.add_callback(lambda: (ended.set(), self.cancelled.set()))
        self.left_s = context.time_remaining()
        self.begun.set()
        ended.wait(CAP)
        return b''


class Grpc(SystemTest):
    def serve(self, *servers, listener=None, routes=None, more=(), api_spec=None, **spec):
        self.servers = list(servers) or [Server('one')]
        for server in self.servers:
            self.addCleanup(server.stop)
        self.log = self.folder / 'access.log'
        self.start(nodes=('n1',), zones=('az-a',))
        self.spec = {'protocol': 'http2', 'targets': [{'url': f'http://127.0.0.1:{s.port}'} for s in self.servers], **spec}
        self.apply(documents(team('platform'), gateway(listener={'http2': True, **(listener or {})}, accessLog={'to': {'file': str(self.log)}}),
                             document('Upstream', 'cart', self.spec), api('all', ['*'], **(api_spec or {})), *(routes or [self.cart_route()]), *more))
        address, port = self.targets()[0]
        self.channel = grpc.insecure_channel(f'{address}:{port}')
        self.addCleanup(self.channel.close)
        return self.servers[0]

    def cart_route(self, name='cart', **spec):
        return document('Route', name, {'api': 'all', 'match': {'path': {'grpc': {'service': SERVICE}}}, 'to': {'upstream': 'cart'}, **spec})

    def unary(self, method='Get', message=b'apples', service=SERVICE, **options):
        return self.channel.unary_unary(f'/{service}/{method}').with_call(message, **{'timeout': CAP, **options})

    def failure(self, **call):
        with self.assertRaises(grpc.RpcError) as caught:
            self.unary(**call)
        return caught.exception

    def details(self, error):
        """What google.rpc.ErrorInfo says: its strings stand in the bytes."""
        return dict(error.trailing_metadata() or ()).get('grpc-status-details-bin', dict(error.initial_metadata() or ()).get('grpc-status-details-bin', b''))

    def counted(self, status):
        return self.metric('gw_grpc_requests_total', grpc_status=str(status)) or 0

    def test_all_kinds_of_calls_with_their_metadata(self):
        server = self.serve()
        answer, call = self.unary(metadata=(('x-meta', 'm'), ('x-key-bin', b'\x01\x02')))
        self.assertEqual(answer, b'got apples')
        self.assertEqual(call.code(), grpc.StatusCode.OK)
        self.assertEqual(dict(call.initial_metadata())['x-initial'], 'first')
        self.assertEqual(dict(call.trailing_metadata())['x-last'], 'behind')
        self.assertEqual(dict(call.trailing_metadata())['x-raw-bin'], b'\x00\xff')
        seen = server.seen[0][1]
        self.assertEqual((seen['x-meta'], seen['x-key-bin']), ('m', b'\x01\x02'))
        self.assertIn('x-request-id', seen)
        self.assertEqual(self.channel.stream_unary(f'/{SERVICE}/Sum')((str(i).encode() for i in range(500)), timeout=CAP), b'124750')
        self.assertEqual([len(m) for m in self.channel.unary_stream(f'/{SERVICE}/List')(b'300', timeout=CAP)], [len(str(i)) * 1000 for i in range(300)])

        said, heard = threading.Semaphore(1), []

        def talk():  # each after the answer to the one before
            for i in range(50):
                said.acquire()
                yield str(i).encode()
        for message in self.channel.stream_stream(f'/{SERVICE}/Chat')(talk(), timeout=CAP):
            heard.append(message)
            said.release()
        self.assertEqual(heard, [f're: {i}'.encode() for i in range(50)])
        large = os.urandom(3 << 20)
        self.assertEqual(self.unary(message=large)[0], b'got ' + large)
        self.eventually('the metrics', lambda: self.counted(0) == 5)

        def logged():
            lines = [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []
            return [line.get('rpc.grpc.status_code') for line in lines if line['url.path'].startswith('/shop')]
        self.eventually('the log', lambda: logged() == [0] * 5)

    def test_a_deadline_ends_a_call_on_both_sides(self):
        server = self.serve(more=(self.cart_route('wait', match={'path': {'grpc': {'service': SERVICE, 'method': 'Wait'}}}, timeouts={'request': '2s'}),))
        # The Route's alone; the server is told, so that either of the two may be first to say so.
        self.assertEqual(self.failure(method='Wait', timeout=None).code(), grpc.StatusCode.DEADLINE_EXCEEDED)
        self.assertTrue(server.cancelled.wait(CAP))
        self.assertLess(server.left_s, CAP)  # it was told
        server.cancelled.clear()
        self.assertEqual(self.failure(method='Wait', timeout=0.5).code(), grpc.StatusCode.DEADLINE_EXCEEDED)
        self.assertTrue(server.cancelled.wait(CAP))
        self.assertLess(server.left_s, CAP)

    def test_a_cancelled_call_is_cancelled_at_the_server(self):
        server = self.serve()
        call = self.channel.unary_unary(f'/{SERVICE}/Wait').future(b'', timeout=CAP)
        self.assertTrue(server.begun.wait(CAP))
        call.cancel()
        self.assertTrue(server.cancelled.wait(CAP))
        self.eventually('it is counted', lambda: self.counted(1) == 1)

    def test_a_server_s_errors_pass_and_the_gateway_s_have_a_reason(self):
        key = document('Policy', 'key', {'type': 'apiKey', 'config': {'in': 'header', 'name': 'x-api-key'}})
        self.serve(routes=[self.cart_route(), self.cart_route('locked', match={'path': {'grpc': {'service': SERVICE, 'method': 'Sum'}}}, auth=['key'])], more=(key,))
        error = self.failure(method='Fail')
        self.assertEqual((error.code(), error.details()), (grpc.StatusCode.NOT_FOUND, 'no such cart: 50% ü'))
        self.assertEqual(dict(error.trailing_metadata())['x-why'], 'gone')
        error = self.failure(service='shop.Nothing')
        self.assertEqual((error.code(), error.details()), (grpc.StatusCode.UNIMPLEMENTED, 'no route of the Api matches'))
        details = self.details(error)
        self.assertIn(b'NO_ROUTE', details)
        self.assertIn(b'northgate', details)
        self.assertIn(b'request_id', details)
        error = self.failure(method='Sum')
        self.assertEqual(error.code(), grpc.StatusCode.UNAUTHENTICATED)
        self.assertIn(b'AUTH_MISSING', self.details(error))
        self.servers[0].stop()
        error = self.failure()
        self.assertEqual(error.code(), grpc.StatusCode.UNAVAILABLE)
        self.eventually('the reasons', lambda: self.metric('gw_http_requests_total', reason='AUTH_MISSING') == 1
                        and self.metric('gw_http_requests_total', reason='NO_ROUTE') == 1)

    def test_a_server_that_says_that_it_is_not_serving_gets_no_calls(self):
        one, two = Server('one'), Server('two')
        self.serve(one, two, health={'active': {'grpc': {'service': SERVICE}, 'interval': '100ms', 'unhealthyAfter': 1, 'healthyAfter': 1}})

        def who():
            return {dict(self.unary()[1].initial_metadata())['x-server'] for _ in range(10)}
        self.eventually('calls at both', lambda: who() == {'one', 'two'})
        one.serving = False
        self.eventually('calls at the other alone', lambda: who() == {'two'})
        self.eventually('describe shows it', lambda: 'fails its probes' in self.gwctl.ok('describe', 'upstream', 'cart'))
        one.serving = True
        self.eventually('calls at both', lambda: who() == {'one', 'two'})

    def test_unavailable_is_tried_again_where_it_is_listed(self):
        server = self.serve(retries={'attempts': 3, 'grpcStatuses': ['unavailable'], 'backoff': '1ms'})
        server.fail_first = 2
        self.assertEqual(self.unary('Flaky', b'pears')[0], b'at last: pears')
        self.assertEqual(self.metric('gw_retries_total', reason='grpc-status'), 2)
        server.fail_first = 100
        self.assertEqual(self.failure(method='Flaky').code(), grpc.StatusCode.UNAVAILABLE)
        self.assertEqual(server.fail_first, 96)
        self.assertEqual(self.counted(14), 1)

    def test_auto_takes_every_call_by_http2_and_says_where_a_target_does_not(self):
        pair = ca.make_ca(self.folder / 'ca').issue(['up.test'])
        pem = pair.pem.read_text()
        server = Server('tls', grpc.ssl_server_credentials([(pem[pem.index('-----BEGIN', pem.rindex('-----END CERT')):].encode(), pem.encode())]))
        unverified = {'verify': False, 'reason': 'a test'}
        self.serve(server, protocol='auto', targets=[{'url': f'https://127.0.0.1:{server.port}'}], tls=unverified)
        for _ in range(3):  # the first one, too, which finds no connection
            self.assertEqual(self.unary()[0], b'got apples')
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(str(pair.pem))
        tls.set_alpn_protocols(['http/1.1'])
        old = http.server.ThreadingHTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)
        old.socket = tls.wrap_socket(old.socket, server_side=True)
        threading.Thread(target=old.serve_forever, daemon=True).start()
        self.addCleanup(old.server_close)
        self.addCleanup(old.shutdown)
        self.apply(documents(document('Upstream', 'cart', {**self.spec, 'targets': [{'url': f'https://127.0.0.1:{old.server_port}'}]})))
        error = self.failure()
        self.assertEqual((error.code(), error.details()), (grpc.StatusCode.UNAVAILABLE, 'the target does not agree to speak HTTP/2'))

    def client_prints(self, *command):
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=CAP)
        return done.stdout.splitlines() or [done.stderr]

    def check_client(self, *command):
        address, port = self.targets()[0]

        def call(how, method, *messages):
            return self.client_prints(*command, f'{address}:{port}', how, method, *messages)
        self.assertEqual([line.rstrip() for line in call('unary', f'/{SERVICE}/Get', 'plums')], ['got plums', 'status 0'])
        self.assertEqual([line.rstrip() for line in call('bidi', f'/{SERVICE}/Chat', 'a', 'b', 'c')], ['re: a', 're: b', 're: c', 'status 0'])
        self.assertEqual(call('unary', '/shop.Nothing/Get', 'x'), ['status 12 no route of the Api matches'])

    def test_a_client_in_cpp(self):
        program = BUILD / 'tests' / 'system' / 'grpc' / 'gw_test_grpc_client'
        self.assertTrue(program.exists(), f'{program} is not built')
        self.serve()
        self.check_client(program)

    def test_a_client_in_node(self):
        folder = BUILD / 'grpc-js'
        if not (folder / 'node_modules' / '@grpc' / 'grpc-js').exists():
            if not shutil.which('npm'):
                self.skipTest('npm is not there to install @grpc/grpc-js')
            folder.mkdir(parents=True, exist_ok=True)
            done = subprocess.run(['npm', 'install', '--no-audit', '--no-fund', '--prefix', str(folder), '@grpc/grpc-js@1'], capture_output=True, text=True, timeout=300)
            if done.returncode != 0:
                self.skipTest(f'npm could not install @grpc/grpc-js: {done.stderr.strip()[-300:]}')
        self.serve()
        old = Path.cwd()
        os.chdir(folder)
        self.addCleanup(os.chdir, old)
        self.check_client('node', ROOT / 'tests' / 'system' / 'grpc' / 'client.js')

    def test_grpc_web_in_binary_and_text(self):
        server = self.serve(routes=[self.cart_route(grpcWeb=True)])
        address, port = self.targets()[0]

        def post(method, kind, body):
            return fetch(address, port, f'/{SERVICE}/{method}', 'POST', {'Content-Type': kind, 'Accept': kind, 'X-Grpc-Web': '1'}, body, CAP)
        answer = post('Get', 'application/grpc-web+proto', frame(b'figs'))
        self.assertEqual((answer.status, answer.headers['content-type']), (200, 'application/grpc-web+proto'))
        self.assertEqual(answer.headers['x-initial'], 'first')
        (flag, message), (end, trailers) = frames(answer.body)
        self.assertEqual((flag, message, end), (0, b'got figs', 0x80))
        self.assertIn(b'grpc-status: 0\r\n', trailers)
        self.assertIn(b'x-last: behind\r\n', trailers)
        answer = post('List', 'application/grpc-web-text', base64.b64encode(frame(b'3')))
        self.assertEqual(answer.headers['content-type'].partition('+')[0], 'application/grpc-web-text')
        body = b''.join(base64.b64decode(answer.body[i:i + 4]) for i in range(0, len(answer.body), 4))  # padded anywhere
        got = frames(body)
        self.assertEqual([m for f, m in got[:-1]], [b'0' * 1000, b'1' * 1000, b'2' * 1000])
        self.assertIn(b'grpc-status: 0\r\n', got[-1][1])
        answer = post('Fail', 'application/grpc-web', frame(b''))
        self.assertIn(b'grpc-status: 5\r\n', frames(answer.body)[-1][1])
        curl = subprocess.run(['curl', '-sS', '-i', '--data-binary', base64.b64encode(frame(b'curl')).decode(), '-H', 'Content-Type: application/grpc-web-text',
                               f'http://{address}:{port}/{SERVICE}/Get'], capture_output=True, text=True, timeout=CAP)
        self.assertIn('200 OK', curl.stdout, curl.stderr)
        self.assertIn(base64.b64encode(frame(b'got curl')).decode().rstrip('=')[:-4], curl.stdout)
        self.eventually('the metrics', lambda: (self.counted(0), self.counted(5)) == (3, 1))

    def test_what_is_configured_is_shown_and_what_does_not_fit_is_refused(self):
        self.serve(routes=[self.cart_route(grpcWeb=True)], retries={'attempts': 2, 'grpcStatuses': ['unavailable', 'resource-exhausted']})
        explained = self.gwctl.run('explain-request', 'POST', f'http://x/{SERVICE}/Get')
        self.assertIn(f'gRPC {SERVICE}', explained.stdout)
        self.assertIn('gRPC-Web', explained.stdout)
        self.assertIn('gRPC resource-exhausted, gRPC unavailable', explained.stdout)
        described = self.gwctl.ok('describe', 'route', 'cart')
        self.assertIn('grpcWeb', described)
        self.assertIn(f'{SERVICE}, all methods', described)
        self.assertIn('unavailable', self.gwctl.ok('describe', 'upstream', 'cart'))
        self.assertIn('grpc-web-text', self.gwctl.ok('explain', 'Route.grpcWeb'))
        self.assertIn('resource-exhausted', self.gwctl.ok('explain', 'Upstream.retries.grpcStatuses'))

        def upstream(**spec):
            return documents(document('Upstream', 'cart', {**self.spec, **spec}))
        self.refused(upstream(retries={'attempts': 1, 'grpcStatuses': ['UNAVAILABLE']}), 8, 'GW1431', 'spec.retries.grpcStatuses[0]', 'write unavailable')
        self.refused(upstream(retries={'attempts': 1, 'grpcStatuses': ['ok']}), 8, 'GW1431')
        http1 = document('Upstream', 'old', {'targets': self.spec['targets']})
        self.refused(documents(http1, self.cart_route(grpcWeb=True, to={'upstream': 'old'})), 8, 'GW1321', 'spec.to.upstream', 'protocol: http2')
        self.refused(documents(document('Upstream', 'old', {'targets': self.spec['targets'], 'retries': {'attempts': 1, 'grpcStatuses': ['unavailable']}})), 8, 'GW1437')
        done = self.gwctl.run('apply', '-f', '-', stdin=documents(http1, self.cart_route('plain', match={'path': {'grpc': {'service': 'shop.Old'}}}, to={'upstream': 'old'})))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn('GW2023', done.stderr + done.stdout)
        self.refused(documents(self.cart_route(match={'path': {'grpc': {'service': 'shop/Cart'}}})), 8, 'match.path.grpc.service', 'is no name')


if __name__ == '__main__':
    harness.main()
