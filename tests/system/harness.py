"""What the system tests stand on: a cluster of the built programs in a directory of its own, an upstream in this process,
and helpers that wait for events. Programs come from $GW_BUILD_DIR (default build/release). Only processes that a test
started are ended. $GW_SYSTEM_SCALE (default 1) multiplies the counts of the issue: 0.1 for a quick look.
"""
import contextlib
import json
import os
import re
import shutil
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / 'deploy' / 'local'))
sys.path.insert(0, str(ROOT / 'deploy' / 'demo'))
sys.dont_write_bytecode = True
import backend  # noqa: E402
from cluster import Cluster, ClusterError, wait_for  # noqa: E402,F401
from traffic import Load, fetch  # noqa: E402,F401

CAP_S = 120  # longest that one event may be waited for


def scaled(count, least=1):
    return max(least, round(count * float(os.environ.get('GW_SYSTEM_SCALE', '1'))))


def document(kind, name, spec, owner='platform', **metadata):
    """One object, as JSON (which is YAML)."""
    meta = {'name': name, **({'owner': owner} if kind != 'Team' else {}), **metadata}
    return json.dumps({'apiVersion': 'gw/v1', 'kind': kind, 'metadata': meta, 'spec': spec})


def documents(*docs):
    return '\n---\n'.join(docs) + '\n'


def team(name):
    return document('Team', name, {'title': name})


def gateway(*listeners, name='edge', labels=None, listener=None, **spec):
    """listeners: (name, port). Port 0: each node gets one from the kernel. `listener`: more fields of each."""
    ports = listeners or (('http', 0),)
    return document('Gateway', name, {
        'nodes': {'labels': labels or {}},
        'listeners': [{'name': n, 'address': '127.0.0.1', 'port': p, 'protocol': 'http', **(listener or {})} for n, p in ports], **spec},
        shareWith=['all'])


def upstream(name, *ports, owner='platform', **more):
    return document('Upstream', name, {'targets': [{'url': f'http://127.0.0.1:{p}'} for p in ports]}, owner, **more)


def api(name, hosts, base='/', owner='platform', auth=('anonymous',), **spec):
    return document('Api', name, {'title': name, 'version': '1', 'hosts': list(hosts), 'basePath': base, 'auth': list(auth), **spec}, owner)


def route(name, of, to, prefix='/', owner='platform', **spec):
    target = to if isinstance(to, dict) else {'upstream': to}
    return document('Route', name, {'api': of, 'match': {'path': {'prefix': prefix}}, 'to': target, **spec}, owner)


API_KEY = document('Policy', 'api-key', {'type': 'apiKey', 'config': {'in': 'header', 'name': 'x-api-key'}}, shareWith=['all'])


def plan(name='pro', requests=100000, quota=None, **spec):
    body = {'title': name, 'rate': {'requests': requests, 'per': '1s', 'burst': requests}, 'onFailure': 'open', 'reason': 'a test', **spec}
    if quota:
        body['quota'] = {'requests': quota, 'per': 'month'}
    return document('Plan', name, body)


def app(name, product='product', plan_name='pro'):
    return documents(document('Consumer', f'{name}-consumer', {'title': name}),
                     document('App', name, {'consumer': f'{name}-consumer', 'title': name, 'keys': 'live'}),
                     document('Subscription', f'{name}-subscription', {'app': name, 'product': product, 'plan': plan_name})).rstrip()


