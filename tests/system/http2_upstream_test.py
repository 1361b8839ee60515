#!/usr/bin/env python3
"""NGINX as an upstream that speaks HTTP/2: connections are few, its reload costs no request, protocols change under traffic."""
import json
import os
import signal
import socket
import subprocess
import threading

from harness import Load, SystemTest, api, document, documents, fetch, gateway, main, route, team, wait_for

HOST = {'Host': 'u.localhost'}
BODY = 'x' * 2000


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Http2Upstream(SystemTest):
    def nginx(self, *names):
        """One NGINX with an HTTP/2 server for each name; the ports."""
        folder = self.folder / 'nginx'
        folder.mkdir()
        folder.chmod(0o755)
        self.folder.chmod(0o755)  # its workers run as somebody else
        (folder / 'files').mkdir()
        (folder / 'files' / 'large').write_bytes(os.urandom(1 << 16) * 48)
        ports, servers = [], ''
        for name in names:
            ports.append(free_port())
            servers += (f'server {{ listen 127.0.0.1:{ports[-1]} http2 backlog=1024; root {folder}/files; client_body_buffer_size 1m;'
                        f' add_header x-backend {name} always; add_header x-connection $pid-$connection always; add_header x-protocol $server_protocol always;'
                        f' location = / {{ return 200 "{BODY}"; }} location = /healthz {{ return 204; }}'
                        f' location = /slow {{ limit_rate 200k; alias {folder}/files/large; }} location / {{ }} }}\n')
        self.config = folder / 'nginx.conf'
        self.config.write_text(
            f'worker_processes 1; daemon off; error_log {folder}/error.log; pid {folder}/nginx.pid;\n'
            'events { worker_connections 1024; }\n'
            f'http {{ access_log off; keepalive_requests 1000000; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;'
            f' fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n{servers}}}\n')
        self.server = subprocess.Popen(['nginx', '-c', str(self.config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(self.end_nginx)
        for port in ports:
            wait_for('nginx listens', lambda p=port: self.listens(p), 30)
        return ports

    def end_nginx(self):
        self.server.terminate()
        self.server.wait(30)

    @staticmethod
    def listens(port):
        try:
            socket.create_connection(('127.0.0.1', port), 1).close()
            return True
        except OSError:
            return False

    def spec(self, *ports, **more):
        return {'targets': [{'url': f'http://127.0.0.1:{p}'} for p in ports], 'protocol': 'http2', **more}

    def configure(self, spec):
        return self.apply(self.config_of(spec))

    @staticmethod
    def config_of(spec):
        return documents(team('platform'), gateway(), document('Upstream', 'u', spec), api('all', ['u.localhost']), route('all', 'all', 'u'))

    def serve(self, spec, workers=1):
        self.start(nodes=('n1',), zones=('az-a',), workers=workers)
        self.configure(spec)

    def load(self, path='/', **more):
        return Load(self.targets(), lambda client, n: (path, HOST), **more)

    def test_many_clients_share_one_connection_of_each_worker(self):
        port, = self.nginx('one')
        self.serve(self.spec(port, health={'active': {'path': '/healthz', 'interval': '200ms'}}), workers=2)
        seen, lock = set(), threading.Lock()

        def judge(answer):
            with lock:
                seen.add(answer.headers.get('x-connection'))
            return None if (answer.status, answer.headers.get('x-protocol'), len(answer.body)) == (200, 'HTTP/2.0', len(BODY)) else f'{answer.status} {answer.headers}'
        with self.load(clients=32, pause_s=0, judge=judge) as load:
            load.wait_more(3000)
        self.assertEqual(load.failures, [])
        self.assertLessEqual(len(seen), 2)
        self.assertEqual(self.metric('gw_upstream_http2_connections_total'), len(seen))
        nodes = self.eventually('the node tells of its target', lambda: self.gwctl.json('describe', 'upstream', 'platform/u').get('targets'))
        target, = nodes[0]['targets']
        self.assertLessEqual(target.get('connectionsIdle', 0) + target.get('connectionsBusy', 0), 2)
        self.assertIn('HTTP/2, up to 100 requests on a connection', self.gwctl.ok('explain-request', 'GET', 'http://u.localhost/'))

    def test_a_reload_of_the_upstream_costs_no_request(self):
        port, = self.nginx('one')
        self.serve(self.spec(port))
        with self.load(clients=16, pause_s=0.001) as load:
            for _ in range(5):
                load.wait_more(200)
                before = self.metric('gw_upstream_http2_connections_total')
                self.server.send_signal(signal.SIGHUP)  # its old worker says GOAWAY
                self.eventually('a new connection', lambda: self.metric('gw_upstream_http2_connections_total') > before)
            load.wait_more(200)
        self.assertEqual(load.failures, [])
        self.assertGreaterEqual(self.metric('gw_upstream_http2_goaways_total'), 1)

    def test_protocols_and_targets_change_under_traffic(self):
        one, two = self.nginx('one', 'two')
        plain = self.backend('plain')
        self.serve(self.spec(one))
        with self.load(clients=8) as load:
            for spec, names in ((self.spec(one, two), {'one', 'two'}), ({'targets': [{'url': f'http://127.0.0.1:{plain}'}]}, {'plain'}),
                                (self.spec(two, http2={'maxStreams': 2}), {'two'}), (self.spec(one), {'one'})):
                self.configure(spec)

                def only_these():
                    load.take_backends()
                    load.wait_more(40)
                    return set(load.take_backends()) == names
                self.eventually(f'requests at {names}', only_these)
        self.assertEqual(load.failures, [])

    def test_large_bodies_pass_and_a_slow_one_holds_no_other_up(self):
        port, = self.nginx('one')
        self.serve(self.spec(port))
        whole = fetch('127.0.0.1', self.targets()[0][1], '/large', headers=HOST)
        self.assertEqual(whole.body, (self.folder / 'nginx' / 'files' / 'large').read_bytes())
        slow = threading.Thread(target=lambda: fetch(*self.targets()[0], '/slow', headers=HOST, timeout=60), daemon=True)
        slow.start()
        with self.load(clients=4) as load:
            load.wait_more(200)
        self.assertEqual(load.failures, [])
        slow.join(60)
        self.assertFalse(slow.is_alive())
        self.assertEqual(self.metric('gw_upstream_http2_connections_total'), 1)

    def test_what_does_not_fit_is_refused_with_place_and_cure(self):
        self.start(nodes=())
        http1 = {'targets': [{'url': 'http://127.0.0.1:9'}]}
        for spec, code, field in (({**http1, 'http2': {'maxStreams': 5}}, 'GW1437', 'spec.http2'),
                                  ({**http1, 'protocol': 'auto'}, 'GW1437', 'spec.protocol'),
                                  ({**http1, 'health': {'active': {'grpc': {}}}}, 'GW1438', 'spec.health.active.grpc'),
                                  ({**http1, 'protocol': 'http2', 'health': {'active': {'grpc': {}, 'path': '/x'}}}, 'GW1438', 'spec.health.active.path')):
            done = self.gwctl.run('apply', '-f', '-', stdin=self.config_of(spec))
            self.assertNotEqual(done.returncode, 0, json.dumps(spec))
            self.assertIn(code, done.stderr + done.stdout)
            self.assertIn(field, done.stderr + done.stdout)


if __name__ == '__main__':
    main()
