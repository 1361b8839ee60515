#!/usr/bin/env python3
"""What floods of frames and of handshakes do to other clients.

  floods.py [--rounds 5] [--seconds 6] [--rate 1000] [--flooders 4]

One node with one worker (core 0), HTTPS with its default limits, and for handshakes with `maxHandshakesPerSecond: 200` too; floods, other
clients (HTTP/1.1 without TLS, from another address, at a fixed rate) and upstream on core 1. In turn: no flood; requests that are reset at once; requests
that make the node reset them; CONTINUATION; PING; SETTINGS; TLS handshakes of which only the first flight is sent. A flooder whose
connection is ended makes the next one. Beside each, the same flood against NGINX on core 0, since floods, clients and upstream share a core:
p99 against that is what the node itself makes of it. Printed: connections that the flood made in a second, p50 and p99 of the others, medians.
Needs deploy/setup.sh --bench; programs from $GW_BUILD_DIR; promise: p99 within 2 x.
"""
import argparse
import socket
import ssl
import struct
import subprocess
import sys
import time
from pathlib import Path

from shared import GATEWAY_CORE, OTHER_CORE, Bench, api, document, documents, free_port, median, ms, route, team

HOST = 'bench.localhost'
PIECE = 200  # frames in one write


def frame(kind, flags, stream, payload=b''):
    return struct.pack('>I', len(payload))[1:] + struct.pack('>BBI', kind, flags, stream) + payload


REQUEST = b'\x82\x87\x84\x41' + bytes([len(HOST)]) + HOST.encode()  # GET, https, /, authority
BEGIN = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' + frame(4, 0, 0)


def resets(streams):
    return b''.join(frame(1, 5, s, REQUEST) + frame(3, 0, s, struct.pack('>I', 8)) for s in streams)


def made_resets(streams):  # a window that is raised by nothing is an error of the stream
    return b''.join(frame(1, 5, s, REQUEST) + frame(8, 0, s, struct.pack('>I', 0)) for s in streams)


def continuation(streams):
    first = streams[0]
    head = frame(1, 1, first, REQUEST) if first == 1 else b''
    return head + b''.join(frame(9, 0, 1, b'\x00\x01a\x01b') for _ in streams)


def pings(streams):
    return b''.join(frame(6, 0, 0, b'12345678') for _ in streams)


def settings(streams):
    return b''.join(frame(4, 0, 0, struct.pack('>HI', 4, 65535)) for _ in streams)


FLOODS = {'resets': resets, 'made resets': made_resets, 'CONTINUATION': continuation, 'PING': pings, 'SETTINGS': settings}


