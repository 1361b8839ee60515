#!/usr/bin/env python3
"""A new process takes over from a running node, under load: none refused, none reset, no request lost or counted twice; one
that does not get so far changes nothing. And sockets that whoever starts the node keeps open over its restarts.

GW_LONG=1 sends 50,000 requests instead of 5,000.
"""
import http.client
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

import harness
from harness import API_KEY, Load, SystemTest, api, app, document, documents, fetch, gateway, plan, route, scaled, team, upstream
from tunnel_test import GOING_AWAY, KEY, serve

HOST = 'handover.localhost'
REQUESTS = 50_000 if os.environ.get('GW_LONG') else scaled(5_000)

# Runs argv[2:] with the descriptors of argv[1] ("7,9") as 3, 4, …, as systemd does.
ACTIVATE = '''
import os, sys
fds = [os.dup(int(fd)) for fd in sys.argv[1].split(',')]
high = [__import__('fcntl').fcntl(fd, 0, 100) for fd in fds]
for i, fd in enumerate(high):
    os.dup2(fd, 3 + i)
os.closerange(3 + len(high), 200)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(high)))
os.execv(sys.argv[2], sys.argv[2:])
'''


class FreshClients(threading.Thread):
    """One connection for each request: what a listening socket that closes too early would refuse or reset."""

    def __init__(self, target, headers):
        super().__init__(daemon=True)
        self.target, self.headers = target, headers
        self.stopping = threading.Event()
        self.done, self.failures = 0, []

    def run(self):
        while not self.stopping.is_set():
            try:
                answer = fetch(*self.target, '/fresh', headers=self.headers)
                if answer.status == 200:
                    self.done += 1
                else:
                    self.failures.append(f'status {answer.status}')
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(f'{type(error).__name__}: {error}')
            self.stopping.wait(0.002)

    def stop(self):
        self.stopping.set()
        self.join(30)


class HandoverTest(SystemTest):
    """A control plane and a node `n1`, whose processes follow one another."""

    def setUp(self):
        super().setUp()
        self.before = []  # processes that have handed over
        self.addCleanup(self.end_before)

    def end_before(self):
        for child in self.before:
            if child.poll() is None:
                child.kill()
                child.wait()

    def pid(self):
        return (self.cluster.ready('n1') or {}).get('pid')

    def alive(self, pid):
        try:
            return Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[0] != 'Z'
        except OSError:
            return False

    def reload(self):
        """SIGUSR2, until the next process serves. The pid of the one before."""
        old = self.pid()
        os.kill(old, signal.SIGUSR2)
        self.eventually('the next process serves', lambda: self.pid() not in (None, old))
        if (child := self.cluster.children.pop('n1', None)) is not None:
            self.before.append(child)
        self.cluster.record['processes']['n1']['pid'] = self.pid()
        return old

    def command(self, *flags):
        """The node's own, with these flags (pairs) in place of those it had."""
        command = [c for c in self.cluster.record['processes']['n1']['command'] if c != '--take-over']
        for name, value in zip(flags[::2], flags[1::2]):
            if name in command:
                command[command.index(name) + 1] = value
            else:
                command += [name, value]
        return command + ['--take-over']

    def take_over(self, *flags):
        """Starts the next process by hand. The pid of the one before."""
        old = self.pid()
        if (child := self.cluster.children.get('n1')) is not None:
            self.before.append(child)
        self.cluster._spawn('n1', self.command(*flags))
        self.eventually('the next process serves', lambda: self.pid() not in (None, old))
        return old

    def gone(self, pid):
        for child in self.before:
            child.poll()  # ours are reaped
        self.eventually(f'process {pid} has drained', lambda: not self.alive(pid))

    def said(self, text):
        return text in self.cluster.log('n1').read_text(errors='replace')

    def run_by_hand(self, *flags):
        """A new process that is to fail: its exit code and words."""
        done = subprocess.run(self.command(*flags), text=True, capture_output=True, timeout=harness.CAP_S)
        return done.returncode, done.stdout + done.stderr


