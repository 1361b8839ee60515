"""The demonstration behind deploy/demo.sh: a conference system moves behind Northgate, and everything that can go wrong on
the way is shown going right. demo.sh has set up and built before it calls this."""
import argparse
import collections
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'local'))
import backend  # noqa: E402
from cluster import ROOT, Cluster, ClusterError  # noqa: E402
from traffic import Load, fetch  # noqa: E402

APPS = 60
NODES = ('n1', 'n2')
GATEWAY_PORT, HTTPS_PORT = 8080, 8443
GRPC_PORT, GRPC_HOST = 9105, 'grpc.conference.localhost'
BACKENDS = {'legacy': (9101,), 'attendees': (9102, 9103), 'sessions': (9104,)}
HOST = 'api.conference.localhost'
TLS_HOSTS = ('*.conference.localhost', 'conference.localhost')
SET = 'conference-demo'
COLOUR = sys.stdout.isatty()
REQUESTS_A_STEP = 2000


GRPC_CONFIG = '''apiVersion: gw/v1
kind: Upstream
metadata: {{name: sessions-grpc, owner: platform}}
spec: {{targets: [{{url: "http://127.0.0.1:{port}"}}], protocol: http2, health: {{active: {{grpc: {{}}, interval: 10s}}}}}}
---
apiVersion: gw/v1
kind: Api
metadata: {{name: session-grpc, owner: platform}}
spec: {{title: Sessions by gRPC, version: "1.0", hosts: [{host}], basePath: /, auth: [api-key]}}
---
apiVersion: gw/v1
kind: Route
metadata: {{name: session-grpc, owner: platform}}
spec: {{api: session-grpc, match: {{path: {{grpc: {{service: conference.v1.Sessions}}}}}}, to: {{upstream: sessions-grpc}}}}
'''

# --- telling

def paint(code, text):
    return f'\x1b[{code}m{text}\x1b[0m' if COLOUR else text


def chapter(title):
    print(f'\n{paint("1;36", "== " + title)}', flush=True)


def say(text):
    print(text, flush=True)


def fact(text):
    print(f'   {paint("32", "+")} {text}', flush=True)


def shown(command):
    print(f'   {paint("33", "$ " + command)}', flush=True)


def quoted(text, lines=16):
    every = text.rstrip().splitlines()
    shown_lines = every if len(every) <= lines else [*every[:lines - 3], f'… {len(every) - lines + 1} more', *every[-2:]]
    for line in shown_lines:
        print(f'     {line}', flush=True)


class DemoFailed(Exception):
    """Something was not as promised."""


def must(condition, what):
    if not condition:
        raise DemoFailed(what)


# --- the world

def port_is_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(('127.0.0.1', port))
            return True
        except OSError:
            return False