def flood(kind, port):
    """Until it is ended. Prints a letter for each connection."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(['h2'])
    while True:
        try:
            with socket.create_connection(('127.0.0.1', port), timeout=5) as raw:
                sys.stdout.write('.')
                sys.stdout.flush()
                if kind == 'handshakes':
                    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
                    tls = context.wrap_bio(incoming, outgoing, server_hostname=HOST)
                    try:
                        tls.do_handshake()
                    except ssl.SSLWantReadError:
                        pass
                    raw.sendall(outgoing.read())
                    raw.recv(65536)
                    continue
                with context.wrap_socket(raw, server_hostname=HOST) as tls:
                    tls.sendall(BEGIN)
                    tls.settimeout(0.001)
                    stream = 1
                    while True:
                        tls.settimeout(5)
                        tls.sendall(FLOODS[kind](range(stream, stream + 2 * PIECE, 2)))
                        stream += 2 * PIECE
                        tls.settimeout(0)
                        try:
                            while tls.recv(65536):
                                pass
                        except (ssl.SSLWantReadError, BlockingIOError):
                            pass
        except OSError:
            pass


def measure(bench, kind, port, o):
    attackers = []
    if kind:
        for _ in range(o.flooders):
            attackers.append(subprocess.Popen(['taskset', '-c', OTHER_CORE, sys.executable, __file__, '--flood', kind, '--port', str(port)],
                                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True))
        bench.started += attackers
        time.sleep(0.5)
    began = time.monotonic()
    result = bench.finish_load(bench.start_load(bench.port, o.rate, o.seconds - 1, 32, warm_up=1, host=HOST))
    took = time.monotonic() - began
    made = 0
    for child in attackers:
        child.kill()
        made += len(child.communicate()[0])
        bench.started.remove(child)
    assert result['ok']['count'] > 0, result
    return made / took, ms(result['ok']['p50']), ms(result['ok']['p99']), result['sent'] - result['ok']['count']


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument('--rounds', type=int, default=5)
    a.add_argument('--seconds', type=float, default=6)
    a.add_argument('--rate', type=float, default=1000)
    a.add_argument('--flooders', type=int, default=4)
    a.add_argument('--flood', help=argparse.SUPPRESS)
    a.add_argument('--port', type=int, help=argparse.SUPPRESS)
    o = a.parse_args()
    if o.flood:
        flood(o.flood, o.port)
        return
    with Bench() as bench:
        pair = bench.folder / 'both.pem'
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30', '-subj', f'/CN={HOST}',
                        '-addext', f'subjectAltName=DNS:{HOST}', '-keyout', bench.folder / 'key.pem', '-out', bench.folder / 'crt.pem'], check=True, capture_output=True)
        pair.write_text((bench.folder / 'crt.pem').read_text() + (bench.folder / 'key.pem').read_text())
        up, nginx = bench.upstream(), free_port()
        bench.nginx(GATEWAY_CORE, 'bystander', f'listen 127.0.0.1:{nginx} ssl http2 backlog=4096; location / {{ proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection ""; }}',
                    f'upstream u {{ server 127.0.0.1:{up}; keepalive 64; }} ssl_certificate {bench.folder}/crt.pem; ssl_certificate_key {bench.folder}/key.pem;')
        listener = {'address': '127.0.0.1', 'port': 0, 'protocol': 'https', 'certificates': ['bench'], 'defaultCertificate': 'bench'}
        bench.node(documents(
            team('platform'), document('Secret', 'bench', {'value': pair.read_text()}),
            document('Certificate', 'bench', {'hosts': [HOST], 'keyPairs': [{'secret': 'bench'}]}),
            document('Gateway', 'edge', {'nodes': {'labels': {}}, 'accessLog': {'to': 'none'}, 'listeners': [
                {'name': 'http', 'address': '127.0.0.1', 'port': 0, 'protocol': 'http'}, {'name': 'https', **listener},
                {'name': 'limited', **listener, 'tls': {'maxHandshakesPerSecond': 200}}]}, shareWith=['all']),
            document('Upstream', 'up', {'targets': [{'url': f'http://127.0.0.1:{up}'}]}), api('bench', ['*']), route('all', 'bench', 'up')))
        https, limited = (bench.test.cluster.wait_listening('n1', name)[1] for name in ('https', 'limited'))
        cases = {'none': ('', 0)} | {kind: (kind, https) for kind in (*FLOODS, 'handshakes')} | {'handshakes, limited': ('handshakes', limited)}
        rows = {name: [] for name in cases}
        beside = {name: [] for name in cases}
        for _ in range(o.rounds):
            for name, (kind, port) in cases.items():
                rows[name].append(measure(bench, kind, port, o))
                beside[name].append(measure(bench, kind, nginx, o) if kind else rows[name][-1])
        print(f'other clients: {o.rate:.0f} requests/s; {o.flooders} flooders; medians of {o.rounds} rounds; beside: the same flood against NGINX')
        for name in cases:
            made, p50, p99, lost = map(median, zip(*rows[name]))
            ratio = median([v[2] / b[2] for v, b in zip(rows[name], beside[name])])
            quiet = median([v[2] / n[2] for v, n in zip(rows[name], rows['none'])])
            print(f'  {name:20} connections {made:7.1f}/s   p50 {p50:6.2f} ms   p99 {p99:6.2f} ms   {quiet:5.2f} x without, {ratio:5.2f} x beside   not answered 2xx: {lost:.0f}')


if __name__ == '__main__':
    main()
