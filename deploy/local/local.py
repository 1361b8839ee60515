"""deploy/local.sh: a control plane and nodes from the built tree, on loopback.

  local.sh up -f FILE… [--nodes N] [--workers W] [--zones az-a,az-b] [--state DIR] [--set NAME]
              [--listener NODE/NAME=ADDR:PORT]… [--tls]
      Starts them, applies the files, waits until they are active everywhere, and prints one line of JSON:
      {"listeners": [{"node","name","address","port"}], "admin": [ports], "control": "host:port",
       "token_file": "…", "pids": [control plane, nodes…]}, with --tls also "ca_file"
      Nodes are n1, n2, … A listener's port in the files goes to n1; the others get ports from the kernel, unless
      --listener says. State that is there already is gone on with. With --tls the control channel is TLS, and stays so.
  local.sh env [--state DIR]             what puts gwctl on PATH with its context: eval "$(deploy/local.sh env)"
  local.sh down [--state DIR]            ends them; the state is kept
  local.sh status [--state DIR]          the line of JSON again
  local.sh stop NAME [--kill] [--state DIR]     ends one of them: control, n1, …
  local.sh start NAME [--state DIR]             starts it again

--state defaults to $GW_LOCAL_STATE, else build/local. GW_BUILD_DIR names the build (default: the one used before over this
state, else build/release); nothing is built. Exit codes: 0 done, 2 usage or not built, 1 something did not start; a failed apply gives its own.
"""
import argparse
import json
import os
import re
import shlex
import sys
from pathlib import Path

from cluster import NAME, ROOT, Cluster, ClusterError, Gwctl, find_programs, listeners_of, write_private

LISTENER = re.compile(r'^([a-z0-9-]+)/((?:[a-z0-9-]+/)?(?:[a-z0-9-]+/)?[a-z0-9-]+)=(.+:\d+)$')
MAX_NODES = 64


def say(text):
    print(f'local.sh: {text}', file=sys.stderr, flush=True)


def parse(arguments):
    parser = argparse.ArgumentParser(prog='local.sh', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest='command', required=True, metavar='up|env|down|status|stop|start')
    state = argparse.ArgumentParser(add_help=False)
    state.add_argument('--state', default=os.environ.get('GW_LOCAL_STATE') or str(ROOT / 'build' / 'local'))
    up = commands.add_parser('up', parents=[state])
    up.add_argument('-f', '--file', action='append', default=[], dest='files')
    up.add_argument('--nodes', type=int, default=1)
    up.add_argument('--workers', type=int)
    up.add_argument('--zones', default='')
    up.add_argument('--set', default='')
    up.add_argument('--tls', action='store_true')
    up.add_argument('--listener', action='append', default=[], dest='listeners')
    for name in ('env', 'down', 'status'):
        commands.add_parser(name, parents=[state])
    for name in ('stop', 'start'):
        one = commands.add_parser(name, parents=[state])
        one.add_argument('name')
        if name == 'stop':
            one.add_argument('--kill', action='store_true')
    options = parser.parse_args(arguments)
    if options.command == 'up':
        if not 1 <= options.nodes <= MAX_NODES:
            parser.error(f'--nodes: from 1 to {MAX_NODES}')
        options.zones = [z for z in options.zones.split(',') if z]
        if not all(NAME.match(z) for z in options.zones):
            parser.error('--zones: names of lower-case letters, digits and -, separated by commas')
        options.overrides = {}
        for text in options.listeners:
            match = LISTENER.match(text)
            if not match or not match[1].startswith('n') or not match[1][1:].isdigit() or not 1 <= int(match[1][1:]) <= options.nodes:
                parser.error(f'--listener {text}: write NODE/NAME=ADDRESS:PORT, with NODE from n1 to n{options.nodes}')
            options.overrides.setdefault(match[1], {})[match[2]] = match[3]
    return options


def rendered(files):
    """The objects of the files, by gwctl's own loader; its findings and exit code when they do not load."""
    gwctl = Gwctl(find_programs()['gwctl'])
    flags = [flag for file in files for flag in ('-f', file)]
    done = gwctl.run('render', *flags, '-o', 'json', '--owner', 'platform')
    if done.returncode != 0:
        sys.stderr.write(done.stderr)
        sys.exit(done.returncode)
    return json.loads(done.stdout)


def node_listeners(node, listeners, overrides):
    """--listener values of one node: what was asked for, and for all but the first a port from the kernel."""
    out = dict(overrides.get(node, {}))
    if node != 'n1':
        for gateway, name, address, _ in listeners:
            if name not in out and f'{gateway}/{name}' not in out:
                host = f'[{address}]' if ':' in address else address
                out[f'{gateway}/{name}'] = f'{host}:0'
    return [f'{name}={where}' for name, where in out.items()]


