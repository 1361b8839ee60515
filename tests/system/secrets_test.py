#!/usr/bin/env python3
"""Secrets and Certificates, from gwctl to the nodes' memory: set, apply, rotate, change the master key, restart."""
import base64
import datetime
import json
import socket
import ssl
import subprocess
import sys

import harness
from harness import ROOT, SystemTest, document, documents, fetch, team

sys.path.insert(0, str(ROOT / 'tests' / 'support'))
import ca as authority  # noqa: E402

EXPIRY = 'gw_certificate_expiry_timestamp_seconds'


def expiry_of(issued):
    text = authority.openssl('x509', '-in', issued.cert, '-noout', '-enddate').strip().split('=')[1]
    return datetime.datetime.strptime(text, '%b %d %H:%M:%S %Y %Z').replace(tzinfo=datetime.timezone.utc).timestamp()


def edge(*certificates, labels=None, name='edge', port=0, **more):
    """A Gateway with one plain listener, by which a node is known to run it, and one with TLS."""
    return document('Gateway', name, {
        'nodes': {'labels': labels or {}},
        'listeners': [{'name': f'{name}-http', 'address': '127.0.0.1', 'port': port, 'protocol': 'http'},
                      {'name': f'{name}-https', 'address': '127.0.0.1', 'port': port, 'protocol': 'https', 'certificates': list(certificates)}],
        **more}, shareWith=['all'])


def certificate(name, hosts, *secrets, owner='platform', **spec):
    return document('Certificate', name, {'hosts': hosts, 'keyPairs': [{'secret': s} for s in secrets], **spec}, owner)