class UnderLoad(HandoverTest):
    def setUp(self):
        super().setUp()
        live = serve()  # echoes WebSockets
        self.backends.append(live)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(self.folder / 'notify'))
        self.notify.settimeout(harness.CAP_S)
        self.addCleanup(self.notify.close)
        os.environ['NOTIFY_SOCKET'] = str(self.folder / 'notify')
        self.addCleanup(os.environ.pop, 'NOTIFY_SOCKET')
        self.start(nodes=('n1',), workers=2, more={'n1': ('--tunnel-grace-ms', '5000')})
        product = document('Product', 'product', {'title': 'All', 'apis': ['keyed', 'sockets'], 'plans': ['pro']})
        self.apply(documents(team('platform'), gateway(), upstream('echo', self.backend()), upstream('live', live.server_port),
                             API_KEY, plan(), product, api('keyed', [HOST], auth=['api-key']), route('all', 'keyed', 'echo'),
                             api('sockets', [HOST], base='/ws', auth=['api-key']), route('ws', 'sockets', 'live', prefix='/ws', websocket={}),
                             app('app')))
        self.key = self.gwctl.ok('key', 'create', '--app', 'platform/app', '-q').strip()
        self.headers = {'Host': HOST, 'x-api-key': self.key}
        self.target = self.targets()[0]

    def load(self):
        keep = Load([self.target], lambda client, n: (f'/{n}', self.headers), clients=8, pause_s=0).start()
        fresh = FreshClients(self.target, self.headers)
        fresh.start()
        self.addCleanup(fresh.stop)
        self.addCleanup(keep.stop)
        return keep, fresh

    def none_failed(self, keep, fresh, more=0):
        """Stops the load; everything was answered, and is counted once."""
        keep.stop()
        fresh.stop()
        done, failed, lost = keep.counts()
        self.assertEqual((failed, lost), (0, 0), keep.failures)
        self.assertEqual(fresh.failures, [])
        self.assertGreater(fresh.done, 0)
        print(f'{done} requests on kept connections, {fresh.done} on fresh ones, none failed', file=sys.stderr)
        self.usage_becomes({'platform/app': done + fresh.done + more})

    def told(self):
        words = self.notify.recv(4096).decode().split('\n')
        return dict(word.split('=', 1) for word in words)

    def open_tunnel(self):
        s = socket.create_connection(self.target, timeout=harness.CAP_S)
        self.addCleanup(s.close)
        s.sendall((f'GET /ws HTTP/1.1\r\nHost: {HOST}\r\nx-api-key: {self.key}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'
                   f'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n').encode())
        head = b''
        while not head.endswith(b'\r\n\r\n'):
            head += s.recv(1)
        self.assertTrue(head.startswith(b'HTTP/1.1 101 '), head)
        return s

    def test_no_request_of_many_fails_while_process_after_process_takes_over(self):
        tunnel = self.open_tunnel()
        idle = http.client.HTTPConnection(*self.target, timeout=harness.CAP_S)
        idle.request('GET', '/idle', headers=self.headers)
        answer = idle.getresponse()
        self.assertEqual((answer.status, answer.headers['Connection']), (200, None))
        answer.read()
        silent = socket.create_connection(self.target, timeout=harness.CAP_S)  # accepted, nothing said yet
        self.addCleanup(silent.close)
        keep, fresh = self.load()
        keep.wait_more(REQUESTS // 4, harness.CAP_S)
        self.assertEqual(self.told()['READY'], '1')

        first = self.reload()
        self.assertEqual(self.told(), {'MAINPID': str(self.pid())})  # the old says it before it may end
        self.assertEqual((self.told() | {'STATUS': ''}), {'MAINPID': str(self.pid()), 'READY': '1', 'STATUS': ''})
        tunnel.sendall(b'\x81\x02hi')  # the old still has it
        self.assertEqual(tunnel.recv(4, socket.MSG_WAITALL), b'\x81\x02hi')
        idle.request('GET', '/idle', headers=self.headers)
        answer = idle.getresponse()
        self.assertEqual((answer.status, answer.headers['Connection']), (200, 'close'))
        answer.read()
        idle.close()
        silent.sendall(f'GET /silent HTTP/1.1\r\nHost: {HOST}\r\nx-api-key: {self.key}\r\n\r\n'.encode())
        self.assertTrue(silent.recv(12, socket.MSG_WAITALL).startswith(b'HTTP/1.1 200'))
        keep.wait_more(REQUESTS // 4, harness.CAP_S)

        second = self.reload()  # while the first may still drain
        keep.wait_more(REQUESTS // 4, harness.CAP_S)
        self.reload()
        keep.wait_more(REQUESTS // 4, harness.CAP_S)

        self.assertEqual(tunnel.recv(4, socket.MSG_WAITALL), GOING_AWAY)  # when its grace was over
        silent.close()
        self.gone(first)
        self.gone(second)
        self.assertEqual(self.before[0].returncode, 0)
        self.none_failed(keep, fresh, more=4)  # idle twice, silent, the tunnel
        self.assertEqual(self.metrics()['gw_handovers_total'], 3)
        self.assertEqual(len(list((self.cluster.state / 'nodes' / 'n1').glob('usage-*.spool'))), 2)  # one for each worker
        self.cluster.stop('n1')
        words = {}
        while 'STOPPING' not in words:
            words = self.told()

    def test_the_number_of_workers_may_change(self):
        keep, fresh = self.load()
        for workers in (1, 3, 2):
            keep.wait_more(REQUESTS // 10, harness.CAP_S)
            old = self.take_over('--workers', str(workers))
            keep.wait_more(REQUESTS // 10, harness.CAP_S)
            self.gone(old)
        self.none_failed(keep, fresh)

    def test_a_change_goes_on_after_a_hand_over(self):
        version = self.gwctl.json('status')['active']
        keep, fresh = self.load()
        old = self.reload()
        self.eventually('the new process is connected', lambda: self.cluster.node_infos()['n1']['connected'])
        done = self.apply(documents(gateway(('http', 0), ('second', 0))))
        self.assertGreater(done['version'], version)
        self.assertEqual(self.get('/second', HOST, listener='second', x_api_key=self.key).status, 200)
        self.gone(old)
        second = self.reload()  # now with two listeners
        self.assertEqual(self.get('/second', HOST, listener='second', x_api_key=self.key).status, 200)
        self.gone(second)
        self.none_failed(keep, fresh, more=2)


class Failures(HandoverTest):
    """What does not come so far leaves the old process as it was."""

    def setUp(self):
        super().setUp()
        self.program = self.folder / 'gw-dataplane'
        real = Path(self.cluster.programs['gw-dataplane'])
        self.program.symlink_to(real)
        self.cluster.programs['gw-dataplane'] = str(self.program)
        self.start(nodes=('n1',))
        self.objects = (team('platform'), gateway(), upstream('echo', self.backend()), api('open', [HOST]), route('all', 'open', 'echo'))
        self.apply(documents(*self.objects))
        self.state = self.cluster.state / 'nodes' / 'n1'
        self.old = self.pid()
        self.changes = 0

    def goes_on(self):
        """The process that was there serves, and takes a change."""
        self.assertEqual(self.pid(), self.old)
        self.assertEqual(self.get('/', HOST).status, 200)
        self.changes += 1
        self.apply(documents(route(f'more-{self.changes}', 'open', 'echo', prefix=f'/more-{self.changes}')))
        self.assertEqual(fetch('127.0.0.1', self.cluster.ready('n1')['admin'], '/readyz').status, 200)

    def test_a_program_that_cannot_be_started_or_ends_at_once(self):
        self.program.unlink()
        os.kill(self.old, signal.SIGUSR2)
        self.eventually('it is said', lambda: self.said('no new process takes over'))
        self.goes_on()
        self.program.write_text('#!/bin/sh\nexit 7\n')
        self.program.chmod(0o755)
        os.kill(self.old, signal.SIGUSR2)
        self.eventually('it is said', lambda: self.said('ended with exit code 7; this process goes on'))
        self.goes_on()
        self.program.write_text('#!/bin/sh\nkill -9 $$\n')
        os.kill(self.old, signal.SIGUSR2)
        self.eventually('it is said', lambda: self.said('was ended by signal 9; this process goes on'))
        self.goes_on()

    def test_a_bad_flag(self):
        code, words = self.run_by_hand('--workers', 'many')
        self.assertEqual(code, 2, words)
        self.goes_on()

    def test_nobody_to_take_over_from(self):
        code, words = self.run_by_hand('--state', str(self.folder / 'elsewhere'))
        self.assertEqual(code, 1)
        self.assertIn('no node runs in', words)
        self.assertIn('start without --take-over', words)

    def test_a_state_that_the_new_process_cannot_serve(self):
        for slot in self.state.glob('last_good.?'):
            slot.write_bytes(b'nothing that was written here')
        code, words = self.run_by_hand()
        self.assertEqual(code, 1, words)
        self.assertIn('cannot serve version', words)
        self.goes_on()
        self.assertEqual(self.metrics()['gw_handovers_failed_total'], 1)

    def ask(self, version=1, kind=1, text=b'a test'):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.settimeout(harness.CAP_S)
        self.addCleanup(s.close)
        s.connect(str(self.state / 'handover.sock'))
        body = struct.pack('<H', len(text)) + text
        s.send(b'GWHANDOV' + struct.pack('<HBI', version, kind, len(body)) + body)
        return s

    def test_a_process_that_is_killed_before_it_serves(self):
        keep = Load(self.targets(), lambda client, n: ('/', {'Host': HOST}), clients=4).start()
        self.addCleanup(keep.stop)
        for _ in range(3):
            asked = self.ask()
            message, fds, _, _ = socket.recv_fds(asked, 65536, 64)
            self.assertEqual(message[10], 2)
            self.assertGreaterEqual(len(fds), 3)  # lock, admin, a listener
            keep.wait_more(50)
            for fd in fds:
                os.close(fd)
            asked.close()
            keep.wait_more(50)
        self.eventually('it is counted', lambda: self.metrics()['gw_handovers_failed_total'] == 3)
        keep.stop()
        self.assertEqual(keep.counts()[1:], (0, 0), keep.failures)
        self.goes_on()
        before = self.reload()  # and it can still be taken over from
        self.gone(before)
        self.assertEqual(self.get('/', HOST).status, 200)

    def test_what_is_not_understood_is_refused_with_words(self):
        for asked, words in ((self.ask(version=9), b'version 9 of the hand-over'), (self.ask(kind=3), b'begins with a question'),
                             (self.ask(kind=77), b'damaged')):
            answer = asked.recv(65536)
            self.assertEqual(answer[10], 5)
            self.assertIn(words, answer)
            self.goes_on()

    def test_a_second_node_does_not_start_beside(self):
        command = [*self.cluster.record['processes']['n1']['command']]
        done = subprocess.run(command, text=True, capture_output=True, timeout=harness.CAP_S)
        self.assertEqual(done.returncode, 1)
        self.assertIn('another node runs in', done.stderr)
        before = self.reload()
        self.gone(before)
        done = subprocess.run(command, text=True, capture_output=True, timeout=harness.CAP_S)
        self.assertIn('another node runs in', done.stderr)  # the lock went with the state


class SocketActivation(HandoverTest):
    def setUp(self):
        super().setUp()
        self.start(nodes=())
        self.nodes = ['n1']
        self.sockets = {}
        for name in ('edge/http', 'admin', 'later'):
            s = socket.socket()
            s.bind(('127.0.0.1', 0))
            s.listen(512)
            self.addCleanup(s.close)
            self.sockets[name] = s

    def port(self, name):
        return self.sockets[name].getsockname()[1]

    def start_passed(self, workers=3):
        state = self.cluster.state / 'nodes' / 'n1'
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        (state / 'ready.json').unlink(missing_ok=True)
        fds = [s.fileno() for s in self.sockets.values()]
        command = [self.cluster.programs['gw-dataplane'], '--control', self.cluster.record['address'], '--join-token-file',
                   str(self.cluster.state / 'join.token'), '--name', 'n1', '--state', str(state), '--admin', '127.0.0.1:0',
                   '--workers', str(workers)]
        with open(self.cluster.log('n1'), 'ab') as log:
            child = subprocess.Popen([sys.executable, '-c', ACTIVATE, ','.join(map(str, fds)), *command], pass_fds=fds, stdout=log,
                                     stderr=log, env={**os.environ, 'LISTEN_FDNAMES': ':'.join(self.sockets)})
        self.cluster.children['n1'] = child
        self.cluster.record['processes']['n1'] = {'pid': child.pid, 'command': command}
        self.cluster.record['nodes'] = ['n1']
        self.eventually('the node is up', lambda: self.cluster.ready('n1'))

    def test_connections_wait_through_a_restart_and_none_is_refused(self):
        self.start_passed()
        self.cluster.wait_connected(['n1'])
        self.assertEqual(self.cluster.ready('n1')['admin'], self.port('admin'))
        self.assertTrue(self.said('passed socket later'))
        self.apply(documents(team('platform'), gateway(), upstream('echo', self.backend()), api('open', [HOST]), route('all', 'open', 'echo')))
        self.assertEqual(self.targets(), [('127.0.0.1', self.port('edge/http'))])
        self.assertEqual(self.get('/', HOST).status, 200)
        for _ in range(2):
            self.assertTrue(self.cluster.stop('n1'))
            waiting = []
            for i in range(200):
                s = socket.create_connection(self.targets_now(), timeout=harness.CAP_S)
                self.addCleanup(s.close)
                s.sendall(f'GET /{i} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n'.encode())
                waiting.append(s)
            self.start_passed()
            for s in waiting:
                self.assertEqual(s.recv(12, socket.MSG_WAITALL), b'HTTP/1.1 200')

    def targets_now(self):
        return '127.0.0.1', self.port('edge/http')

    def test_a_passed_socket_waits_for_its_listener_and_goes_from_process_to_process(self):
        self.start_passed(workers=2)
        self.cluster.wait_connected(['n1'])
        self.apply(documents(team('platform'), gateway(), upstream('echo', self.backend()), api('open', [HOST]), route('all', 'open', 'echo')))
        keep = Load([self.targets_now()], lambda client, n: ('/', {'Host': HOST}), clients=6, pause_s=0).start()
        self.addCleanup(keep.stop)
        for _ in range(2):
            keep.wait_more(200)
            self.gone(self.reload())  # `later` is passed on too, though nobody uses it
        self.apply(documents(gateway(('http', 0), ('later', 0))))
        later = ('127.0.0.1', self.port('later'))
        self.assertEqual(self.cluster.wait_listening('n1', 'later'), later)
        self.assertEqual(fetch(*later, '/', headers={'Host': HOST}).status, 200)
        self.apply(documents(gateway(('http', 0))))  # away, and back on the same socket
        self.apply(documents(gateway(('http', 0), ('later', 0))))
        self.assertEqual(fetch(*later, '/', headers={'Host': HOST}).status, 200)
        keep.stop()
        self.assertEqual(keep.counts()[1:], (0, 0), keep.failures)


if __name__ == '__main__':
    harness.main()
