"""A name server on a kernel's port of loopback, UDP and TCP, whose answers a test sets and changes at any time.

    dns = DnsServer()
    dns.set('a.test', A('127.0.0.1', '127.0.0.2', ttl=1))
    dns.set('_http._tcp.a.test', Srv((0, 10, 8080, 'a.test'), ttl=1))
    dns.fail('a.test', 'servfail')   # or nxdomain, silence, garbage, truncated (over UDP alone), refused

A name without answers is NXDOMAIN; one with answers of other types has none of the asked one.
"""
import ipaddress
import socket
import socketserver
import struct
import threading

A_TYPE, CNAME_TYPE, AAAA_TYPE, SRV_TYPE = 1, 5, 28, 33
RCODES = {'servfail': 2, 'nxdomain': 3, 'refused': 5}


def A(*addresses, ttl=1):  # noqa: N802
    """A and AAAA records."""
    return [(AAAA_TYPE if ':' in a else A_TYPE, ttl, ipaddress.ip_address(a).packed) for a in addresses]


def Srv(*records, ttl=1):  # noqa: N802
    """(priority, weight, port, host)"""
    return [(SRV_TYPE, ttl, struct.pack('>HHH', *r[:3]) + encode_name(r[3])) for r in records]


def Cname(name, ttl=1):  # noqa: N802
    return [(CNAME_TYPE, ttl, encode_name(name))]


def encode_name(name):
    out = b''
    for label in name.rstrip('.').split('.'):
        if label:
            out += bytes([len(label)]) + label.encode()
    return out + b'\0'


def read_name(message, at):
    labels = []
    while message[at]:
        size = message[at]
        labels.append(message[at + 1:at + 1 + size].decode())
        at += size + 1
    return '.'.join(labels).lower(), at + 1


class DnsServer:
    def __init__(self):
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.records, self.failures, self.questions = {}, {}, []
        server = self

        class Udp(socketserver.BaseRequestHandler):
            def handle(self):
                data, sock = self.request
                reply = server.answer(data, tcp=False)
                if reply is not None:
                    sock.sendto(reply, self.client_address)

        class Tcp(socketserver.StreamRequestHandler):
            def handle(self):
                while head := self.rfile.read(2):
                    reply = server.answer(self.rfile.read(struct.unpack('>H', head)[0]), tcp=True)
                    if reply is None:
                        return
                    self.wfile.write(struct.pack('>H', len(reply)) + reply)

        # One port that is free for both.
        for _ in range(50):
            self.udp = socketserver.ThreadingUDPServer(('127.0.0.1', 0), Udp, bind_and_activate=True)
            self.port = self.udp.server_address[1]
            try:
                self.tcp = socketserver.ThreadingTCPServer(('127.0.0.1', self.port), Tcp)
                break
            except OSError:
                self.udp.server_close()
        self.servers = [self.udp, self.tcp]
        for one in self.servers:
            one.daemon_threads = True
            threading.Thread(target=one.serve_forever, daemon=True).start()

    @property
    def address(self):
        return f'127.0.0.1:{self.port}'

    def close(self):
        for one in self.servers:
            one.shutdown()
            one.server_close()

    def set(self, name, *records):
        """The name's records from now on; whatever failed answers again."""
        with self.lock:
            self.records[name] = [r for group in records for r in group]
            self.failures.pop(name, None)

    def remove(self, name):
        with self.lock:
            self.records.pop(name, None)
            self.failures.pop(name, None)

    def fail(self, name, how):
        """`name`: one, or * for all."""
        with self.lock:
            self.failures[name] = how

    def recover(self):
        with self.lock:
            self.failures.clear()

    def asked(self, name=None, tcp=None):
        """How often, so far."""
        with self.lock:
            return sum(1 for n, _, t in self.questions if name in (None, n) and tcp in (None, t))

    def answer(self, query, tcp):
        name, after = read_name(query, 12)
        kind = struct.unpack('>H', query[after:after + 2])[0]
        question = query[12:after + 4]
        with self.lock:
            self.questions.append((name, kind, tcp))
            how = self.failures.get(name, self.failures.get('*'))
            known = name in self.records
            records = self.records.get(name, [])
            found = [r for r in records if r[0] in (kind, CNAME_TYPE)]
            # An alias is followed, as a recursing server does.
            follow, owner = records, name
            chain = []
            while follow and follow[0][0] == CNAME_TYPE:
                chain.append((owner, follow[0]))
                owner = read_name(follow[0][2], 0)[0]
                follow = self.records.get(owner, [])
            if chain:
                rows = chain + [(owner, r) for r in follow if r[0] == kind]
            else:
                rows = [(name, r) for r in found]
        if how == 'silence':
            return None
        if how == 'garbage':
            return query[:2] + b'\xff' * 40
        flags = 0x8180
        if how in RCODES or (how is None and not known):
            return query[:2] + struct.pack('>HHHHH', flags | RCODES.get(how, 3), 1, 0, 0, 0) + question
        if how == 'truncated' and not tcp:
            return query[:2] + struct.pack('>HHHHH', flags | 0x0200, 1, 0, 0, 0) + question
        body = b''
        for owner, (rtype, ttl, data) in rows:
            body += encode_name(owner) + struct.pack('>HHIH', rtype, 1, ttl, len(data)) + data
        return query[:2] + struct.pack('>HHHHH', flags, 1, len(rows), 0, 0) + question + body
