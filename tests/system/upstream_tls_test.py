#!/usr/bin/env python3
"""TLS with upstreams as it is run: who is believed and who is not, the gateway's own certificate, protocols, rotation under load."""
import http.server
import json
import ssl
import threading

import harness
from harness import Load, SystemTest, api, document, documents, gateway, route, team
from tls_site import EchoServer, make_ca, secret

HOST, NAME = 'u.localhost', 'backend.test'


class Tls(http.server.BaseHTTPRequestHandler):
    """Answers with what it knows of the client's TLS."""
    protocol_version = 'HTTP/1.1'
    wbufsize = 65536

    def setup(self):
        self.request.settimeout(60)
        self.request.do_handshake()
        super().setup()

    def do_GET(self):
        peer = self.connection.getpeercert() or {}
        subject = dict(item for part in peer.get('subject', ()) for item in part).get('commonName')
        body = json.dumps({'sni': self.server.named, 'client': subject, 'version': self.connection.version(), 'serial': self.server.serial}).encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class TlsServer(EchoServer):
    """`pair`: what it shows; `clients`: a CA that clients' certificates must be of."""

    def __init__(self, pair, clients=None, newest=ssl.TLSVersion.TLSv1_3):
        super().__init__(('127.0.0.1', 0), Tls)
        self.clients, self.newest, self.named = clients, newest, None
        self.show(pair)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def show(self, pair):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(str(pair.pem))
        context.maximum_version = self.newest
        context.set_alpn_protocols(['http/1.1'])
        context.sni_callback = lambda _socket, name, _context: setattr(self, 'named', name)
        if self.clients is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(str(self.clients.cert))
        self.context, self.serial = context, pair.serial

    def get_request(self):
        accepted, address = super().get_request()
        return self.context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request, client_address):
        pass  # a client that does not believe this server


