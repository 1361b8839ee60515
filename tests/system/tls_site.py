"""A site with TLS for system tests: certificates of a CA of its own, a backend that tells what it was sent, a client."""
import http.client
import http.server
import json
import socket
import ssl
import sys
import threading

import harness
from harness import SystemTest, api, document, documents, route, team, upstream

sys.path.insert(0, str(harness.ROOT / 'tests' / 'support'))
from ca import make_ca  # noqa: E402

HOST, OTHER = 'api.tls.test', 'shop.tls.test'


def listeners(*certificates, tls=None, **https):
    return [{'name': 'https', 'address': '127.0.0.1', 'port': 0, 'protocol': 'https', 'certificates': list(certificates), **https,
             **({'tls': tls} if tls else {})},
            {'name': 'http', 'address': '127.0.0.1', 'port': 0, 'protocol': 'http', 'redirectToHttps': True, 'httpsPort': 8443}]


def gateway(listener_list, **spec):
    return document('Gateway', 'edge', {'nodes': {'labels': {}}, 'listeners': listener_list, **spec}, shareWith=['all'])


def secret(name, path):
    return document('Secret', name, {'value': path.read_text()})


def certificate(name, hosts, *secrets, **spec):
    return document('Certificate', name, {'hosts': list(hosts), 'keyPairs': [{'secret': s} for s in secrets], **spec})


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with the fields of the request."""
    protocol_version = 'HTTP/1.1'
    wbufsize = 65536

    def do_GET(self):
        self.rfile.read(int(self.headers.get('Content-Length') or 0))
        body = json.dumps({k.lower(): v for k, v in self.headers.items()}).encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class EchoServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024


class Answer:
    def __init__(self, response, tls):
        self.status, self.headers, self.body = response.status, response.headers, response.read()
        self.version, self.subject, self.resumed, self.session = tls


class TlsSystemTest(SystemTest):
    def setUp(self):
        super().setUp()
        self.ca = make_ca(self.folder / 'ca')

    def echo(self):
        server = EchoServer(('127.0.0.1', 0), Echo)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.backends.append(server)
        return server.server_port

    def context(self, client=None, **versions):
        out = ssl.create_default_context(cafile=str(self.ca.cert))
        if client is not None:
            out.load_cert_chain(str(client.pem))
        for name, value in versions.items():
            setattr(out, name, value)
        return out

    def connect(self, host, node=0, context=None, session=None):
        address = self.cluster.wait_listening(self.nodes[node], 'https')
        raw = socket.create_connection(address, harness.CAP_S)
        return (context or self.context()).wrap_socket(raw, server_hostname=host, session=session)

    def ask(self, host, path='/', node=0, context=None, session=None, name=None, **headers):
        """One request over a connection of its own; `host` is the SNI, `name` what Host says."""
        tls = self.connect(host, node, context, session)
        with tls:
            subject = dict(item for part in tls.getpeercert().get('subject', ()) for item in part).get('commonName')
            connection = http.client.HTTPConnection(name or host)
            connection.sock = tls
            connection.request('GET', path, headers={'Host': name or host, **{k.replace('_', '-'): v for k, v in headers.items()}})
            response = connection.getresponse()
            body = Answer(response, (tls.version(), subject, tls.session_reused, None))
            body.session = tls.session
            return body

    def site(self, *extra, listener=None, gateway_spec=None, hosts=(HOST, OTHER)):
        pair = self.ca.issue([HOST, OTHER])
        self.apply(documents(team('platform'), secret('site', pair.pem), certificate('site', (HOST, OTHER), 'site'),
                             gateway(listeners('site', **(listener or {})), **(gateway_spec or {})), upstream('up', self.echo()),
                             api('web', hosts), route('all', 'web', 'up'), *extra))
        return pair
