#!/usr/bin/env python3
"""The control channel over TLS: who is let in, who is not and why; renewal under load; revocation; the CA through restarts."""
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import unquote

import harness
from harness import ROOT, SystemTest, api, documents, gateway, route, scaled, team, upstream
from cluster import Gwctl, write_private

sys.path.insert(0, str(ROOT / 'tests' / 'support'))
sys.path.append('/usr/lib/python3/dist-packages')  # Debian's h2, for any Python 3
import ca  # noqa: E402
import h2.config  # noqa: E402
import h2.connection  # noqa: E402
import h2.events  # noqa: E402

HOST = 'tls.localhost'
UNAUTHENTICATED, PERMISSION_DENIED = 16, 7


def marker(n):
    return route('marker', 'site', {'respond': {'status': 200, 'body': str(n)}}, prefix='/marker')


class ControlTls(SystemTest):
    def secure_start(self, *flags, nodes=('n1', 'n2')):
        self.cluster.secure(*flags)
        self.start(nodes=nodes)
        self.ca_file = self.cluster.ca_file

    def serve(self):
        self.apply(documents(team('platform'), gateway(), upstream('echo', self.backend()), api('site', [HOST]),
                             route('all', 'site', 'echo'), marker(0)))

    def node_dir(self, node):
        return self.cluster.state / 'nodes' / node

    def log_has(self, name, words, since=0):
        return words in self.cluster.log(name).read_text()[since:]

    def log_size(self, name):
        return len(self.cluster.log(name).read_text())

    def new_join_token(self):
        (self.cluster.state / 'join.token').unlink(missing_ok=True)
        return self.cluster.join_token_file()

    def fails(self, gwctl, *words, code=6):
        done = gwctl.run('whoami')
        self.assertEqual(done.returncode, code, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertNotRegex(done.stderr, r'(?m)^E\d{4} ', 'the library speaks to people')

    def other_gwctl(self, server=None, ca_file=None):
        return Gwctl(self.cluster.programs['gwctl'], server or self.cluster.address, self.cluster.token_file, ca_file)

    # --- a client of the protocol, by hand

    def dial(self, certificate=None, most=None):
        """A TLS connection; `certificate`: PEM file with certificate and key."""
        context = ssl.create_default_context(cafile=str(self.cluster.ca_file))
        context.set_alpn_protocols(['h2'])
        if most:
            context.maximum_version = most
        if certificate:
            context.load_cert_chain(certificate)
        host, port = self.cluster.address.rsplit(':', 1)
        return context.wrap_socket(socket.create_connection((host, int(port)), timeout=30), server_hostname=host)

    def sync_status(self, token, certificate=None):
        """(grpc-status, message) of ConfigSync.Sync that is refused before it says anything."""
        with self.dial(certificate) as connection:
            wire = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding='utf-8'))
            wire.initiate_connection()
            wire.send_headers(1, [(':method', 'POST'), (':scheme', 'https'), (':path', '/gw.v1.ConfigSync/Sync'), (':authority', self.cluster.address),
                                  ('te', 'trailers'), ('content-type', 'application/grpc'), ('authorization', f'Bearer {token}')])
            connection.sendall(wire.data_to_send())
            found = {}
            while 'grpc-status' not in found:
                data = connection.recv(65536)
                self.assertTrue(data, f'the connection ended without a status: {found}')
                for event in wire.receive_data(data):
                    if isinstance(event, (h2.events.ResponseReceived, h2.events.TrailersReceived)):
                        found.update(dict(event.headers))
                connection.sendall(wire.data_to_send())
        return int(found['grpc-status']), unquote(found.get('grpc-message', ''))

    def node_token(self, node):
        return (self.node_dir(node) / 'node.token').read_text().strip()

    # --- tests

    def test_everything_goes_over_tls(self):
        self.secure_start()
        self.serve()
        self.assertEqual(self.get('/marker', HOST).body, b'0')
        self.apply(marker(1))
        self.assertEqual(self.get('/marker', HOST, node=1).body, b'1')
        for node, info in self.cluster.node_infos().items():
            pem = self.node_dir(node) / 'node.pem'
            self.assertEqual(os.stat(pem).st_mode & 0o777, 0o600)
            serial = ca.openssl('x509', '-in', pem, '-noout', '-serial').strip().split('=')[1].lower()
            self.assertEqual(info['certificateSerial'], serial)
            self.assertTrue(info['certificateExpires'])
            self.assertAlmostEqual(self.metric('gw_certificate_expiry_timestamp_seconds', node, certificate='node'), time.time() + 86400, delta=600)
            # What it gives out to trust is one CA, which issued what it shows.
            ca.openssl('verify', '-CAfile', self.ca_file, '-purpose', 'sslclient', pem)
        wide = self.gwctl.ok('node', 'list', '-o', 'wide')
        self.assertIn('OWN CERTIFICATE', wide)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.dial(most=version) as connection:
                self.assertEqual(connection.selected_alpn_protocol(), 'h2')
        for path in (self.cluster.state / 'control').iterdir():
            self.assertNotIn(b'PRIVATE KEY', path.read_bytes(), f'{path} holds a private key in the clear')

    def test_gwctl_says_what_is_wrong_with_a_connection(self):
        self.secure_start(nodes=())
        other = ca.Ca(self.folder / 'other-ca')
        port = self.cluster.address.rsplit(':', 1)[1]
        self.fails(self.other_gwctl(ca_file=other.cert), 'not one of the CA in', 'ca.pem')
        self.fails(self.other_gwctl(), 'does it talk TLS?', '--ca-file')
        self.fails(self.other_gwctl(f'[::ffff:127.0.0.1]:{port}', self.ca_file), 'for other names', '--name')
        self.fails(self.other_gwctl(f'https://127.0.0.1:{port}'), '--ca-file', code=2)
        self.fails(self.other_gwctl('192.0.2.1:7070'), 'loopback', '--ca-file', code=2)
        self.fails(self.other_gwctl(ca_file=self.cluster.token_file), 'CA file', code=2)
        servers = [f'https://127.0.0.1:{port}']
        hosts = Path('/etc/hosts')  # a bare root has none
        if hosts.exists() and 'localhost' in hosts.read_text():
            servers.append(f'localhost:{port}')
        for server in servers:
            self.assertEqual(self.other_gwctl(server, self.ca_file).run('whoami').returncode, 0)
        # The other way round: a CA for a control plane in plain text.
        self.cluster.stop('control')
        self.cluster.record.update(tls=False, control_flags=[])
        self.cluster.start_control()
        self.fails(self.other_gwctl(ca_file=self.ca_file), 'talks plain text', 'GW_CA_FILE')

    def test_strangers_are_refused_with_a_reason(self):
        self.secure_start()
        own = {node: str(self.node_dir(node) / 'node.pem') for node in self.nodes}
        status, why = self.sync_status(self.node_token('n1'))
        self.assertEqual((status, 'shows no certificate' in why), (UNAUTHENTICATED, True), why)
        status, why = self.sync_status(self.node_token('n1'), own['n2'])
        self.assertEqual((status, 'the token that of node n1' in why), (PERMISSION_DENIED, True), why)
        status, why = self.sync_status('gwn_000000000000_' + '0' * 64, own['n1'])
        self.assertEqual((status, 'not known' in why), (UNAUTHENTICATED, True), why)
        status, why = self.sync_status(self.cluster.token_file.read_text().strip(), own['n1'])
        self.assertEqual((status, "is not a node's" in why), (UNAUTHENTICATED, True), why)
        # A certificate of another CA does not get through the handshake, whatever name it has.
        other = ca.Ca(self.folder / 'other-ca').issue(['urn://northgate/node/n1'], usage='client', subject='/CN=n1')
        with self.assertRaises((ssl.SSLError, ConnectionError, AssertionError)):
            self.sync_status(self.node_token('n1'), str(other.pem))
        self.eventually('the refusal is in the log', lambda: self.log_has('control', 'certificate verify failed'))
        self.eventually('and so are the others', lambda: self.log_has('control', 'is not let in'))
        self.cluster.wait_connected(self.nodes)

    def test_a_node_with_the_certificate_of_another_says_so_and_goes_on_serving(self):
        self.secure_start()
        self.serve()
        self.cluster.stop('n1')
        shutil.copy(self.node_dir('n2') / 'node.pem', self.node_dir('n1') / 'node.pem')
        self.cluster.start_again('n1')
        self.eventually('the reason is in its log', lambda: self.log_has('n1', 'the token that of node n1'))
        self.assertFalse(self.cluster.node_infos()['n1']['connected'])
        self.assertEqual(self.get('/marker', HOST).body, b'0')
        self.cluster.stop('n1')
        (self.node_dir('n1') / 'node.pem').unlink()
        self.cluster.start_again('n1')
        self.cluster.wait_connected(['n1'])

    def test_renewal_under_load_costs_no_request(self):
        self.secure_start('--node-certificate-lifetime', '5s')
        self.serve()
        load = harness.Load(self.targets(), lambda client, n: ('/all', {'Host': HOST}), clients=4).start()
        self.addCleanup(load.stop)
        serials = {node: set() for node in self.nodes}
        renewals, applied = scaled(8, least=3), 0

        def renewed():
            for node, info in self.cluster.node_infos().items():
                serials[node].add(info['certificateSerial'])
            return all(len(seen) > renewals for seen in serials.values())
        while not renewed():
            applied += 1
            answer = self.apply(marker(applied))
            self.assertEqual({n['node']: n['state'] for n in answer['rollout']['nodes']}.keys(), set(self.nodes))
            for i in range(len(self.nodes)):
                self.assertEqual(self.get('/marker', HOST, node=i).body, str(applied).encode())
        load.wait_more(200)
        done, failed, _ = load.counts()
        self.assertEqual(failed, 0, load.failures)
        self.assertGreater(done, 0)
        load.stop()
        self.cluster.wait_connected(self.nodes)
        for node in self.nodes:
            self.assertFalse(self.log_has(node, 'could not be renewed'))
            self.assertEqual(self.cluster.log(node).read_text().count('joined'), 1, 'a renewal is no join')
        self.assertFalse(self.log_has('n1', 'usage: stream'), 'the reports begin anew without a word')

    def test_a_node_whose_certificate_ended_while_it_was_off_joins_anew(self):
        self.secure_start('--node-certificate-lifetime', '2s', nodes=('n1',))
        self.serve()
        token = (self.cluster.state / 'join.token').read_text().splitlines()[0]
        self.gwctl.ok('token', 'revoke', token.split('_')[1], '-y')
        self.cluster.stop('n1')
        pem = self.node_dir('n1') / 'node.pem'
        self.eventually('its certificate ends', lambda: subprocess.run(
            ['openssl', 'x509', '-in', pem, '-noout', '-checkend', '0'], capture_output=True).returncode != 0)
        self.cluster.start_again('n1')
        self.eventually('its join token is refused', lambda: self.log_has('n1', 'was revoked'))
        self.assertEqual(self.get('/marker', HOST).body, b'0', 'it serves what it holds')
        self.cluster.stop('n1')
        self.new_join_token()
        self.cluster.start_again('n1')
        self.cluster.wait_connected(['n1'])
        self.apply(marker(1))
        self.assertEqual(self.get('/marker', HOST).body, b'1')

    def test_a_revoked_node_is_out_at_once_until_it_joins_anew(self):
        self.secure_start()
        self.serve()
        shown, token = self.folder / 'n1.pem', self.node_token('n1')
        shutil.copy(self.node_dir('n1') / 'node.pem', shown)
        done = self.gwctl.run('node', 'revoke', 'n1', '-y')
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn('undo with: gwctl node join-token', done.stderr)
        self.eventually('its stream has ended', lambda: not self.cluster.node_infos()['n1']['connected'])
        self.assertTrue(self.cluster.node_infos()['n1']['revoked'])
        status, why = self.sync_status(token, str(shown))
        self.assertEqual((status, 'revoked' in why), (UNAUTHENTICATED, True), why)
        self.eventually('its join token is refused as well', lambda: self.log_has('n1', 'joins again with a newer one'))
        # It is not waited for, and goes on serving what it holds.
        answer = self.apply(marker(1))
        self.assertEqual([n['node'] for n in answer['rollout']['nodes']], ['n2'])
        self.assertEqual(self.get('/marker', HOST, node=0).body, b'0')
        self.assertEqual(self.get('/marker', HOST, node=1).body, b'1')
        # So it stays over a restart of the control plane.
        self.cluster.stop('control')
        self.cluster.start_control()
        self.cluster.wait_connected(['n2'])
        self.assertEqual(self.sync_status(token, str(shown))[0], UNAUTHENTICATED)
        self.cluster.stop('n1')
        self.new_join_token()
        self.cluster.start_again('n1')
        self.cluster.wait_connected(self.nodes)
        self.assertNotIn('revoked', self.cluster.node_infos()['n1'])
        self.eventually('n1 has come to the newest', lambda: self.get('/marker', HOST).body == b'1')
        self.assertEqual(self.gwctl.run('node', 'revoke', 'nobody', '-y').returncode, 4)

    def test_the_ca_outlives_restarts_and_another_master_key(self):
        self.secure_start()
        self.serve()
        before = self.ca_file.read_text()
        self.gwctl.ok('secret', 'rotate-master', '-y')
        self.cluster.stop('control')
        self.ca_file.unlink()  # a copy for people, no more
        self.cluster.start_control()
        self.cluster.wait_connected(self.nodes)
        self.assertEqual(self.ca_file.read_text(), before)
        self.cluster.start_node('n3', 'az-a', 1)
        self.cluster.wait_connected(['n1', 'n2', 'n3'])
        self.apply(marker(1))
        for node in self.nodes:
            self.assertEqual(self.cluster.log(node).read_text().count('joined'), 1)

    def test_a_plain_control_plane_turns_to_tls(self):
        self.start(nodes=('n1',))
        self.serve()
        self.cluster.stop('control')
        self.cluster.secure()
        self.cluster.start_control()
        self.eventually('the node says what it needs', lambda: self.log_has('n1', '--control-ca-file'), cap_s=30)
        self.assertEqual(self.get('/marker', HOST).body, b'0')
        self.cluster.stop('n1')
        self.new_join_token()
        self.cluster.start_again('n1')
        self.cluster.wait_connected(['n1'])
        self.apply(marker(1))

    def test_a_ca_file_apart(self):
        self.secure_start(nodes=())
        token = (self.cluster.state / 'join.token').read_text().splitlines()[0]
        write_private(self.cluster.state / 'join.token', token + '\n')
        other = ca.Ca(self.folder / 'other-ca')
        self.cluster.start_node('n1', more=('--control-ca-file', str(other.cert)))
        self.eventually('another CA is not believed', lambda: self.log_has('n1', 'is not one of the CA that this node trusts'))
        self.cluster.start_node('n2', more=('--control-ca-file', str(self.ca_file)))
        self.cluster.wait_connected(['n2'])

    def test_beyond_loopback_there_is_no_plain_text(self):
        """In a network of its own, where 192.0.2.1 is this machine."""
        if os.geteuid() != 0 or subprocess.run(['unshare', '-n', 'true'], capture_output=True).returncode != 0:
            self.skipTest('needs root, to make a network namespace')
        self.cluster.init()
        script = 'ip link set lo up && ip addr add 192.0.2.1/32 dev lo && exec "$@"'
        control = [self.cluster.programs['gw-controlplane'], 'run', '--state', str(self.cluster.state / 'control'), '--listen', '192.0.2.1:0']
        (self.cluster.state / 'control' / 'address').unlink(missing_ok=True)
        child = self.cluster._spawn('control', ['unshare', '-n', 'sh', '-c', script, 'sh', *control])
        self.eventually('it listens', lambda: self.cluster.address or child.poll() is not None)
        self.assertIsNone(child.poll(), self.cluster.log('control').read_text())

        def inside(*args, **env):
            gwctl = self.other_gwctl()
            gwctl.server = None
            environment = {**gwctl.environment(), 'GW_TOKEN_FILE': str(self.cluster.token_file), 'GW_SERVER': self.cluster.address, **env}
            return subprocess.run(['nsenter', '-t', str(child.pid), '-n', *args], env=environment, capture_output=True, text=True, timeout=60)
        program = self.cluster.programs['gwctl']
        done = inside(program, 'whoami')
        self.assertEqual((done.returncode, '--ca-file' in done.stderr), (2, True), done.stderr)
        done = inside(program, 'whoami', GW_CA_FILE=str(self.cluster.state / 'control' / 'ca.pem'))
        self.assertEqual(done.returncode, 0, done.stderr)
        join = inside(program, 'node', 'join-token', GW_CA_FILE=str(self.cluster.state / 'control' / 'ca.pem'))
        self.assertIn('BEGIN CERTIFICATE', join.stdout)
        # Not by a client that cares for nothing, either.
        plain = inside('curl', '-sS', '--max-time', '10', '--http2-prior-knowledge', f'http://{self.cluster.address}/')
        self.assertNotEqual(plain.returncode, 0)

    def test_what_a_control_plane_cannot_be_started_with(self):
        self.cluster.init()
        for flags, words in ((('--listen', '127.0.0.1:0', '--name', 'gw.example.com'), '--tls'),
                             (('--listen', '127.0.0.1:0', '--tls', '--name', 'not a name'), '--name not a name'),
                             (('--listen', '127.0.0.1:0', '--tls', '--node-certificate-lifetime', '1s'), 'from 2s to 90d'),
                             (('--listen', '127.0.0.1:0', '--tls', '--node-certificate-lifetime', '91d'), 'from 2s to 90d'),
                             (('--listen', '127.0.0.1:0', '--tls', '--node-certificate-lifetime', 'soon'), '--node-certificate-lifetime soon')):
            done = subprocess.run([self.cluster.programs['gw-controlplane'], 'run', '--state', str(self.cluster.state / 'control'), *flags],
                                  capture_output=True, text=True, timeout=60)
            self.assertEqual((done.returncode, words in done.stderr), (2, True), f'{flags}: {done.stderr}')
        self.assertTrue(re.search('BEGIN CERTIFICATE', (self.cluster.state / 'control' / 'ca.pem').read_text()))


if __name__ == '__main__':
    harness.main()