class UpstreamTls(SystemTest):
    def setUp(self):
        super().setUp()
        self.ca = make_ca(self.folder / 'ca')

    def server(self, pair, **more):
        server = TlsServer(pair, **more)
        self.backends.append(server)
        return server

    def config(self, server, tls, *more, **upstream):
        return documents(team('platform'), secret('ca', self.ca.cert), *more, gateway(), api('all', [HOST]), route('all', 'all', 'u'),
                         document('Upstream', 'u', {'targets': [{'url': f'https://127.0.0.1:{server.server_port}'}], 'tls': tls, **upstream}))

    def ask(self):
        """Status, and what the server told or the gateway's reason."""
        got = self.get('/', HOST)
        body = json.loads(got.body)
        return got.status, body if got.status == 200 else body['reason']

    def test_only_a_server_that_is_what_it_should_be_is_believed(self):
        self.start(nodes=('n1',))
        pair = self.ca.issue([NAME, 'spiffe://backend.test/api'])
        server, own = self.server(pair), {'ca': {'secret': 'ca'}, 'serverName': NAME}
        strangers = make_ca(self.folder / 'strangers', name='Strangers')
        self.apply(self.config(server, own, secret('strangers', strangers.cert)))
        status, told = self.ask()
        self.assertEqual((status, told['sni'], told['client'], told['version']), (200, NAME, None, 'TLSv1.3'))
        pin, other_pin = pair.spki_sha256(), strangers.spki_sha256()
        bad = (502, 'UPSTREAM_TLS')
        for what, tls, expected in (
                ('the CAs of the system', {'serverName': NAME}, bad),
                ('another CA', {**own, 'ca': {'secret': 'strangers'}}, bad),
                ('the name of the target', {'ca': {'secret': 'ca'}}, bad),
                ('another name', {**own, 'serverName': 'other.test'}, bad),
                ('a SPIFFE id that it has', {**own, 'names': ['spiffe://backend.test/api']}, 200),
                ('one that it has not', {**own, 'names': ['spiffe://backend.test/web']}, bad),
                ('its key', {**own, 'pins': [pin]}, 200),
                ('another key', {**own, 'pins': [other_pin]}, bad),
                ('its key or another', {**own, 'pins': [other_pin, pin]}, 200),
                ('whatever it is', {'serverName': NAME, 'verify': False, 'reason': 'a test'}, 200)):
            with self.subTest(what):
                self.apply(self.config(server, tls))
                got = self.ask()
                self.assertEqual(got if isinstance(expected, tuple) else got[0], expected)
        self.assertGreaterEqual(self.metric('gw_upstream_tls_failures_total'), 6)
        shown = self.gwctl.ok('describe', 'upstream', 'platform/u')
        self.assertIn('verify: false', shown)
        self.refused(self.config(server, {'verify': False}), 8, 'spec.tls.reason')
        self.refused(self.config(server, {**own, 'pins': ['sha256/short']}), 8, 'spec.tls.pins[0]')
        self.refused(self.config(server, {**own, 'ca': {'secret': 'nothing'}}), 8, 'spec.tls.ca')

    def test_certificates_that_ended_and_versions_that_are_too_old_are_refused(self):
        self.start(nodes=('n1',))
        tls = {'ca': {'secret': 'ca'}, 'serverName': NAME}
        for what, pair, more, wanted, expected in (
                ('one that has ended', self.ca.issue([NAME], starts=-9, days=-2), {}, tls, 502),
                ('one that has not begun', self.ca.issue([NAME], starts=2, days=9), {}, tls, 502),
                ("a client's", self.ca.issue([NAME], usage='client'), {}, tls, 502),
                ('TLS 1.2', self.ca.issue([NAME]), {'newest': ssl.TLSVersion.TLSv1_2}, tls, 200),
                ('TLS 1.2 where 1.3 is asked for', self.ca.issue([NAME]), {'newest': ssl.TLSVersion.TLSv1_2}, {**tls, 'minTls': '1.3'}, 502)):
            with self.subTest(what):
                self.apply(self.config(self.server(pair, **more), wanted))
                status, told = self.ask()
                self.assertEqual((status, told if status != 200 else told['version']), (expected, 'UPSTREAM_TLS' if expected != 200 else 'TLSv1.2'))

    def test_the_gateway_shows_its_own_certificate(self):
        self.start(nodes=('n1',))
        clients = make_ca(self.folder / 'clients', name='Clients')
        server = self.server(self.ca.issue([NAME]), clients=clients)
        own, next_one = clients.issue(['gateway.test'], usage='client'), clients.issue(['gateway-2.test'], usage='client')
        tls = {'ca': {'secret': 'ca'}, 'serverName': NAME}
        self.apply(self.config(server, tls, secret('own', own.pem)))
        self.assertEqual(self.ask()[0], 502)
        self.apply(self.config(server, {**tls, 'clientCertificate': {'secret': 'own'}}))
        self.assertEqual(self.ask()[1]['client'], 'gateway.test')
        version = self.gwctl.json('status')['latest']
        self.assertEqual(self.gwctl.run('secret', 'set', 'platform/own', '--from-file', next_one.pem).returncode, 0)
        # A connection that was made with the old one is not used for the new one.
        self.assertEqual(self.ask()[1]['client'], 'gateway-2.test')
        self.assertEqual(self.gwctl.json('status')['latest'], version)

    def test_a_ca_changes_under_load_without_a_failed_request(self):
        self.start(nodes=('n1',), workers=2)
        first, second = self.ca, make_ca(self.folder / 'second', name='Second CA')
        server = self.server(first.issue([NAME]))
        self.apply(self.config(server, {'ca': {'secret': 'ca'}, 'serverName': NAME}))
        both = self.folder / 'both.pem'
        both.write_text(first.cert.read_text() + second.cert.read_text())
        with Load(self.targets(), lambda client, n: ('/', {'Host': HOST}), clients=4) as load:
            load.wait_more(100)
            self.gwctl.ok('secret', 'set', 'platform/ca', '--from-file', both)
            load.wait_more(100)
            pair = second.issue([NAME])
            server.show(pair)
            self.gwctl.ok('secret', 'set', 'platform/ca', '--from-file', second.cert)
            self.eventually('the new certificate is in use', lambda: self.ask()[1]['serial'] == pair.serial)
            load.wait_more(100)
        self.assertEqual(load.failures, [])


if __name__ == '__main__':
    harness.main()
