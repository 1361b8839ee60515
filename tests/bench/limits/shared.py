"""What the programs of this folder share: one node with one worker, NGINX as an upstream, an open-loop load, and who runs on
which core: the node's workers on core 0, everything else on core 1. Loopback only; ends what it started."""
import json
import os
import re
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent
sys.path[:0] = [str(ROOT / 'tests' / 'system'), str(HERE.parent / 'proxy')]
from cost import cpu_seconds, free_port, nginx_config  # noqa: E402,F401
from harness import api, document, documents, fetch, gateway, route, standalone, team  # noqa: E402,F401

GATEWAY_CORE, OTHER_CORE = '0', '1'
CLIENT = '127.0.0.9'  # other clients' address, where one client's must not count as theirs
median = statistics.median


class Bench:
    """With-block around one cluster and all that it is measured with."""

    def __enter__(self):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # else what was started would be left
        os.environ.setdefault('GW_BUILD_DIR', str(ROOT / 'build' / 'release'))
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.test, self.started = standalone(), []
        self.folder = Path(tempfile.mkdtemp(prefix='gw-limits-', dir=self.test.folder))
        self.folder.chmod(0o755)
        self.test.folder.chmod(0o755)
        try:
            subprocess.run(['gcc', '-O2', str(HERE / 'load.c'), '-o', str(self.folder / 'load'), '-lm'], check=True)
        except BaseException:
            self.test.doCleanups()
            raise
        return self

    def __exit__(self, *_):
        for child in self.started:
            child.terminate()
        for child in self.started:
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self.test.doCleanups()

    def start(self, core, *command):
        """In a session of its own, as the node is: the kernel shares a core between sessions, then between the processes of each."""
        child = subprocess.Popen(['taskset', '-c', core, *command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                 start_new_session=True)
        self.started.append(child)
        return child

    def end(self, child):
        self.started.remove(child)
        child.terminate()
        child.wait()

    def nginx(self, core, name, server, before=''):
        """`before`: what stands in the http block before the server."""
        return self.start(core, 'nginx', '-c', nginx_config(self.folder, name, f'{before}\nserver {{ {server} }}'))

    def upstream(self, more='', before=''):
        """NGINX with one small answer to everything; gives its port, which {port} in `before` stands for."""
        port = free_port()
        self.nginx(OTHER_CORE, 'up', f'listen 127.0.0.1:{port} backlog=4096; {more}'
                   ' location / { default_type text/plain; return 200 "' + '0123456789' * 12 + '\\n"; }', before.format(port=port))
        return port

    def node(self, text, *flags, alone=False):
        """Starts the cluster with this configuration. `alone`: only the worker's thread runs on core 0, and before all else there
        (SCHED_FIFO, needs root), the node's other threads run with the rest; else the whole process is on core 0."""
        self.test.start(nodes=('n1',), zones=('az-a',), workers=1, more={'n1': list(flags)})
        self.pid = self.test.cluster.children['n1'].pid
        pin(self.test.cluster.children['control'].pid, OTHER_CORE)
        pin(self.pid, OTHER_CORE if alone else GATEWAY_CORE)
        for task in Path(f'/proc/{self.pid}/task').iterdir():
            if alone and (task / 'comm').read_text().strip() == 'gw-worker':
                subprocess.run(['taskset', '-cp', GATEWAY_CORE, task.name], check=True, capture_output=True)
                subprocess.run(['chrt', '-f', '-p', '1', task.name], check=True, capture_output=True)
        self.test.apply(text)
        self.port = self.test.targets()[0][1]

    def load_command(self, port, rate, seconds, connections, host='bench.localhost', paths=('/',), warm_up=1, patience=5):
        file = self.folder / f'paths-{len(paths)}-{abs(hash(paths))}'
        if not file.exists():
            file.write_text(''.join(f'{p}\n' for p in paths))
        return ['taskset', '-c', OTHER_CORE, *map(str, (self.folder / 'load', port, rate, seconds, warm_up, connections, patience, CLIENT, host, file))]

    def load(self, *args, **more):
        """What load.c prints."""
        return json.loads(subprocess.run(self.load_command(*args, **more), check=True, capture_output=True, text=True).stdout)

    def start_load(self, *args, **more):
        child = subprocess.Popen(self.load_command(*args, **more), stdout=subprocess.PIPE, text=True)
        self.started.append(child)
        return child

    def finish_load(self, child):
        out = child.communicate()[0]
        self.started.remove(child)
        return json.loads(out)

    def capacity(self, port, seconds, connections, host='bench.localhost'):
        """Requests a second that connections get which ask again as soon as they are answered."""
        out = subprocess.run(['taskset', '-c', OTHER_CORE, 'wrk', '-t1', f'-c{connections}', f'-d{seconds}', '-H', f'Host: {host}', f'http://127.0.0.1:{port}/'],
                             check=True, capture_output=True, text=True).stdout
        bad = re.search(r'Non-2xx or 3xx responses: (\d+)', out)
        return (int(re.search(r'(\d+) requests in', out).group(1)) - (int(bad.group(1)) if bad else 0)) / seconds


def pin(pid, core):
    subprocess.run(['taskset', '-acp', core, str(pid)], check=True, capture_output=True)


def resident_mib(pid):
    return int(re.search(r'VmRSS:\s+(\d+)', Path(f'/proc/{pid}/status').read_text()).group(1)) / 1024


def ms(us):
    return us / 1000


def quiet_gateway(**spec):
    """Without an access log."""
    return gateway(accessLog={'to': 'none'}, **spec)
