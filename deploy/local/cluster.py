"""A control plane and nodes as processes on this machine: what deploy/local.sh, the demo and the system tests share.

A Cluster is one state directory:

    control/            the control plane's own (address, admin.token, its database)
    nodes/NAME/         a node's own (last known good, usage spool, ready.json)
    logs/NAME.log       what each process said
    join.token          with which nodes join, and by which CA they know the control plane
    cluster.json        which processes there are, with their arguments

Programs come from a build directory and are never built here. Only processes that this state directory names are ever
signalled, and only while their command line still names it.
"""
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PLACES = {  # where the build leaves each program, below the build directory
    'gwctl': ('bin', 'cli'),
    'gw-controlplane': ('bin', 'controlplane'),
    'gw-dataplane': ('bin', 'dataplane/node', 'dataplane'),
}
START_CAP_S = 60  # longest that a start may take; what waits ends by an event
STOP_CAP_S = 45


class ClusterError(Exception):
    """Something that the user can mend; the text says how."""


def find_programs(build_dir=None, before=None):
    """Of `build_dir`, else $GW_BUILD_DIR, else the build that was used before, else build/release."""
    build = Path(build_dir or os.environ.get('GW_BUILD_DIR') or before or ROOT / 'build' / 'release').resolve()
    found, missing = {}, []
    for name, places in PLACES.items():
        for place in places:
            if os.access(build / place / name, os.X_OK):
                found[name] = str(build / place / name)
                break
        else:
            missing.append(name)
    if missing:
        raise ClusterError(f'{", ".join(missing)}: not built in {build}; run\n  deploy/setup.sh\n'
                           '  cmake --preset release && cmake --build --preset release\n'
                           'or name another build with GW_BUILD_DIR')
    found['build'] = str(build)
    return found


def wait_for(what, condition, cap_s=START_CAP_S, process=None, log=None):
    """Calls `condition` until it gives something; fails when `process` ends first, or after the cap."""
    end = time.monotonic() + cap_s
    while True:
        result = condition()
        if result:
            return result
        if process is not None and process.poll() is not None:
            raise ClusterError(f'{what}: the process ended with exit code {process.returncode}\n{tail(log)}')
        if time.monotonic() > end:
            raise ClusterError(f'{what}: not within {cap_s} s\n{tail(log)}')
        time.sleep(0.01)


def tail(log, lines=15):
    if log is None:
        return ''
    try:
        text = Path(log).read_text(errors='replace').splitlines()
    except OSError:
        return ''
    return ''.join(f'  {line}\n' for line in text[-lines:])


def write_private(path, text):
    fresh = f'{path}.new'
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, 'w') as file:
        file.write(text)
    os.rename(fresh, path)


def read_json(path):
    try:
        return json.loads(Path(path).read_text())
    except (OSError, ValueError):
        return None


class Gwctl:
    """Runs gwctl against one control plane, without the user's own contexts."""

    def __init__(self, program, server=None, token_file=None, ca_file=None):
        self.program, self.server, self.token_file, self.ca_file = program, server, token_file, ca_file

    def environment(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith('GW_')}
        env['GW_CONFIG'] = '/dev/null/absent'
        if self.server:
            env.update(GW_SERVER=self.server, GW_TOKEN_FILE=str(self.token_file))
        if self.ca_file:
            env['GW_CA_FILE'] = str(self.ca_file)
        return env

    def run(self, *args, stdin=None, timeout=300):
        """A CompletedProcess; never raises for an exit code."""
        return subprocess.run([self.program, *map(str, args)], input=stdin, text=True, capture_output=True,
                              env=self.environment(), timeout=timeout)

    def start(self, *args):
        return subprocess.Popen([self.program, *map(str, args)], text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, env=self.environment())

    def ok(self, *args, stdin=None, timeout=300):
        done = self.run(*args, stdin=stdin, timeout=timeout)
        if done.returncode != 0:
            raise ClusterError(f'gwctl {" ".join(map(str, args))}: exit code {done.returncode}\n{done.stdout}{done.stderr}')
        return done.stdout

    def json(self, *args, stdin=None):
        return json.loads(self.ok(*args, '-o', 'json', stdin=stdin))


