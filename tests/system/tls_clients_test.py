#!/usr/bin/env python3
"""Real clients over TLS: curl, nghttp, h2load and, where they are installed, Chromium and sslscan; and what is no TLS at all."""
import re
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree as xml
from pathlib import Path

import harness
from tls_site import HOST, TlsSystemTest

# What the README promises; nothing else may be offered.
CIPHERS = {'TLSv1.3': {'TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'},
           'TLSv1.2': {'ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-CHACHA20-POLY1305'}}
GROUPS = ('x25519', 'secp256r1', 'secp384r1')


def run(*command, **options):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=harness.CAP_S, check=False, **options)


class TlsClients(TlsSystemTest):
    def setUp(self):
        super().setUp()
        self.start(nodes=('n1',))
        self.pair = self.site(listener={'defaultCertificate': 'site'})
        self.address = self.cluster.wait_listening('n1', 'https')

    def curl(self, *options):
        host, port = self.address
        return run('curl', '-sS', '--max-time', '60', '--cacert', self.ca.cert, '--resolve', f'{HOST}:{port}:{host}', *options,
                   f'https://{HOST}:{port}/')

    def test_curl_speaks_every_version_of_both(self):
        for http, number in (('--http1.1', '1.1'), ('--http2', '2')):
            for tls in ('1.2', '1.3'):
                with self.subTest(f'{http} TLS {tls}'):
                    told = self.curl(http, f'--tlsv{tls}', '--tls-max', tls, '-o', '/dev/null', '-w', '%{http_version} %{response_code} %{ssl_verify_result}')
                    self.assertEqual((told.stdout, told.stderr), (f'{number} 200 0', ''))
        body = self.folder / 'body'
        body.write_bytes(b'x' * 3_000_000)
        sent = self.curl('--http2', '--data-binary', f'@{body}', '-X', 'GET', '-o', '/dev/null', '-w', '%{response_code}')
        self.assertEqual(sent.stdout, '200', sent.stderr)
        old = self.curl('--tls-max', '1.1')
        self.assertNotEqual(old.returncode, 0)

    def test_nghttp_and_h2load_speak_http2(self):
        host, port = self.address
        got = run('nghttp', '-v', f'https://{host}:{port}/', '-H', f':authority: {HOST}')
        self.assertIn(':status: 200', got.stdout)
        loaded = run('h2load', '-n', harness.scaled(2000), '-c', 8, '-m', 20, f'https://{host}:{port}/', '-H', f':authority: {HOST}')
        self.assertIn('Application protocol: h2', loaded.stdout)
        self.assertIn(f'{harness.scaled(2000)} succeeded, 0 failed, 0 errored', loaded.stdout)

    @unittest.skipUnless(shutil.which('chromium'), 'chromium is not installed')
    def test_chromium_opens_a_page(self):
        host, port = self.address
        with tempfile.TemporaryDirectory() as profile:
            page = run('chromium', '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
                       '--disable-component-update', '--disable-sync', f'--user-data-dir={profile}', f'--host-resolver-rules=MAP {HOST} {host}',
                       f'--ignore-certificate-errors-spki-list={self.pair.spki_sha256().removeprefix("sha256/")}', '--dump-dom', f'https://{HOST}:{port}/')
        self.assertIn('x-forwarded-proto', page.stdout, page.stderr)
        self.assertIn('chrome', page.stdout.lower())
        self.assertGreater(self.metric('gw_http2_requests_total'), 0)

    @unittest.skipUnless(shutil.which('sslscan'), 'sslscan is not installed')
    def test_a_scan_finds_nothing_weaker_than_intended(self):
        host, port = self.address
        out = Path(self.folder) / 'scan.xml'
        run('sslscan', f'--xml={out}', f'--sni-name={HOST}', f'{host}:{port}')
        scan = xml.parse(out).getroot().find('ssltest')
        enabled = {f"{p.get('type')} {p.get('version')}" for p in scan.findall('protocol') if p.get('enabled') == '1'}
        self.assertLessEqual(enabled, {'tls 1.2', 'tls 1.3'})
        for cipher in scan.findall('cipher'):
            self.assertIn(cipher.get('cipher'), CIPHERS[cipher.get('sslversion')])
        self.assertTrue(scan.findall('cipher'))
        for group in scan.findall('group'):
            self.assertIn(group.get('name').split()[0].lower(), GROUPS)
        # An sslscan that cannot offer compression itself does not speak of it.
        self.assertIn('0', [c.get('supported') for c in scan.findall('compression')] or ['0'])
        for r in scan.findall('renegotiation'):
            self.assertTrue(r.get('supported') == '0' or r.get('secure') == '1')
        for flaw in scan.findall('heartbleed'):
            self.assertEqual(flaw.get('vulnerable'), '0')

    def test_a_client_that_negotiates_anew_is_cut_off(self):
        host, port = self.address
        done = run('openssl', 's_client', '-connect', f'{host}:{port}', '-servername', HOST, '-tls1_2', '-CAfile', self.ca.cert, input='R\nGET / HTTP/1.0\n\n')
        self.assertIn('RENEGOTIATING', done.stdout + done.stderr)
        self.assertNotIn('HTTP/1.1 200', done.stdout)
        self.assertEqual(self.ask(HOST).status, 200)

    def test_what_is_no_tls_is_told_and_harms_nobody(self):
        hello = self.client_hello()
        for name, text in (('plain HTTP', b'GET / HTTP/1.1\r\nHost: ' + HOST.encode() + b'\r\n\r\n'),
                           ('a record of another kind', b'\x17\x03\x03\x00\x05hello'),
                           ('a record that is too long', b'\x16\x03\x01\xff\xff' + b'x' * 70000),
                           ('a hello that is cut', hello[:len(hello) // 2]),
                           ('a hello of another length', hello[:5] + b'\x01\x00\xff\xff' + hello[9:]),
                           ('a hello in many small records', b''.join(b'\x16\x03\x01' + struct.pack('>H', 1) + hello[i:i + 1] for i in range(5, len(hello))) + b'\x15\x03\x03\x00\x02\x02\x28'),
                           ('an alert first', b'\x15\x03\x03\x00\x02\x02\x28')):
            with self.subTest(name), socket.create_connection(self.address, harness.CAP_S) as client:
                before = self.failed_handshakes()
                try:
                    client.sendall(text)
                    client.shutdown(socket.SHUT_WR)
                    answer = b''
                    while more := client.recv(65536):
                        answer += more
                except OSError:  # it has been closed
                    answer = b''
                self.assertNotIn(b'HTTP/1.1 200', answer)
                self.eventually('the failed handshake is counted', lambda: self.failed_handshakes() == before + 1)
        self.assertEqual(self.ask(HOST).status, 200)
        self.assertEqual(self.metric('gw_tls_handshakes_active'), 0)
        self.assertRegex(self.cluster.log('n1').read_text(), r'TLS handshake failed: listener https, client 127\.0\.0\.1, \w+: ')

    def failed_handshakes(self):
        return sum(value for sample, value in self.metrics().items()
                   if sample.startswith('gw_tls_handshakes_total{') and not re.search(r'result="(ok|resumed)"', sample))

    @staticmethod
    def client_hello():
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.create_default_context()
        tls = context.wrap_bio(incoming, outgoing, server_hostname=HOST)
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return outgoing.read()


if __name__ == '__main__':
    harness.main()
