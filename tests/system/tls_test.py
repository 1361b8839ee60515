#!/usr/bin/env python3
"""TLS with clients as it is run: certificates by host, redirects and HSTS, clients' certificates to Apps, sessions that another node
resumes, rotation under load, and what is told of handshakes that fail."""
import base64
import http.client
import json
import socket
import sqlite3
import ssl
import subprocess
import threading

import harness
from harness import api, document, documents, route, team, upstream
from tls_site import HOST, OTHER, TlsSystemTest, certificate, gateway, listeners, make_ca, secret

PARTNERS = 'partners.tls.test'


class TlsTest(TlsSystemTest):
    def test_hosts_get_their_certificates_and_plain_text_is_redirected(self):
        self.start()
        ecdsa, rsa = self.ca.issue([HOST]), self.ca.issue([HOST], kind='rsa')
        wild = self.ca.issue(['*.tls.test'])
        self.apply(documents(
            team('platform'), secret('ecdsa', ecdsa.pem), secret('rsa', rsa.pem), secret('wild', wild.pem),
            certificate('own', [HOST], 'ecdsa', 'rsa'), certificate('wild', ['*.tls.test'], 'wild', minTls='1.3'),
            gateway(listeners('own', 'wild', hsts={'maxAge': '365d', 'includeSubdomains': True})), upstream('up', self.echo()),
            api('web', [HOST, OTHER]), route('all', 'web', 'up')))
        for node in range(2):
            got = self.ask(HOST, node=node)
            self.assertEqual((got.status, got.version, got.subject), (200, 'TLSv1.3', HOST))
            self.assertEqual(got.headers['strict-transport-security'], 'max-age=31536000; includeSubDomains')
            self.assertEqual(json.loads(got.body)['x-forwarded-proto'], 'https')
        self.assertEqual(self.ask(OTHER).subject, '*.tls.test')
        old = self.context(maximum_version=ssl.TLSVersion.TLSv1_2)
        self.assertEqual(self.ask(HOST, context=old).version, 'TLSv1.2')
        with self.assertRaises(ssl.SSLError):
            self.ask(OTHER, context=old)
        with self.assertRaises(ssl.SSLError) as refused:
            self.ask('unknown.test')
        self.assertIn('unrecognized name', str(refused.exception).lower().replace('_', ' '))
        # Of another certificate's host, and of one that this connection's certificate covers, too.
        self.assertEqual(self.ask(OTHER, name=HOST).status, 421)
        plain = self.get('/a?b=c', HOST, listener='http')
        self.assertEqual((plain.status, plain.headers['location']), (308, f'https://{HOST}:8443/a?b=c'))
        self.assertIsNone(plain.headers.get('strict-transport-security'))
        self.assertGreaterEqual(self.metric('gw_tls_handshakes_total', result='ok', version='1.3'), 2)
        self.assertEqual(self.metric('gw_tls_handshakes_total', result='no_host'), 1)

    def test_a_clients_certificate_stands_for_an_app(self):
        partners = make_ca(self.folder / 'partners', name='Partners')
        strangers = make_ca(self.folder / 'strangers', name='Strangers')
        acme = partners.issue(['gw.acme.example', 'spiffe://acme.example/mobile'], usage='client')
        other = partners.issue(['other.example'], usage='client')
        gone = partners.issue(['gw.acme.example'], usage='client')
        partners.revoke(gone)
        self.start(nodes=('n1',))
        policy = document('Policy', 'mtls', {'type': 'clientCertificate', 'config': {'match': 'san'}}, shareWith=['all'])
        pair = self.ca.issue([HOST, PARTNERS])
        self.apply(documents(
            team('platform'), secret('site', pair.pem), certificate('site', (HOST, PARTNERS), 'site'),
            secret('partners', partners.cert), secret('revoked', partners.crl()), policy,
            gateway(listeners('site'), clientAuth=[{'hosts': [PARTNERS], 'mode': 'require', 'trust': {'secret': 'partners'},
                                                    'crl': {'secret': 'revoked'}, 'header': 'x-client'}]),
            upstream('up', self.echo()), api('web', [HOST]), route('all', 'web', 'up'),
            api('partners', [PARTNERS], auth=('mtls',)), route('partners', 'partners', 'up'),
            document('Consumer', 'acme', {'title': 'Acme'}),
            document('App', 'mobile', {'consumer': 'acme', 'title': 'Mobile',
                                       'identities': [{'policy': 'mtls', 'value': 'dns:gw.acme.example'}]})))
        # Who is not asked may still not say who he is.
        seen = json.loads(self.ask(HOST, x_client='san="dns:gw.acme.example"').body)
        self.assertNotIn('x-client', seen)
        got = self.ask(PARTNERS, context=self.context(acme))
        self.assertEqual(got.status, 200)
        seen = json.loads(got.body)
        self.assertEqual(seen['x-gw-app'], 'platform/mobile')
        self.assertIn('san="uri:spiffe://acme.example/mobile"', seen['x-client'])
        self.assertEqual(self.ask(PARTNERS, context=self.context(other)).status, 401)
        for bad in (None, gone, strangers.issue(['gw.acme.example'], usage='client'),
                    partners.issue(['gw.acme.example'], usage='server'), partners.issue(['gw.acme.example'], usage='client', starts=-9, days=-2)):
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                self.ask(PARTNERS, context=self.context(bad))
        # Over a connection that asked for nothing, the host that asks is another's.
        self.assertEqual(self.ask(HOST, name=PARTNERS).status, 421)
        self.assertEqual(self.metric('gw_tls_handshakes_total', result='client_certificate'), 5)

    def test_a_session_of_one_node_is_resumed_on_another(self):
        self.start()
        self.site()
        context = self.context(maximum_version=ssl.TLSVersion.TLSv1_2)

        def resumed():
            first = self.ask(HOST, context=context)
            return self.ask(HOST, node=1, context=context, session=first.session).resumed
        self.eventually('a ticket that both nodes know', resumed)
        self.assertGreaterEqual(self.metric('gw_tls_handshakes_total', node='n2', result='resumed', version='1.2'), 1)

    def test_certificates_are_rotated_under_load_without_a_failed_request(self):
        self.start()
        self.site()
        version = self.gwctl.json('status')['latest']
        failures, counts, stop = [], [0, 0], threading.Event()

        def kept(node):
            """Requests over one connection, which outlives every rotation."""
            try:
                connection = http.client.HTTPConnection(HOST)
                connection.sock = self.connect(HOST, node)
                self.addCleanup(connection.close)
                while not stop.is_set():
                    connection.request('GET', '/', headers={'Host': HOST})
                    response = connection.getresponse()
                    response.read()
                    if response.status != 200:
                        failures.append(response.status)
                    counts[0] += 1
            except Exception as error:  # noqa: BLE001
                failures.append(error)

        def fresh(node):
            while not stop.is_set():
                try:
                    status = self.ask(HOST, node=node).status
                    if status != 200:
                        failures.append(status)
                    counts[1] += 1
                except Exception as error:  # noqa: BLE001
                    failures.append(error)
        load = harness.Parallel()
        for node in range(2):
            load.run(kept, node)
            load.run(fresh, node)
        try:
            for _ in range(harness.scaled(10)):
                pair = self.ca.issue([HOST, OTHER])
                done = self.gwctl.run('cert', 'rotate', 'site', '--from-file', str(pair.pem), '-o', 'json')
                self.assertEqual(done.returncode, 0, done.stderr)
                for node in range(2):
                    with self.connect(HOST, node) as tls:
                        self.assertEqual(tls.getpeercert()['serialNumber'].lower(), pair.serial)
            seen = counts[:]
            self.eventually('requests after the last rotation', lambda: counts[0] > seen[0] + 20 and counts[1] > seen[1] + 20)
        finally:
            stop.set()
            load.join()
        self.assertEqual(failures, [])
        self.assertEqual(self.gwctl.json('status')['latest'], version)  # no configuration was made

    def test_keys_of_tickets_change_under_load_without_a_failed_request(self):
        self.cluster.record['control_flags'] = ['--ticket-key-period', '2s']
        self.start()
        self.site()
        failures, resumed, stop = [], [0], threading.Event()

        def client(node):
            """Begins each connection with the session of the one before, on the other node."""
            context, session = self.context(maximum_version=ssl.TLSVersion.TLSv1_2), None
            while not stop.is_set():
                try:
                    got = self.ask(HOST, node=node, context=context, session=session)
                    if got.status != 200:
                        failures.append(got.status)
                    resumed[0] += got.resumed
                    session, node = got.session, 1 - node
                except Exception as error:  # noqa: BLE001
                    failures.append(error)
        load, seen = harness.Parallel(), set()

        def changed():
            with sqlite3.connect(f'file:{self.cluster.state}/control/gateway.db?mode=ro', uri=True) as db:
                seen.update(row[0] for row in db.execute('SELECT uid FROM ticket_keys'))
            return len(seen) >= 6
        for node in range(2):
            load.run(client, node)
        try:
            self.eventually('five changes of the key', changed)
            before = resumed[0]
            self.eventually('sessions that go on after them', lambda: resumed[0] > before + 20)
        finally:
            stop.set()
            load.join()
        self.assertEqual(failures, [])

    def test_early_data_is_served_where_it_may_be_replayed(self):
        self.start(nodes=('n1',))
        self.site(listener={'tls': {'earlyData': True}})
        host, port = self.cluster.wait_listening('n1', 'https')
        session, sent = self.folder / 'session.pem', self.folder / 'early.txt'

        def client(*args, text):
            """What the node answers to `openssl s_client`."""
            done = subprocess.run(['openssl', 's_client', '-connect', f'{host}:{port}', '-servername', HOST, '-tls1_3', '-alpn', 'http/1.1',
                                   '-CAfile', str(self.ca.cert), '-verify_return_error', '-ign_eof', *map(str, args)],
                                  input=text, capture_output=True, text=True, timeout=harness.CAP_S, check=False)
            return done.stdout

        def request(method, *fields):
            return '\r\n'.join([f'{method} / HTTP/1.1', f'Host: {HOST}', 'Connection: close', *fields, '', ''])
        first = client('-sess_out', session, text=request('GET'))
        self.assertNotIn('early-data', first)
        sent.write_text(request('GET', 'Early-Data: 7'))
        early = client('-sess_in', session, '-early_data', sent, text='')
        self.assertIn('Early data was accepted', early)
        self.assertIn('HTTP/1.1 200', early)
        self.assertIn('"early-data": "1"', early)
        sent.write_text(request('POST', 'Content-Length: 2') + '{}')
        refused = client('-sess_in', session, '-early_data', sent, text='')
        self.assertIn('HTTP/1.1 425', refused)
        self.assertIn('TOO_EARLY', refused)
        self.assertEqual(self.metric('gw_tls_early_requests_total'), 2)
        self.assertEqual(self.metric('gw_tls_early_refused_total'), 1)

    def test_an_ocsp_response_is_stapled(self):
        self.start(nodes=('n1',))
        pair = self.ca.issue([HOST])
        answer = base64.b64encode(self.ca.ocsp(pair).read_bytes()).decode()
        self.apply(documents(
            team('platform'), secret('site', pair.pem), document('Secret', 'staple', {'value': answer}),
            document('Certificate', 'site', {'hosts': [HOST], 'keyPairs': [{'secret': 'site', 'ocsp': 'staple'}]}),
            gateway(listeners('site')), upstream('up', self.echo()), api('web', [HOST]), route('all', 'web', 'up')))
        host, port = self.cluster.wait_listening('n1', 'https')
        done = subprocess.run(['openssl', 's_client', '-connect', f'{host}:{port}', '-servername', HOST, '-status', '-CAfile', str(self.ca.cert)],
                              input='', capture_output=True, text=True, timeout=harness.CAP_S, check=False)
        self.assertIn('OCSP Response Status: successful', done.stdout)
        self.assertIn('Cert Status: good', done.stdout)

    def test_handshakes_have_limits(self):
        self.start(nodes=('n1',))
        self.site(listener={'tls': {'maxHandshakes': 2, 'handshakeTimeout': '1s'}})
        address = self.cluster.wait_listening('n1', 'https')
        silent = [socket.create_connection(address, harness.CAP_S) for _ in range(2)]
        self.eventually('two handshakes', lambda: self.metric('gw_tls_handshakes_active') == 2)
        with socket.create_connection(address, harness.CAP_S) as third:
            self.assertEqual(third.recv(1), b'')
        for one in silent:
            self.assertEqual(one.recv(1), b'')
            one.close()
        self.assertEqual(self.ask(HOST).status, 200)
        self.assertEqual(self.metric('gw_tls_handshakes_total', result='timeout'), 2)
        self.assertEqual(self.metric('gw_tls_handshakes_total', result='limit'), 1)


if __name__ == '__main__':
    harness.main()