class Cluster:
    """Owner of one state directory. Not thread-safe; processes outlive it."""

    def __init__(self, state, build_dir=None):
        self.state = Path(state).resolve()
        self.record = read_json(self.state / 'cluster.json') or {'processes': {}, 'nodes': []}
        self.programs = find_programs(build_dir, self.record.get('build'))
        self.record['build'] = self.programs['build']
        self.children = {}  # name -> Popen, of processes that this object started

    # --- where things are

    @property
    def address(self):
        try:
            return (self.state / 'control' / 'address').read_text().strip()
        except OSError:
            return ''

    @property
    def token_file(self):
        return self.state / 'control' / 'admin.token'

    @property
    def ca_file(self):
        """Of the control plane, where the control channel is TLS; else None."""
        return self.state / 'control' / 'ca.pem' if self.record.get('tls') else None

    def gwctl(self, token_file=None):
        return Gwctl(self.programs['gwctl'], self.record.get('address'), token_file or self.token_file, self.ca_file)

    def log(self, name):
        return self.state / 'logs' / f'{name}.log'

    def ready(self, node):
        return read_json(self.state / 'nodes' / node / 'ready.json')

    def pid(self, name):
        """Of the live process of that name, or None."""
        entry = self.record['processes'].get(name)
        if not entry:
            return None
        child = self.children.get(name)
        if child is not None:
            return None if child.poll() is not None else child.pid
        try:
            line = Path(f'/proc/{entry["pid"]}/cmdline').read_bytes()
            state = Path(f'/proc/{entry["pid"]}/stat').read_text().rsplit(')', 1)[1].split()[0]
        except OSError:
            return None
        return entry['pid'] if str(self.state).encode() in line and state != 'Z' else None

    def running(self):
        return [name for name in self.record['processes'] if self.pid(name)]

    # --- starting

    def _save(self):
        write_private(self.state / 'cluster.json', json.dumps(self.record, indent=2) + '\n')

    def _spawn(self, name, command):
        with open(self.log(name), 'ab') as log:
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.children[name] = child
        self.record['processes'][name] = {'pid': child.pid, 'command': command}
        self._save()
        return child

    def secure(self, *flags):
        """The control channel is TLS from the next start on. `flags`: more of `gw-controlplane run`."""
        self.record.update(tls=True, control_flags=list(flags))

    def init(self):
        for folder in ('control', 'nodes', 'logs'):
            (self.state / folder).mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.token_file.exists():
            return
        done = subprocess.run([self.programs['gw-controlplane'], 'init', '--state', str(self.state / 'control')],
                              text=True, capture_output=True)
        if done.returncode != 0:
            raise ClusterError(f'gw-controlplane init: exit code {done.returncode}\n{done.stdout}{done.stderr}')

    def start_control(self, listen=None):
        """Starts the control plane and waits until it answers; the address it had before is kept where it can be."""
        before = listen or self.record.get('address') or '127.0.0.1:0'
        path = self.state / 'control' / 'address'
        for attempt in (before, '127.0.0.1:0'):
            path.unlink(missing_ok=True)
            child = self._spawn('control', [self.programs['gw-controlplane'], 'run', '--state', str(self.state / 'control'),
                                            '--listen', attempt, *(['--tls'] if self.record.get('tls') else []),
                                            *self.record.get('control_flags', [])])
            wait_for('control plane', lambda: self.address or child.poll() is not None)
            if child.poll() is None or listen or attempt == '127.0.0.1:0':
                break  # else: the port is somebody else's by now
        wait_for('control plane', lambda: self.address, process=child, log=self.log('control'))
        self.record['address'] = self.address
        self._save()
        wait_for('control plane', lambda: self.gwctl().run('whoami').returncode == 0, process=child, log=self.log('control'))
        return child

    def join_token_file(self):
        path = self.state / 'join.token'
        if not path.exists():
            write_private(path, self.gwctl().ok('node', 'join-token', '--ttl', '365d', '-q'))
        return path

    def start_node(self, name, zone='', workers=None, listeners=(), labels=(), more=(), ready_cap_s=START_CAP_S):
        """Starts a node and waits for its ready file. `listeners`: NAME=ADDRESS:PORT."""
        command = [self.programs['gw-dataplane'], '--control', self.record['address'],
                   '--join-token-file', str(self.state / 'join.token'), '--name', name,
                   '--state', str(self.state / 'nodes' / name), '--admin', '127.0.0.1:0']
        if zone:
            command += ['--zone', zone]
        if workers:
            command += ['--workers', str(workers)]
        for flag, values in (('--listener', listeners), ('--label', labels)):
            for value in values:
                command += [flag, value]
        return self._start_node(name, command + list(more), ready_cap_s)

    def _start_node(self, name, command, cap_s=START_CAP_S):
        folder = self.state / 'nodes' / name
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / 'ready.json').unlink(missing_ok=True)
        child = self._spawn(name, command)
        if name not in self.record['nodes']:
            self.record['nodes'].append(name)
            self._save()
        wait_for(f'node {name}', lambda: self.ready(name), cap_s, child, self.log(name))
        return child

    def start_again(self, name):
        """With the arguments that it had; the control plane's address as it is now."""
        entry = self.record['processes'].get(name)
        if not entry:
            raise ClusterError(f'{name}: was never started here; there are {", ".join(self.record["processes"]) or "none"}')
        if self.pid(name):
            raise ClusterError(f'{name}: is running')
        if name == 'control':
            return self.start_control()
        command = list(entry['command'])
        command[0] = self.programs['gw-dataplane']
        command[command.index('--control') + 1] = self.record['address']
        return self._start_node(name, command)

    # --- what they are doing

    def node_infos(self):
        return {n['node']: n for n in self.gwctl().json('node', 'list')}

    def wait_connected(self, names=None, cap_s=START_CAP_S):
        names = names or self.record['nodes']

        def connected():
            try:
                infos = self.node_infos()
            except (ClusterError, ValueError):
                return False
            return all(infos.get(n, {}).get('connected') for n in names)
        wait_for(f'nodes {", ".join(names)} connected', connected, cap_s)

    def wait_listening(self, node, listener='http', cap_s=START_CAP_S):
        """(address, port) of a node's listener, once it is bound."""
        def find():
            for bound in (self.ready(node) or {}).get('listeners', []):
                if bound['name'] == listener:
                    return bound['address'], bound['port']
            return None
        return wait_for(f'node {node} listens on {listener}', find, cap_s, log=self.log(node))

    def summary(self):
        """What `local.sh up` prints."""
        listeners, admin = [], []
        for node in self.record['nodes']:
            ready = self.ready(node)
            if not ready or not self.pid(node):
                continue
            admin.append(ready['admin'])
            listeners += [{'node': node, 'name': b['name'], 'address': b['address'], 'port': b['port']}
                          for b in ready['listeners']]
        names = [n for n in ['control', *self.record['nodes']] if self.pid(n)]
        return {'listeners': listeners, 'admin': admin, 'control': self.record.get('address', ''), 'token_file': str(self.token_file),
                **({'ca_file': str(self.ca_file)} if self.ca_file else {}), 'pids': [self.pid(n) for n in names]}

    # --- ending

    def signal(self, name, number):
        pid = self.pid(name)
        if pid:
            os.kill(pid, number)
        return pid

    def _gone(self, name):
        return self.pid(name) is None

    def stop(self, name, kill=False, cap_s=STOP_CAP_S):
        """Ends one process and waits for its end. True if it went by itself."""
        if not self.signal(name, signal.SIGKILL if kill else signal.SIGTERM):
            return True
        try:
            wait_for(f'{name} ends', lambda: self._gone(name), cap_s, log=self.log(name))
            return True
        except ClusterError:
            self.signal(name, signal.SIGKILL)
            wait_for(f'{name} ends', lambda: self._gone(name), cap_s)
            return False

    def down(self):
        """Nodes first, at once: their last usage goes to the control plane. Names of those that had to be killed."""
        nodes = [n for n in self.record['nodes'] if self.pid(n)]
        for name in nodes:
            self.signal(name, signal.SIGTERM)
        killed = [name for name in nodes if not self.stop(name)]
        if self.pid('control') and not self.stop('control'):
            killed.append('control')
        return killed


def listeners_of(objects):
    """(gateway owner/name, listener name, address, port) of every Gateway among the objects of `gwctl render -o json`."""
    for item in objects:
        if item.get('kind') == 'Gateway':
            meta = item['metadata']
            for listener in item['spec'].get('listeners', []):
                gateway = f'{meta["owner"]}/{meta["name"]}' if meta.get('owner') else meta['name']
                yield gateway, listener['name'], listener['address'], listener.get('port', 0)


NAME = re.compile(r'^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$')