def labels_of(objects):
    """What the Gateways ask of their nodes; of two values of one label the first."""
    out = {}
    for item in objects:
        if item.get('kind') == 'Gateway':
            for key, value in item['spec'].get('nodes', {}).get('labels', {}).items():
                out.setdefault(key, value)
    return out


def start_all(cluster, options, objects):
    if options.tls and not cluster.ca_file:
        cluster.secure()
        (cluster.state / 'join.token').unlink(missing_ok=True)  # one without a CA
    cluster.init()
    cluster.start_control()
    stored = cluster.gwctl().json('get', 'gateway')
    labels = [f'{key}={value}' for key, value in labels_of([*objects, *stored]).items()]
    listeners = list({(g, n): (g, n, a, p) for g, n, a, p in [*listeners_of(stored), *listeners_of(objects)]}.values())
    cluster.join_token_file()
    for i in range(options.nodes):
        zone = options.zones[i % len(options.zones)] if options.zones else ''
        node = f'n{i + 1}'
        cluster.start_node(node, zone, options.workers, node_listeners(node, listeners, options.overrides), labels)
    cluster.wait_connected([f'n{i + 1}' for i in range(options.nodes)])


def apply(cluster, options):
    flags = [flag for file in options.files for flag in ('-f', file)]
    if options.set:
        flags += ['--set', options.set]
    done = cluster.gwctl().run('apply', *flags, '--owner', 'platform', '-m', 'local.sh up', '-o', 'json')
    sys.stderr.write(done.stderr)
    if done.returncode != 0:
        try:  # the verdict: which node, which object
            for node in json.loads(done.stdout)['rollout']['nodes']:
                for found in node.get('diagnostics', []):
                    say(f'node {node["node"]}: {found.get("kind", "")} {found.get("object", "")}: {found.get("path", "")}: {found["message"]}')
        except (ValueError, KeyError):
            sys.stderr.write(done.stdout)
    return done.returncode


def wait_bound(cluster, options, objects):
    """Until every node says where it listens: its file is written just after the version is active."""
    given = labels_of(objects)
    for item in objects:
        if item.get('kind') == 'Gateway' and item['spec'].get('nodes', {}).get('labels', {}).items() <= given.items():
            for i in range(options.nodes):
                for listener in item['spec'].get('listeners', []):
                    cluster.wait_listening(f'n{i + 1}', listener['name'])


def write_context(cluster):
    """A gwctl configuration of its own, so that the user's stays as it is."""
    context = {'name': 'local', 'server': cluster.record['address'], 'tokenFile': str(cluster.token_file)}
    if cluster.ca_file:
        context['ca'] = str(cluster.ca_file)
    write_private(cluster.state / 'gwctl.yaml', json.dumps({'current': 'local', 'contexts': [context]}) + '\n')


def up(options):
    cluster = Cluster(options.state)
    if running := cluster.running():
        raise ClusterError(f'{", ".join(running)} running already over {cluster.state}; end them with\n'
                           f'  deploy/local.sh down --state {shlex.quote(str(cluster.state))}')
    objects = rendered(options.files) if options.files else []
    try:
        start_all(cluster, options, objects)
        write_context(cluster)
        code = apply(cluster, options) if options.files else 0
        if code == 0:
            wait_bound(cluster, options, objects)
    except BaseException:
        cluster.down()
        raise
    if code != 0:
        cluster.down()
        say('the apply failed, so everything is stopped again')
        return code
    print(json.dumps(cluster.summary()), flush=True)
    return 0


def env(options):
    state = Path(options.state).resolve()
    if not (state / 'gwctl.yaml').exists():
        raise ClusterError(f'nothing was started over {state}: deploy/local.sh up -f FILE')
    folder = os.path.dirname(Cluster(state).programs['gwctl'])
    print(f'export PATH={shlex.quote(folder)}:"$PATH"')
    print(f'export GW_CONFIG={shlex.quote(str(state / "gwctl.yaml"))}')
    print('unset GW_SERVER GW_TOKEN GW_TOKEN_FILE GW_CA_FILE GW_CONTEXT GW_OWNER')
    return 0


def main():
    options = parse(sys.argv[1:])
    if options.command == 'up':
        return up(options)
    if options.command == 'env':
        return env(options)
    cluster = Cluster(options.state)
    if options.command == 'status':
        print(json.dumps(cluster.summary()))
        return 0 if cluster.running() else 1
    if options.command == 'start':
        cluster.start_again(options.name)
        write_context(cluster)
        return 0
    if options.command == 'stop':
        return 0 if cluster.stop(options.name, options.kill) else 1
    killed = cluster.down()
    for name in killed:
        say(f'{name} did not end by itself and was killed')
    return 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except ClusterError as error:
        say(error)
        sys.exit(2 if 'not built' in str(error) or 'running already' in str(error) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
