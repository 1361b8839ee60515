#!/usr/bin/env python3
"""Where a request's instructions go: the node under callgrind, its own code grouped into the stages of a request's way.

  stages.py [--case plain|policy|h2c-upstream] [--seconds 4]

Prints instructions per request and stage, of everything that the node runs outside the kernel. Counts, not times: they hold on
any machine and are the same from run to run (within a percent; the node's other threads are in `rest`). Needs deploy/setup.sh
--bench and the release build.
"""
import argparse, collections, os, re, shutil, subprocess, sys, tempfile
from pathlib import Path

import cost

# First match wins; matched against `FOLDER/FILE` of our own code, or the library.
STAGES = [
    ('both heads read: llhttp', r'^llhttp'),
    ('both heads read: our checks, framing, field list', r'^http1/(head_parser|framing)'),
    ('field names known, added, compared', r'^http/headers'),
    ('request rules, host and path, forwarded fields', r'^(http/|exchange/forwarding)'),
    ('request id and trace context', r'^(telemetry/trace|base/random)'),
    ('routing', r'^(routing|snapshot)/'),
    ('policies: keys, plan, rates', r'^(policy|crypto)/|sha256|^boringssl'),
    ('exchange', r'^exchange/'),
    ('upstream: balance, pool', r'^upstream/'),
    ('sessions of both sides', r'^http1/(server|client)_'),
    ('HTTP/2: sessions, connection', r'^http2/'),
    ('HTTP/2: nghttp2', r'^libnghttp2'),
    ('both heads written', r'^http1/writer'),
    ('sockets, timers, blocks, arena', r'^(loop/|base/arena|worker/)'),
    ('libuv', r'^libuv'),
    ('metrics and usage', r'^(telemetry/(worker_stats|usage)|metrics/)'),
    ('access log', r'^telemetry/access'),
    ('C library', r'^libc'),
]

def wrapped_programs(folder):
    """A build directory whose node runs under callgrind."""
    from cluster import find_programs
    programs = find_programs()
    (folder / 'build' / 'bin').mkdir(parents=True)
    for name in ('gwctl', 'gw-controlplane'):
        (folder / 'build' / 'bin' / name).symlink_to(programs[name])
    node = folder / 'build' / 'bin' / 'gw-dataplane'
    node.write_text('#!/bin/sh\nexec valgrind --tool=callgrind --demangle=no --instr-atstart=no '
                    f'--callgrind-out-file={folder}/out {programs["gw-dataplane"]} "$@"\n')
    node.chmod(0o755)
    os.environ['GW_BUILD_DIR'] = str(folder / 'build')

def place_of(path, library, function):
    if 'llhttp' in path: return 'llhttp'
    own = re.search(r'/(?:common|dataplane)/(\w+)/(\w+)\.', path)
    if own: return f'{own.group(1)}/{own.group(2)}'
    if 'sha256' in function: return 'sha256'
    return os.path.basename(library)

def read_costs(out):
    """Instructions by place; what is inlined from a header counts where it was inlined."""
    names, costs = collections.defaultdict(dict), collections.Counter()
    library = path = function = ''
    callee = False
    def name(kind, text):
        number, rest = re.match(r'\((\d+)\)(?: (.*))?', text).groups()
        if rest: names[kind][number] = rest
        return names[kind][number]
    for line in out.read_text().splitlines():
        key, _, value = line.partition('=')
        if key in ('ob', 'cob', 'fl', 'fn', 'cfn', 'cfi', 'cfl', 'fi', 'fe'):
            text = name({'o': 'ob', 'f': 'fl'}[key.removeprefix('c')[0]] if not key.endswith('fn') else 'fn', value)
            if key == 'ob': library = text
            if key == 'fl': path = text
            if key == 'fn': function = text
        elif key == 'calls':
            callee = True
        elif re.match(r'[\d+*-]', line):
            if not callee: costs[place_of(path, library, function)] += int(line.split()[-1])
            callee = False
    return costs

def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument('--case', choices=('plain', 'policy', 'h2c-upstream'), default='plain'); a.add_argument('--seconds', type=int, default=4)
    o = a.parse_args()
    folder, up, state = Path(tempfile.mkdtemp(prefix='gw-stages-')), None, None
    folder.chmod(0o755)
    try:
        wrapped_programs(folder)
        port, http2 = cost.free_port(), cost.free_port()
        root = 'location = / { default_type text/plain; return 200 "' + '0123456789' * 12 + '"; }'
        servers = ''.join(f'server {{ listen 127.0.0.1:{p}{more} backlog=4096; {root} }}\n' for p, more in ((port, ''), (http2, ' http2')))
        up = subprocess.Popen(['nginx', '-c', cost.nginx_config(folder, 'up', servers)])
        cost.make_key_pair(folder)
        pid, ports, state = cost.start_gateway(folder, port, http2)
        control = lambda *args: subprocess.run(['callgrind_control', *args, str(pid)], check=True, capture_output=True)
        cost.load(ports[o.case], o.case, 2, 16)
        control('-i', 'on'); requests = cost.load(ports[o.case], o.case, o.seconds, 16); control('-i', 'off'); control('-d')
        costs, table = read_costs(folder / 'out.1'), collections.Counter()
        for place, count in costs.items():
            table[next((stage for stage, pattern in STAGES if re.search(pattern, place)), 'rest')] += count
        total = sum(table.values())
        print(f'{o.case}: {total / requests:,.0f} instructions per request outside the kernel ({requests} requests)\n\n| stage | instructions | share |\n|---|---|---|')
        for stage in [s for s, _ in STAGES] + ['rest']:
            if table[stage] / total > 0.001: print(f'| {stage} | {table[stage] / requests:,.0f} | {100 * table[stage] / total:.0f} % |')
    finally:
        if state is not None: subprocess.run([str(cost.ROOT / 'deploy' / 'local.sh'), 'down', '--state', str(state)], capture_output=True)
        if up is not None:
            up.terminate()
            up.wait()
        shutil.rmtree(folder, ignore_errors=True)

if __name__ == '__main__': main()