def any_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Demo:
    """Owner of the state directory, the cluster and the backends' processes."""

    def __init__(self, state):
        self.state = Path(state).resolve()
        self.config = self.state / 'gw'
        self.backends = []
        self.keys = {}  # app owner/name -> key
        self.ports = {}
        self.cluster = None

    # The files are the example's own; only a port that somebody else has is exchanged.
    def write_config(self):
        self.config.mkdir(parents=True, exist_ok=True)
        text = (ROOT / 'deploy' / 'example' / 'demo.yaml').read_text()
        text = self.add_https(text)
        for port in (GATEWAY_PORT, HTTPS_PORT, GRPC_PORT, *(p for ports in BACKENDS.values() for p in ports)):
            self.ports[port] = port if port_is_free(port) else any_port()
            if self.ports[port] != port:
                text = text.replace(f'port: {port}', f'port: {self.ports[port]}').replace(f':{port}"', f':{self.ports[port]}"')
                say(f'   port {port} is taken on this machine; {self.ports[port]} stands in for it')
        (self.config / 'conference.yaml').write_text(text)
        (self.config / 'grpc.yaml').write_text(GRPC_CONFIG.format(port=self.ports[GRPC_PORT], host=GRPC_HOST))
        callers = []
        for i in range(1, APPS + 1):
            name = f'caller-{i:02}'
            callers += [f'apiVersion: gw/v1\nkind: Consumer\nmetadata: {{name: {name}, owner: platform}}\nspec: {{title: Caller {i}}}\n',
                        f'apiVersion: gw/v1\nkind: App\nmetadata: {{name: {name}-app, owner: platform}}\nspec: {{consumer: {name}, title: App of caller {i}, keys: live}}\n',
                        f'apiVersion: gw/v1\nkind: Subscription\nmetadata: {{name: {name}, owner: platform}}\nspec: {{app: {name}-app, product: conference, plan: pro}}\n']
        (self.config / 'callers.yaml').write_text('---\n'.join(callers))

    # A CA and a certificate of it, kept over runs, and a listener that shows it.
    def add_https(self, text):
        folder = self.state / 'tls'
        folder.mkdir(mode=0o700, exist_ok=True)
        self.ca = folder / 'ca.pem'
        pair = folder / 'conference.pem'
        if not pair.exists():
            def openssl(*args):
                subprocess.run(['openssl', *map(str, args)], check=True, capture_output=True, cwd=folder)
            curve = ('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes')
            openssl('req', '-x509', *curve, '-days', 30, '-subj', '/CN=Demonstration CA', '-keyout', 'ca.key', '-out', self.ca,
                    '-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign,cRLSign')
            openssl('req', *curve, '-subj', '/CN=conference.localhost', '-keyout', 'leaf.key', '-out', 'leaf.csr')
            (folder / 'leaf.ext').write_text('extendedKeyUsage=serverAuth\nsubjectAltName=' + ','.join(f'DNS:{h}' for h in TLS_HOSTS) + '\n')
            openssl('x509', '-req', '-in', 'leaf.csr', '-CA', self.ca, '-CAkey', 'ca.key', '-CAcreateserial', '-days', 30, '-extfile', 'leaf.ext', '-out', 'leaf.pem')
            pair.write_text((folder / 'leaf.pem').read_text() + (folder / 'leaf.key').read_text())
        hosts = ', '.join(f'"{h}"' for h in TLS_HOSTS)
        (self.config / 'tls.yaml').write_text(
            f'apiVersion: gw/v1\nkind: Secret\nmetadata: {{name: conference-tls, owner: platform}}\nspec: {{value: {{file: {pair}}}}}\n'
            '---\napiVersion: gw/v1\nkind: Certificate\nmetadata: {name: conference, owner: platform}\n'
            f'spec: {{hosts: [{hosts}], keyPairs: [{{secret: conference-tls}}]}}\n')
        plain = 'protocol: http}]'
        return text.replace(plain, f'{plain[:-1]}, {{name: https, address: 127.0.0.1, port: {HTTPS_PORT}, protocol: https, certificates: [conference]}}]', 1)

    def weights(self, legacy, new):
        path = self.config / 'conference.yaml'
        lines = []
        for line in path.read_text().splitlines(keepends=True):
            if '{upstream: legacy, weight:' in line:
                head, tail = line.split('split: [', 1)
                line = f'{head}split: [{{upstream: legacy, weight: {legacy}}}, {{upstream: attendees, weight: {new}}}]{tail.split("]", 1)[1]}'
            lines.append(line)
        path.write_text(''.join(lines))

    def start_backends(self):
        for name, ports in BACKENDS.items():
            for i, port in enumerate(ports):
                label = name if len(ports) == 1 else f'{name}-{"ab"[i]}'
                self.backends.append(subprocess.Popen([sys.executable, str(HERE / 'backend.py'), '--name', label, '--port', str(self.ports[port])],
                                                      stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
                self.await_port(self.ports[port])

        self.backends.append(subprocess.Popen([str(HERE / 'grpc_sessions.py'), 'serve', '--port', str(self.ports[GRPC_PORT])],
                                              stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        self.await_port(self.ports[GRPC_PORT])

    @staticmethod
    def await_port(port, cap_s=20):
        end = time.monotonic() + cap_s
        while True:
            try:
                socket.create_connection(('127.0.0.1', port), timeout=1).close()
                return
            except OSError:
                must(time.monotonic() < end, f'nothing listens on port {port}')
                time.sleep(0.02)

    def start(self):
        self.write_config()
        self.start_backends()
        command = [str(ROOT / 'deploy' / 'local.sh'), 'up', '-f', str(self.config / 'conference.yaml'), '-f', str(self.config / 'tls.yaml'), '-f', str(self.config / 'grpc.yaml'), '--nodes', '2', '--workers', '1',
                   '--zones', 'az-a,az-b', '--set', SET, '--state', str(self.state / 'cluster'),
                   '--listener', 'n2/https=127.0.0.1:0', '--listener', 'n2/extra=127.0.0.1:0']
        shown('deploy/local.sh up -f gw/conference.yaml -f gw/tls.yaml -f gw/grpc.yaml --nodes 2 --zones az-a,az-b')
        done = subprocess.run(command, text=True, stdout=subprocess.PIPE)
        if done.returncode != 0:
            raise ClusterError('deploy/local.sh up failed')
        summary = json.loads(done.stdout)
        self.cluster = Cluster(self.state / 'cluster')
        return summary

    def stop(self):
        if self.cluster:
            self.cluster.down()
        for process in self.backends:
            process.terminate()
        for process in self.backends:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()

    # --- doing

    def gwctl(self, *args, show=True, expect=(0,), lines=16):
        if show:
            shown('gwctl ' + ' '.join(self.short(a) for a in args))
        done = self.cluster.gwctl().run(*args)
        if show:
            quoted(done.stdout + done.stderr, lines)
        must(done.returncode in expect, f'gwctl {args[0]}: exit code {done.returncode}\n{done.stdout}{done.stderr}')
        return done

    def short(self, argument):
        text = str(argument)
        if text.startswith(str(self.state)):
            text = text[len(str(self.state)) + 1:]
        return f"'{text}'" if ' ' in text or '*' in text else text

    def apply(self, message, expect=(0,), lines=16):
        return self.gwctl('apply', '-f', self.config, '--set', SET, '-m', message, expect=expect, lines=lines)

    def targets(self):
        return [(address, port) for address, port in (self.cluster.wait_listening(n) for n in NODES)]

    def make_keys(self):
        gwctl = self.cluster.gwctl()

        def make(app):
            return app, gwctl.ok('key', 'create', '--app', app, '--no-wait', '-q').strip()
        apps = [f'platform/caller-{i:02}-app' for i in range(1, APPS + 1)] + ['platform/acme-mobile']
        with ThreadPoolExecutor(4) as pool:
            self.keys = dict(pool.map(make, apps))
        # The last one waits for the nodes; by then they have the others.
        app, key = 'platform/acme-mobile', gwctl.ok('key', 'create', '--app', 'platform/acme-mobile', '-q').strip()
        self.keys[app] = key
        path = self.state / 'acme-mobile.key'
        path.touch(mode=0o600)
        path.write_text(key + '\n')


# --- the story

def first_requests(demo):
    chapter('Requests through the gateway')
    (address, port), _ = demo.targets()
    headers = {'Host': HOST}
    for path, key, want, what in (
            ('/attendees/42', None, 401, 'no key: refused, and told why'),
            ('/attendees/42', demo.keys['platform/acme-mobile'], 200, 'with a key: the legacy application answers'),
            ('/attendees/healthz', None, 200, 'an open route of the same Api'),
            ('/sessions/7', demo.keys['platform/acme-mobile'], 200, 'another Api, its path rewritten')):
        answer = fetch(address, port, path, headers={**headers, **({'x-api-key': key} if key else {})})
        must(answer.status == want, f'GET {path}: status {answer.status}, not {want}: {answer.body[:300]!r}')
        body = json.loads(answer.body) if answer.body[:1] == b'{' else {}
        told = f"{body['backend']} saw {body['path']} from app {body['app']}" if 'backend' in body else body.get('reason', answer.body.decode().strip())
        fact(f'GET {path:20} {answer.status}  {told:58} {what}')
    answer = fetch(address, port, '/speakers.php', headers={'Host': 'conference.localhost'})
    must(answer.status == 301 and answer.headers['location'].endswith('/speakers'), 'the redirect of old-speakers')
    fact(f'GET /speakers.php        301  to {answer.headers["location"]}')
    demo.gwctl('explain-request', 'GET', f'http://{HOST}/attendees/42', '--as', 'platform/acme-mobile')


def curl(demo, node, path, *options):
    """Where it listens by HTTPS, and what curl shows of an answer: a name of *.localhost is this machine."""
    port = demo.cluster.wait_listening(node, 'https')[1]
    key = demo.keys['platform/acme-mobile']
    command = ['curl', '-sS', '--max-time', '20', '--resolve', f'{HOST}:{port}:127.0.0.1', '--cacert', str(demo.ca), *options,
               '-w', '%{http_version} %{response_code} %{ssl_verify_result}', '-o', '/dev/null', '-H', '@-', f'https://{HOST}:{port}{path}']
    return port, subprocess.run(command, input=f'x-api-key: {key}\n', capture_output=True, text=True, check=False)


def grpc_call(demo, node, *options):
    port = demo.cluster.wait_listening(node, 'https')[1]
    return subprocess.run([str(HERE / 'grpc_sessions.py'), 'call', '--target', f'{GRPC_HOST}:{port}', '--address', f'127.0.0.1:{port}', '--ca', str(demo.ca), *options],
                          capture_output=True, text=True, check=False, timeout=60)


def https(demo):
    chapter('HTTPS and HTTP/2')
    say('   A CA and a certificate were made for this; the key lies encrypted in the store and went to the nodes alone.')
    for node in NODES:
        for option, version in (('--http2', '2'), ('--http1.1', '1.1')):
            port, done = curl(demo, node, '/attendees/42', option)
            must(done.stdout.split() == [version, '200', '0'], f'curl {option}: {done.stdout} {done.stderr}')
            fact(f'https://{HOST}:{port}/attendees/42  200  HTTP/{version}, certificate verified')
    demo.gwctl('cert', 'check')
    say('   The same by gRPC, with a deadline, from end to end:')
    for node in NODES:
        done = grpc_call(demo, node, '--key', demo.keys['platform/acme-mobile'])
        must(done.returncode == 0 and 'platform/acme-mobile' in done.stdout, f'grpc_sessions.py: {done.stdout} {done.stderr}')
        fact(f'{GRPC_HOST}/conference.v1.Sessions/Get  {done.stdout.strip()}')
    done = grpc_call(demo, 'n1')
    must(done.returncode == 1 and 'UNAUTHENTICATED' in done.stderr, f'grpc_sessions.py without a key: {done.stdout} {done.stderr}')
    fact(f'without a key                                 {done.stderr.strip()}')


def callers(demo):
    """make() for a Load: client i is caller i."""
    keys = [demo.keys[f'platform/caller-{i:02}-app'] for i in range(1, APPS + 1)]

    def make(client, n):
        return f'/attendees/{n % 1000}', {'Host': HOST, 'x-api-key': keys[client % APPS]}
    return make


def side(name):
    return 'legacy' if name == 'legacy' else 'new'


def migrate(demo, load):
    chapter('Moving /attendees from the legacy application to the new service, traffic running')
    say(f'   {APPS} apps of {APPS} consumers send requests all the time; each consumer stays on its side (stickyBy: consumer).')
    seen = {}
    for legacy, new in ((100, 0), (80, 20), (0, 100)):  # of 60 consumers at 20 % none, or half, is on the new side once in 500,000 times
        demo.weights(legacy, new)
        if new:
            demo.apply(f'attendees: {new} % to the new service')
        load.take_backends()
        load.wait_more(APPS * 4)  # what was in flight before the switch
        load.take_backends()
        load.wait_more(REQUESTS_A_STEP, cap_s=120)
        sides = collections.Counter()
        for name, count in load.take_backends().items():
            sides[side(name)] += count
        with load.lock:
            on_new = {c for c, name in load.backend_of.items() if side(name) == 'new'}
        total = sum(sides.values())
        fact(f'weights {legacy:3}/{new:<3}  legacy {sides["legacy"] / total:6.1%}   new {sides["new"] / total:6.1%}   '
             f'{len(on_new)} of {APPS} consumers on the new side, {total} requests, {load.counts()[1]} failed')
        must(load.counts()[1] == 0, f'requests failed: {load.failures[:3]}')
        must((sides['new'] == 0) if new == 0 else (sides['legacy'] == 0) if new == 100 else 0 < sides['new'] < total / 2,
             f'weights {legacy}/{new} gave {dict(sides)}')
        must(seen.get('new', set()) <= on_new, 'a consumer went back to the legacy side')
        seen['new'] = on_new


def refused_change(demo, load):
    chapter('A change that one node cannot take')
    with socket.create_server(('127.0.0.1', 0)) as occupied:
        port = occupied.getsockname()[1]
        say(f'   Port {port} is in use on this machine; the next change asks for a listener there. n2 has it on another port.')
        path = demo.config / 'conference.yaml'
        before = path.read_text()
        path.write_text(before.replace('protocol: http}, ', f'protocol: http}}, {{name: extra, address: 127.0.0.1, port: {port}, protocol: http}}, ', 1))
        done = demo.apply('a second listener', expect=(1,))
        must('n1' in done.stdout and 'Gateway platform/edge' in done.stdout and str(port) in done.stdout, 'the refusal names node and object')
        path.write_text(before)
        version = demo.cluster.gwctl().json('status')['latest']
        fact('nothing was activated anywhere: every node serves the version before')
        demo.gwctl('rollout', 'undo', version, '-m', 'the port is taken')
        demo.gwctl('rollout', 'release', SET)
    load.wait_more(200)
    must(load.counts()[1] == 0, f'requests failed: {load.failures[:3]}')


def without_control_plane(demo, load):
    chapter('Without a control plane')
    say('   The control plane is killed (SIGKILL). The nodes go on:')
    demo.cluster.stop('control', kill=True)
    before = load.counts()[0]
    load.wait_more(500)
    fact(f'{load.counts()[0] - before} requests answered meanwhile, {load.counts()[1]} failed')
    must(load.counts()[1] == 0, f'requests failed: {load.failures[:3]}')
    demo.gwctl('status', expect=(6,))
    say('   n2 is ended and started again, with no control plane to ask: it serves what is on its disk.')
    # Its clients are sent away first, as a load balancer would do.
    second = demo.targets()[1]
    load.stop()
    demo.cluster.stop('n2')
    demo.cluster.start_again('n2')
    second = demo.cluster.wait_listening('n2')
    answer = fetch(*second, '/attendees/1', headers={'Host': HOST, 'x-api-key': demo.keys['platform/caller-01-app']})
    must(answer.status == 200, f'n2 answers {answer.status} after its restart')
    fact(f'n2 on port {second[1]}: {answer.status} from {answer.headers["x-backend"]}')
    demo.cluster.start_again('control')
    demo.cluster.wait_connected(NODES)
    fact('the control plane is back and both nodes have found it')
    demo.gwctl('status')


def usage(demo):
    chapter('What was used, counted once')
    demo.gwctl('usage', '--by', 'plan,api,status')


def things_to_try(demo, summary):
    (a1, p1), (a2, p2) = demo.targets()
    tls = demo.cluster.wait_listening('n1', 'https')[1]
    chapter('Try it')
    say(f'''
   eval "$(deploy/local.sh env --state {demo.state / 'cluster'})"      puts gwctl on PATH, with its context

   curl -i http://{HOST}:{p1}/attendees/42
   curl -i http://{HOST}:{p1}/attendees/42 -H "x-api-key: $(cat {demo.state / 'acme-mobile.key'})"
   curl -i http://{HOST}:{p2}/sessions/7 -H "x-api-key: $(cat {demo.state / 'acme-mobile.key'})"
   curl -i http://conference.localhost:{p1}/speakers.php
   curl -i --http2 --cacert {demo.ca} https://{HOST}:{tls}/attendees/42 -H "x-api-key: $(cat {demo.state / 'acme-mobile.key'})"
   deploy/demo/grpc_sessions.py call --target {GRPC_HOST}:{tls} --address 127.0.0.1:{tls} --ca {demo.ca} --key "$(cat {demo.state / 'acme-mobile.key'})"
   deploy/demo/grpc_sessions.py call --target {GRPC_HOST}:{tls} --address 127.0.0.1:{tls} --ca {demo.ca} --key "$(cat {demo.state / 'acme-mobile.key'})" --watch 3

   gwctl status                     gwctl node list -o wide           gwctl get all
   gwctl rollout history            gwctl describe route attendees/attendees
   gwctl explain-request GET http://{HOST}/attendees/42 --as platform/acme-mobile
   gwctl explain AUTH_MISSING       gwctl usage --by app,day

   Your own backend behind it:
   gwctl init --upstream http://localhost:3000 --host my.localhost && gwctl apply -f gw
   curl http://my.localhost:{p1}/
''')


def run(options):
    state = Path(options.state).resolve()
    if options.fresh and state.exists():
        shutil.rmtree(state)
    demo = Demo(state)
    if (state / 'cluster' / 'cluster.json').exists() and (running := Cluster(state / 'cluster').running()):
        raise ClusterError(f'a demonstration runs already ({", ".join(running)}); end it with\n  deploy/local.sh down --state {state / "cluster"}')
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    load = None
    began = time.monotonic()
    try:
        chapter('One control plane, two nodes in two zones, three backends (the new service twice)')
        summary = demo.start()
        for listener in summary['listeners']:
            fact(f'node {listener["node"]} listens on {listener["address"]}:{listener["port"]}')
        chapter(f'{APPS} apps of {APPS} consumers, with keys')
        demo.apply(f'{APPS} callers', lines=7)
        demo.make_keys()
        fact(f'{len(demo.keys)} keys made; each was shown once, only hashes are kept')
        first_requests(demo)
        https(demo)
        load = Load(demo.targets(), callers(demo), clients=APPS, pause_s=0.05).start()
        migrate(demo, load)
        refused_change(demo, load)
        without_control_plane(demo, load)
        usage(demo)
        fact(f'{load.counts()[0]} requests in all, {load.counts()[1]} failed; {time.monotonic() - began:.0f} s')
        things_to_try(demo, summary)
        if not options.once:
            say(f'{paint("1", "Running until Ctrl-C.")}')
            stop.wait()
    except KeyboardInterrupt:
        say('\nending…')
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if load:
            load.stop()
        demo.stop()
        say(f'State is kept in {state}; deploy/demo.sh goes on with it, deploy/demo.sh --fresh begins anew.')
    return 0


def main():
    parser = argparse.ArgumentParser(prog='deploy/demo.sh')
    parser.add_argument('--once', action='store_true', help='end by itself')
    parser.add_argument('--fresh', action='store_true', help='throw earlier state away')
    parser.add_argument('--state', default=str(ROOT / 'build' / 'demo'), help='where state is kept')
    options = parser.parse_args()
    try:
        return run(options)
    except (ClusterError, DemoFailed) as error:
        print(f'demo.sh: {error}', file=sys.stderr)
        return 1


if __name__ == '__main__':
    sys.exit(main())
