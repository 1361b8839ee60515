"""A TCP proxy in front of one backend that does to connections what networks and dying servers do to them.

    proxy = FaultProxy(port_of_backend)          # listens on proxy.port
    proxy.fault = Fault(after=100, then='reset') # for what comes from now on
    proxy.die()                                  # resets all connections, refuses new ones
    proxy.fault = None; proxy.revive()

Knows nothing of HTTP; counts bytes of the answers on each connection since the fault was set. Standard library only.
"""
import contextlib
import dataclasses
import socket
import struct
import threading
import time

PIECE = 16384


@dataclasses.dataclass(frozen=True)
class Fault:
    delay_s: float = 0.0        # each piece of an answer waits so long
    bytes_per_s: int = 0        # of answers, per connection; 0: as fast as it goes
    after: int | None = None    # so many bytes of answers pass, then:
    then: str = 'reset'         # reset (RST) · close (FIN) · stall (nothing more, both ways) · garbage (bytes that are no HTTP, FIN)
    take: int | None = None     # so many bytes of requests are read, no more (a peer whose window closes)


def hard_close(sock):
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RD)  # wakes the thread that reads
    sock.close()


class Connection:
    def __init__(self, proxy, client):
        self.proxy, self.client = proxy, client
        self.backend = socket.create_connection(('127.0.0.1', proxy.target), timeout=20)
        self.backend.settimeout(None)
        self.asked = False     # a request went on whose answer has not begun
        self.answering = 0     # bytes of answers since the last request
        self.fault, self.answered, self.taken = None, 0, 0
        self.over = threading.Event()

    def start(self):
        for run in (self.requests, self.answers):
            threading.Thread(target=run, daemon=True).start()

    def end(self, how):
        if self.over.is_set():
            return
        self.over.set()
        if how == 'reset':
            hard_close(self.client)
        else:
            with contextlib.suppress(OSError):
                self.client.shutdown(socket.SHUT_RDWR)
            self.client.close()
        hard_close(self.backend)
        self.proxy.forget(self)

    def requests(self):
        try:
            while piece := self.client.recv(PIECE):
                self.look()
                self.taken += len(piece)
                self.asked, self.answering = True, 0
                self.backend.sendall(piece)
                if self.fault and self.fault.take is not None and self.taken >= self.fault.take:
                    self.over.wait()
                    return
            self.backend.shutdown(socket.SHUT_WR)
        except OSError:
            self.end('close')

    def answers(self):
        try:
            while piece := self.backend.recv(PIECE):
                self.look()
                if not self.send(piece):
                    return
            self.end('close')
        except OSError:
            self.end('close')

    def look(self):
        """A new fault counts from its own beginning."""
        if self.fault is not self.proxy.fault:
            self.fault, self.answered, self.taken = self.proxy.fault, 0, 0

    def send(self, piece):
        fault = self.fault
        if fault is None:
            self.pass_on(piece)
            return True
        if fault.delay_s:
            time.sleep(fault.delay_s)
        room = len(piece) if fault.after is None else max(0, fault.after - self.answered)
        self.pass_on(piece[:room], fault.bytes_per_s)
        if fault.after is None or self.answered < fault.after or room == len(piece):
            return True
        if fault.then == 'stall':
            self.over.wait()
        elif fault.then == 'garbage':
            self.client.sendall(b'\x16\x03\x01\x00\xff' + bytes(range(1, 120)))
            self.end('close')
        else:
            self.end(fault.then)
        return False

    def pass_on(self, piece, bytes_per_s=0):
        step = max(1, bytes_per_s // 50) if bytes_per_s else len(piece)
        while piece:
            self.client.sendall(piece[:step])
            self.answered += len(piece[:step])
            self.answering += len(piece[:step])
            self.asked = False
            piece = piece[step:]
            if bytes_per_s:
                time.sleep(0.02)


class FaultProxy:
    def __init__(self, target):
        self.target, self.fault = target, None
        self.drop = 0  # so many connections that come next are reset at once
        self.lock = threading.Lock()
        self.live = set()
        self.accepted = 0
        self.dead = False
        self.listener = self.listen(0)
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def listen(self, port):
        return socket.create_server(('127.0.0.1', port), backlog=128)

    def accept(self):
        listener = self.listener
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            if self.drop > 0:
                self.drop -= 1
                hard_close(client)
                continue
            try:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection = Connection(self, client)
            except OSError:
                hard_close(client)
                continue
            with self.lock:
                self.accepted += 1
                self.live.add(connection)
            connection.start()

    def forget(self, connection):
        with self.lock:
            self.live.discard(connection)

    def in_work(self):
        """Connections on which a request waits for its answer, as far as bytes tell."""
        with self.lock:
            return sum(1 for c in self.live if c.asked)

    def die(self):
        """As a killed process: what stands is reset, what comes is refused."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self.listener.close()
        self.thread.join(20)
        with self.lock:
            live = list(self.live)
        for connection in live:
            connection.end('reset')
        self.dead = True

    def revive(self):
        self.listener = self.listen(self.port)
        self.dead = False
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def close(self):
        if not self.dead:
            self.die()