class SystemTest(unittest.TestCase):
    """One cluster for each test; what it leaves is kept for a look when the test failed."""
    maxDiff = 4000

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix='northgate-system-'))
        self.cluster = Cluster(self.folder / 'cluster')
        self.backends = []
        self.addCleanup(self._clean)

    def _clean(self):
        killed = []
        with contextlib.suppress(ClusterError):
            killed = self.cluster.down()
        for child in self.cluster.children.values():  # whatever is left of ours
            if child.poll() is None:
                child.kill()
            child.wait()
        for server in self.backends:
            server.shutdown()
            server.server_close()
        bad = not self._outcome.success
        if bad:
            print(f'state of {self.id()} is kept in {self.folder}', file=sys.stderr)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.assertFalse(killed and not bad, f'{killed} did not end within their time')

    # --- the cluster

    def backend(self, name='echo'):
        server = backend.start(name)
        self.backends.append(server)
        return server.server_port

    def start(self, nodes=('n1', 'n2'), zones=('az-a', 'az-b'), workers=1, more=None, listeners=None):
        """Control plane and connected nodes."""
        self.cluster.init()
        self.cluster.start_control()
        self.cluster.join_token_file()
        for i, node in enumerate(nodes):
            self.cluster.start_node(node, zones[i % len(zones)], workers, (listeners or {}).get(node, ()), more=(more or {}).get(node, ()))
        if nodes:
            self.cluster.wait_connected(nodes)
        self.nodes = list(nodes)

    @property
    def gwctl(self):
        return self.cluster.gwctl()

    def apply(self, text, *flags, expect=0, gwctl=None):
        """The JSON of `apply -f -`."""
        done = (gwctl or self.gwctl).run('apply', '-f', '-', '-o', 'json', *flags, stdin=text)
        self.assertEqual(done.returncode, expect, f'{done.stdout}\n{done.stderr}')
        return json.loads(done.stdout) if done.stdout.strip() else {'error': done.stderr}

    def refused(self, text, code, *words, flags=()):
        """That apply is refused with this exit code and these words, and that nothing changed."""
        before = self.gwctl.json('status')
        done = self.gwctl.run('apply', '-f', '-', *flags, stdin=text)
        self.assertEqual(done.returncode, code, f'{done.stdout}\n{done.stderr}')
        for word in words:
            self.assertIn(word, done.stderr + done.stdout)
        after = self.gwctl.json('status')
        for what in ('latest', 'active', 'directoryVersion'):
            self.assertEqual(before[what], after[what], what)
        return done

    def targets(self, listener='http'):
        return [self.cluster.wait_listening(n, listener) for n in self.nodes]

    def get(self, path, host, node=0, listener='http', **headers):
        return fetch(*self.cluster.wait_listening(self.nodes[node], listener), path,
                     headers={'Host': host, **{k.replace('_', '-'): v for k, v in headers.items()}})

    def eventually(self, what, condition, cap_s=CAP_S):
        """Waits for an event; the cap only ends a test that hangs."""
        return wait_for(what, condition, cap_s)

    def metrics(self, node='n1'):
        """All of a node's samples, by name and labels as they stand on its page."""
        page = fetch('127.0.0.1', self.cluster.ready(node)['admin'], '/metrics').body.decode()
        return {sample: float(value) for sample, value in re.findall(r'^(gw_\S+) (\S+)$', page, re.M)}

    def metric(self, name, node='n1', **labels):
        """The first sample of that name with these labels; None: there is none."""
        for sample, value in self.metrics(node).items():
            if sample.partition('{')[0] == name and all(f'{k}="{v}"' in sample for k, v in labels.items()):
                return value
        return None

    def usage(self, *by, **filters):
        flags = [f for k, v in filters.items() for f in (f'--{k}', v)]
        return self.gwctl.json('usage', '--by', ','.join(by or ('app',)), *flags)

    def usage_becomes(self, expected, by='app'):
        """Waits until usage by `by` is exactly `expected`, and that it stays so when every node has nothing left to tell."""
        def now():
            return {r[by]: r['requests'] for r in self.usage(by)}
        try:
            self.eventually('usage', lambda: now() == expected)
        except ClusterError:
            self.assertEqual(now(), expected)
        self.eventually('usage acknowledged', lambda: all(
            n['usageUnacknowledged'] == 0 for n in self.cluster.node_infos().values() if n['connected']))
        self.assertEqual(now(), expected)


def standalone():
    """A cluster for programs that are no tests; ended by its doCleanups()."""
    test = SystemTest()
    test._outcome = unittest.case._Outcome()
    test.setUp()
    return test


class Parallel:
    """Threads whose exceptions reach the test."""

    def __init__(self):
        self.threads, self.errors = [], []

    def run(self, fn, *args):
        def body():
            try:
                fn(*args)
            except BaseException as error:  # noqa: BLE001
                self.errors.append(error)
        thread = threading.Thread(target=body, daemon=True)
        self.threads.append(thread)
        thread.start()
        return thread

    def join(self, cap_s=600):
        end = time.monotonic() + cap_s
        for thread in self.threads:
            thread.join(max(0.1, end - time.monotonic()))
            if thread.is_alive():
                raise AssertionError(f'a thread does not end within {cap_s} s')
        if self.errors:
            raise self.errors[0]


main = unittest.main
