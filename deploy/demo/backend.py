#!/usr/bin/env python3
"""A small backend for demonstrations: answers every request with its own name, in a header and in the body.

  backend.py --name NAME --port PORT [--address 127.0.0.1]

Keep-alive, one thread a connection, loopback unless told otherwise. /healthz and /attendees/healthz answer `ok`.
"""
import argparse
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MAX_BODY = 1 << 20


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'  # keep-alive
    server_version, sys_version = 'demo-backend', ''
    timeout = 120
    wbufsize = 65536  # head and body in one write

    def read_body(self):
        if self.headers.get('transfer-encoding', '').lower() == 'chunked':
            body = b''
            while size := int(self.rfile.readline(100).split(b';')[0] or b'0', 16):
                if len(body) + size > MAX_BODY:
                    self.close_connection = True
                    return body
                body += self.rfile.read(size)
                self.rfile.readline(10)
            self.rfile.readline(10)
            return body
        length = int(self.headers.get('content-length') or 0)
        if length > MAX_BODY:
            self.close_connection = True
        return self.rfile.read(min(length, MAX_BODY))

    def answer(self):
        body = self.read_body()
        reply = {'backend': self.server.name, 'method': self.command, 'path': self.path,
                 'app': self.headers.get('x-gw-app'), 'consumer': self.headers.get('x-gw-consumer'),
                 'plan': self.headers.get('x-gw-plan'), 'request_id': self.headers.get('x-request-id'),
                 'body_bytes': len(body)}
        text = b'ok\n' if self.path.split('?')[0].endswith('/healthz') else (json.dumps(reply) + '\n').encode()
        self.send_response(200)
        self.send_header('content-type', 'application/json' if text[:1] == b'{' else 'text/plain')
        self.send_header('content-length', str(len(text)))
        self.send_header('x-backend', self.server.name)
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(text)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port, name, address='127.0.0.1'):
        self.name = name
        super().__init__((address, port), Handler)

    def handle_error(self, *_):
        pass  # a client that went away


def start(name, port=0):
    """In a thread of this process; `server_port` tells where, `shutdown()` ends it."""
    server = Server(port, name)
    threading.Thread(target=server.serve_forever, daemon=True, name=f'backend {name}').start()
    return server


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--name', required=True)
    parser.add_argument('--port', type=int, required=True)
    parser.add_argument('--address', default='127.0.0.1')
    options = parser.parse_args()
    try:
        Server(options.port, options.name, options.address).serve_forever()
    except KeyboardInterrupt:
        pass