class Secrets(SystemTest):
    def setUp(self):
        super().setUp()
        self.ca = authority.make_ca(self.folder / 'ca')

    def set(self, name, path, *flags):
        return self.gwctl.json('secret', 'set', name, '--from-file', path, *flags)

    def site(self, *nodes, more=None):
        """A cluster whose nodes all serve one certificate."""
        self.start(nodes=nodes or ('n1',), more=more)
        self.first = self.ca.issue(['www.example.com'], days=90)
        self.apply(team('platform'))
        self.set('platform/tls', self.first.pem)
        self.apply(documents(certificate('site', ['www.example.com'], 'tls'), edge('site')))

    def check(self, *names):
        """The lines of `cert check`, by Certificate and Secret."""
        done = self.gwctl.run('cert', 'check', *names, '-o', 'json')
        self.assertIn(done.returncode, (0, 1), done.stderr)
        return {(c['certificate'], c['secret']): c for c in json.loads(done.stdout)}

    def served(self, node, host='www.example.com', listener='edge-https'):
        """The serial that a client is shown, whose CA is the test's own."""
        context = ssl.create_default_context(cafile=str(self.ca.cert))
        with socket.create_connection(self.cluster.wait_listening(node, listener), timeout=harness.CAP_S) as plain:
            with context.wrap_socket(plain, server_hostname=host) as tls:
                return tls.getpeercert()['serialNumber'].lower()

    def control(self, *flags):
        """Runs the control plane until it ends, which it does at once where it refuses to start."""
        return subprocess.run([self.cluster.programs['gw-controlplane'], 'run', '--state', str(self.cluster.state / 'control'),
                               '--listen', '127.0.0.1:0', *flags], text=True, capture_output=True, timeout=harness.CAP_S)

    def database(self):
        return b''.join(path.read_bytes() for path in sorted((self.cluster.state / 'control').glob('gateway.db*')))

    def assert_sealed(self, issued):
        """No byte of the key is anywhere where it could be read: database, logs, audit."""
        key = issued.key.read_text()
        body = ''.join(line for line in key.splitlines() if not line.startswith('-'))
        places = {'database': self.database()}
        places.update({path.name: path.read_bytes() for path in (self.cluster.state / 'logs').iterdir()})
        for where, data in places.items():
            for needle in (body[20:60].encode(), base64.b64decode(body)[30:60], b'PRIVATE KEY'):
                self.assertNotIn(needle, data, f'the key is in {where}')

    # --- what people see

    def test_a_value_goes_in_and_never_comes_out(self):
        self.site()
        listed = {s['secret']: s for s in self.gwctl.json('secret', 'list')}
        self.assertRegex(listed['platform/tls']['value'], r'^\(set\) key pair, 1 certificate, \d+ bytes, sha256 [0-9a-f]{8}$')
        self.assertRegex(listed['platform/tls']['changed'], r'^2\d{3}-.* UTC by first-admin')
        for words in (('get', 'secret', 'platform/tls', '-o', 'yaml'), ('get', 'secret', 'platform/tls', '-o', 'json'), ('describe', 'secret', 'platform/tls'),
                      ('describe', 'certificate', 'platform/site'), ('export',), ('rollout', 'history', '-o', 'json')):
            self.assertNotIn('BEGIN', self.gwctl.ok(*words), words)
        self.assertIn(self.first.serial, self.gwctl.ok('describe', 'certificate', 'platform/site'))
        self.assertIn('served by', self.gwctl.ok('describe', 'certificate', 'platform/site'))
        self.assert_sealed(self.first)
        # What was read can be applied, and keeps the value.
        text = self.gwctl.ok('get', 'secret', 'platform/tls', '-o', 'yaml')
        again = self.apply(text)
        self.assertEqual((again['changes'], again['unchanged']), ([], 1))
        self.assertEqual(self.check()['platform/site', 'platform/tls']['serial'], self.first.serial)
        # A difference in the value is told, not shown.
        other = self.ca.issue(['www.example.com'])
        spec = json.loads(document('Secret', 'tls', {'value': {'file': str(other.pem)}}))
        diff = self.gwctl.run('diff', '-f', '-', stdin=json.dumps(spec))
        self.assertEqual(diff.returncode, 1, diff.stderr)
        self.assertIn('+ spec.value: (set) key pair', diff.stdout)
        self.assertNotIn('BEGIN', diff.stdout + diff.stderr)

    def test_what_does_not_fit_is_refused_before_anything_changes(self):
        self.site()
        foreign = self.ca.issue(['other.example.com'])
        for path, code in ((foreign.pem, 'GW1441'), (foreign.chain, 'GW1440'), (self.ca.issue(['www.example.com'], days=-1, starts=-9).pem, 'GW1442')):
            done = self.gwctl.run('secret', 'set', 'platform/tls', '--from-file', path)
            self.assertEqual(done.returncode, 8, done.stdout + done.stderr)
            self.assertIn(code, done.stderr)
            self.assertNotIn('BEGIN', done.stderr)
        for kind, name in (('secret', 'platform/tls'), ('certificate', 'platform/site')):
            done = self.gwctl.run('delete', kind, name, '-y')
            self.assertEqual(done.returncode, 8, done.stdout + done.stderr)
            self.assertIn('GW1201', done.stderr)
        self.assertEqual(self.check()['platform/site', 'platform/tls']['serial'], self.first.serial)
        soon = self.ca.issue(['www.example.com'], days=20)
        self.set('platform/tls', soon.pem)
        done = self.gwctl.run('cert', 'check', 'site')
        self.assertEqual(done.returncode, 0)
        self.assertIn('GW2030', done.stderr)
        self.assertIn('certificates ending 1', self.gwctl.ok('status'))

    def test_secrets_belong_to_teams(self):
        self.site()
        self.apply(documents(team('shop'), team('other')))
        token = self.folder / 'shop.token'
        token.touch(mode=0o600)
        token.write_text(self.gwctl.ok('token', 'create', '--name', 'shop', '--role', 'editor', '--team', 'shop', '-q'))
        shop = self.cluster.gwctl(token)
        mine = self.ca.issue(['shop.example.com'])
        self.assertEqual(shop.run('secret', 'set', 'platform/tls', '--from-file', mine.pem).returncode, 3)
        self.assertEqual(shop.run('secret', 'rotate-master', '-y').returncode, 3)
        shop.ok('secret', 'set', 'tls', '--from-file', mine.pem)
        self.apply(certificate('shop', ['shop.example.com'], 'tls', owner='shop'), gwctl=shop)
        done = self.gwctl.run('apply', '-f', '-', stdin=certificate('theirs', ['shop.example.com'], 'platform/tls', owner='other'))
        self.assertEqual(done.returncode, 8)
        self.assertIn('GW1202', done.stderr)

    # --- rotation

    def test_a_rotation_is_in_force_on_every_node_and_makes_no_version(self):
        self.site('n1', 'n2')
        before = self.gwctl.json('status')
        self.assertEqual(self.check()['platform/site', 'platform/tls']['serving'], ['n1', 'n2'])
        self.assertEqual([self.served(node) for node in self.nodes], [self.first.serial] * 2)
        new = self.ca.issue(['www.example.com'], days=200)
        done = self.gwctl.json('cert', 'rotate', 'site', '--from-file', new.pem)
        self.assertEqual([self.served(node) for node in self.nodes], [new.serial] * 2)
        self.assertEqual((done['serialBefore'], done['serial']), (self.first.serial, new.serial))
        self.assertEqual((done['serving'], done['waiting']), (['n1', 'n2'], []))
        for node in self.nodes:
            self.assertEqual(self.metric(EXPIRY, node, certificate='platform/site'), expiry_of(new))
        after = self.gwctl.json('status')
        self.assertEqual([before[k] for k in ('latest', 'active', 'directoryVersion')], [after[k] for k in ('latest', 'active', 'directoryVersion')])
        self.assertEqual(after['certificatesVersion'], before['certificatesVersion'] + 1)
        for node in self.nodes:
            self.assertEqual(self.cluster.node_infos()[node]['certificatesVersion'], after['certificatesVersion'])
        self.assert_sealed(new)

    def test_keys_go_to_the_nodes_whose_gateways_need_them(self):
        self.start(nodes=('n1', 'n2'), more={'n1': ('--label', 'edge=public'), 'n2': ('--label', 'edge=inner')})
        self.apply(team('platform'))
        names = {'public': 'www.example.com', 'inner': 'inner.example.com', 'nobody': 'nobody.example.com'}
        for name, host in names.items():
            self.set(f'platform/{name}', self.ca.issue([host]).pem)
        self.set('platform/cas', self.ca.cert)
        auth = [{'hosts': ['*'], 'mode': 'request', 'trust': {'secret': 'cas'}}]
        self.apply(documents(*(certificate(name, [host], name) for name, host in names.items()),
                             edge('public', labels={'edge': 'public'}, name='public'), edge('inner', labels={'edge': 'inner'}, name='inner', clientAuth=auth)))
        lines = self.check()
        self.assertEqual({name: lines[f'platform/{name}', f'platform/{name}']['serving'] for name in names}, {'public': ['n1'], 'inner': ['n2'], 'nobody': []})
        for node, has in (('n1', 'public'), ('n2', 'inner')):
            for name in names:
                self.assertEqual(self.metric(EXPIRY, node, certificate=f'platform/{name}') is not None, name == has, f'{node} {name}')
        # Another Gateway for n1, and the key comes; the Gateway goes, and with the next change of the certificates the key does.
        self.apply(edge('public', 'nobody', labels={'edge': 'public'}, name='public'))
        self.assertIsNotNone(self.metric(EXPIRY, 'n1', certificate='platform/nobody'))
        self.apply(edge('public', labels={'edge': 'public'}, name='public'))
        self.set('platform/inner', self.ca.issue([names['inner']]).pem)
        self.assertIsNone(self.metric(EXPIRY, 'n1', certificate='platform/nobody'))

    # --- the master key

    def test_the_master_key_changes_and_everything_still_opens(self):
        self.site()
        file = self.cluster.state / 'control' / 'master.key'
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)
        old = file.read_text()
        done = self.gwctl.json('secret', 'rotate-master', '-y')
        self.assertEqual(done['secrets'], 1)
        new = file.read_text()
        self.assertEqual([new.count('\nkey '), old.count('\nkey ')], [1, 1])
        self.assertNotEqual(old, new)
        self.cluster.stop('control', kill=True)
        self.cluster.start_again('control')
        self.cluster.wait_connected(self.nodes)
        self.assertEqual(self.check()['platform/site', 'platform/tls']['serial'], self.first.serial)
        new_pair = self.ca.issue(['www.example.com'])
        self.assertEqual(self.gwctl.json('cert', 'rotate', 'site', '--from-file', new_pair.pem)['serving'], ['n1'])
        # A copy of the old key opens nothing any more.
        self.cluster.stop('control')
        file.write_text(old)
        done = self.control()
        self.assertEqual(done.returncode, 8, done.stderr)
        self.assertIn('does not hold master key', done.stderr)
        file.write_text(new)
        # As after a crash in the middle of a change: both keys in the file, the database under one of them.
        lines = old.splitlines()
        file.write_text(new + lines[-1] + '\n')
        self.cluster.start_again('control')
        self.assertEqual(file.read_text(), new, 'the change was brought to its end')
        self.assertEqual(self.check()['platform/site', 'platform/tls']['serial'], new_pair.serial)

    def test_without_its_master_key_the_control_plane_does_not_start(self):
        self.site()
        self.cluster.stop('control')
        file, elsewhere = self.cluster.state / 'control' / 'master.key', self.folder / 'elsewhere.key'
        file.rename(elsewhere)
        done = self.control()
        self.assertEqual(done.returncode, 8, done.stderr)
        for words in (str(file), 'master key', '--master-key-file'):
            self.assertIn(words, done.stderr)
        self.assertFalse(file.exists(), 'no new key is made where one is missing')
        elsewhere.chmod(0o644)
        done = self.control('--master-key-file', str(elsewhere))
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn('chmod 600', done.stderr)
        elsewhere.chmod(0o600)
        elsewhere.rename(file)
        self.cluster.start_again('control')
        self.assertEqual(self.check()['platform/site', 'platform/tls']['serial'], self.first.serial)

    # --- nodes

    def test_a_node_restarts_from_disk_with_its_certificates_while_the_control_plane_is_down(self):
        self.site()
        rotated = self.ca.issue(['www.example.com'], days=200)
        self.gwctl.ok('cert', 'rotate', 'site', '--from-file', rotated.pem)
        self.cluster.stop('n1')  # SIGTERM: it writes what it has
        self.cluster.stop('control', kill=True)
        for slot in (self.cluster.state / 'nodes' / 'n1').glob('last_good.*'):
            self.assertEqual(slot.stat().st_mode & 0o777, 0o600)
        self.cluster.start_again('n1')
        self.assertEqual(self.metric(EXPIRY, certificate='platform/site'), expiry_of(rotated))
        self.assertGreater(self.metric('gw_certificates_version'), 0)
        self.assertEqual(fetch(*self.cluster.wait_listening('n1', 'edge-http'), '/').status, 404, 'it serves')
        self.assertEqual(self.served('n1'), rotated.serial)
        self.cluster.start_again('control')
        self.cluster.wait_connected(['n1'])
        self.assertEqual(self.check()['platform/site', 'platform/tls']['serving'], ['n1'])

    def test_a_new_node_is_given_what_it_needs_and_the_configuration_with_it(self):
        self.site()
        self.cluster.start_node('n2', 'az-b', 1)
        self.cluster.wait_connected(['n2'])
        self.eventually('the new node serves the certificate', lambda: self.check()['platform/site', 'platform/tls']['serving'] == ['n1', 'n2'])
        self.assertEqual(self.metric(EXPIRY, 'n2', certificate='platform/site'), expiry_of(self.first))
        self.assertEqual(self.served('n2'), self.first.serial)


if __name__ == '__main__':
    harness.main()
