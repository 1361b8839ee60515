#!/usr/bin/env python3
"""CPU time per proxied request: the gateway beside NGINX, HAProxy and a relay that parses nothing.

  cost.py [--rounds 5] [--seconds 3] [--conns 64] [--cases plain,policy,large,h2c-upstream,tls,handshake,h2]

`tls`: TLS 1.3 with ECDSA P-256, connections kept; `handshake`: one request a connection, no session resumed; `h2`: 16 connections
of 32 requests each at a time (h2load).

Figure: user + system time of the proxy's process, divided by the requests answered 2xx; proxies on core 0, load and upstream on
core 1, measured in turn round after round; medians, and medians of the rounds' ratios. It holds on a noisy machine, where
requests per second do not. Needs deploy/setup.sh --bench and the release build. Loopback only; ends what it started.
"""
import argparse, hashlib, json, os, re, shutil, statistics, subprocess, sys, tempfile, time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent
sys.path.insert(0, str(ROOT / 'deploy' / 'local'))
KEYS = 10_000
TICK = os.sysconf('SC_CLK_TCK')

def free_port():
    import socket
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]

def nginx_config(folder, name, server):
    (folder / f'{name}.conf').write_text(
        f'worker_processes 1; daemon off; error_log {folder}/{name}.err crit; pid {folder}/{name}.pid;\n'
        'events { worker_connections 8192; }\n'
        'http { access_log off; keepalive_requests 1000000000; keepalive_timeout 3600s;\n' + server + '\n}\n')
    return str(folder / f'{name}.conf')

def cpu_seconds(pid):
    """Of the process and the processes that it started (NGINX's worker)."""
    total, pids = 0, [pid] + [int(p) for p in Path(f'/proc/{pid}/task/{pid}/children').read_text().split()]
    for p in pids:
        fields = Path(f'/proc/{p}/stat').read_text().rsplit(')', 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK

TLS_CASES = ('tls', 'handshake', 'h2')

def load(port, case, seconds, conns):
    if case == 'h2':
        out = subprocess.run(['taskset', '-c', '1', 'h2load', '-t1', '-c16', '-m32', f'-D{seconds}', '--warm-up-time=0', f'https://127.0.0.1:{port}/'],
                             capture_output=True, text=True, check=True).stdout
        return int(re.search(r'status codes: (\d+) 2xx', out).group(1))
    scheme = 'https' if case in TLS_CASES else 'http'
    command = ['taskset', '-c', '1', 'wrk', '-t1', f'-c{conns}', f'-d{seconds}', f'{scheme}://127.0.0.1:{port}/' + ('1m' if case == 'large' else '')]
    if case == 'policy': command[-1:-1] = ['-H', 'x-api-key: key-77']
    if case == 'handshake': command[-1:-1] = ['-H', 'Connection: close']
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    bad = re.search(r'Non-2xx or 3xx responses: (\d+)', out)
    return int(re.search(r'(\d+) requests in', out).group(1)) - (int(bad.group(1)) if bad else 0)

def haproxy_config(folder, plain, tls, upstream):
    (folder / 'haproxy.cfg').write_text(f'''global
 maxconn 8192
 nbthread 1
 ssl-default-bind-options ssl-min-ver TLSv1.3 no-tls-tickets
 tune.ssl.cachesize 0
defaults
 mode http
 timeout connect 5s
 timeout client 60s
 timeout server 60s
frontend all
 bind 127.0.0.1:{plain} backlog 4096
 bind 127.0.0.1:{tls} ssl crt {folder}/both.pem alpn h2,http/1.1 backlog 4096
 option forwardfor
 default_backend up
backend up
 http-reuse always
 server up 127.0.0.1:{upstream}
''')
    return str(folder / 'haproxy.cfg')

def make_key_pair(folder):
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30', '-subj', '/CN=localhost',
                    '-addext', 'subjectAltName=DNS:localhost', '-keyout', f'{folder}/key.pem', '-out', f'{folder}/crt.pem'], check=True, capture_output=True)
    (folder / 'both.pem').write_text((folder / 'crt.pem').read_text() + (folder / 'key.pem').read_text())

def start_gateway(folder, upstream_port, http2_port):
    config = (HERE / 'bench.yaml').read_text().replace('UPSTREAM_PORT', str(upstream_port)).replace('UPSTREAM_HTTP2_PORT', str(http2_port))
    config = config.replace('KEY_PAIR', str(folder / 'both.pem'))
    for i in range(1, KEYS + 1):
        config += (f'---\napiVersion: gw/v1\nkind: App\nmetadata: {{name: app-{i}, owner: platform}}\nspec: {{consumer: load, keys: live}}\n'
                   f'---\napiVersion: gw/v1\nkind: Subscription\nmetadata: {{name: app-{i}, owner: platform}}\nspec: {{app: app-{i}, product: bench, plan: wide}}\n')
    (folder / 'bench.yaml').write_text(config)
    (folder / 'keys.csv').write_text(''.join(f'platform/app-{i},{hashlib.sha256(f"key-{i}".encode()).hexdigest()}\n' for i in range(1, KEYS + 1)))
    state = folder / 'state'
    up = subprocess.run([str(ROOT / 'deploy' / 'local.sh'), 'up', '--state', str(state), '-f', str(folder / 'bench.yaml'), '--workers', '1'],
                        capture_output=True, text=True)
    if up.returncode != 0: sys.exit(f'local.sh up: {up.stderr}')
    facts = json.loads(up.stdout.strip().splitlines()[-1])
    from cluster import find_programs
    subprocess.run([find_programs()['gwctl'], '--server', facts['control'], '--token-file', facts['token_file'], 'key', 'import', '--sha256-file', str(folder / 'keys.csv')],
                   check=True, capture_output=True)
    ready = json.loads(next((state / 'nodes').glob('*/ready.json')).read_text())
    return ready['pid'], {l['name']: l['port'] for l in ready['listeners']}, state

def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument('--rounds', type=int, default=5); a.add_argument('--seconds', type=int, default=3); a.add_argument('--conns', type=int, default=64)
    a.add_argument('--cases', default='plain,policy,large,h2c-upstream,tls,handshake,h2'); a.add_argument('--json', action='store_true')
    o = a.parse_args()
    folder, started, state = Path(tempfile.mkdtemp(prefix='gw-cost-')), [], None
    folder.chmod(0o755)
    try:
        (folder / 'www').mkdir(); (folder / 'www' / '1m').write_bytes(b'x' * (1 << 20))
        up, up_http2, nginx, relay, nginx_tls, haproxy, haproxy_tls = (free_port() for _ in range(7))
        make_key_pair(folder)
        body = '0123456789' * 12 + '\\n'
        confs = {'up': nginx_config(folder, 'up', f'server {{ listen 127.0.0.1:{up} backlog=4096; root {folder}/www; sendfile on;'
                                    f' location = / {{ default_type text/plain; return 200 "{body}"; }} }}\n'
                                    f'server {{ listen 127.0.0.1:{up_http2} http2 backlog=4096; http2_max_concurrent_streams 512;'
                                    f' location / {{ default_type text/plain; return 200 "{body}"; }} }}'),
                 'nginx': nginx_config(folder, 'nginx', f'upstream u {{ server 127.0.0.1:{up}; keepalive 256; keepalive_requests 1000000000; }}\n'
                                       f'ssl_certificate {folder}/crt.pem; ssl_certificate_key {folder}/key.pem; ssl_protocols TLSv1.3; ssl_session_cache off; ssl_session_tickets off;\n'
                                       f'server {{ listen 127.0.0.1:{nginx} backlog=4096; listen 127.0.0.1:{nginx_tls} ssl http2 backlog=4096; location / {{ proxy_pass http://u; proxy_http_version 1.1;'
                                       ' proxy_set_header Connection ""; proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr; } }')}
        subprocess.run(['gcc', '-O2', str(HERE / 'relay.c'), '-o', str(folder / 'relay')], check=True)
        def start(core, *command):
            started.append(subprocess.Popen(['taskset', '-c', core, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            return started[-1].pid
        start('1', 'nginx', '-c', confs['up'])
        nginx_pid, relay_pid = start('0', 'nginx', '-c', confs['nginx']), start('0', str(folder / 'relay'), str(relay), str(up))
        haproxy_pid = start('0', 'haproxy', '-f', haproxy_config(folder, haproxy, haproxy_tls, up))
        pid, ports, state = start_gateway(folder, up, up_http2)
        subprocess.run(['taskset', '-acp', '0', str(pid)], check=True, capture_output=True)
        time.sleep(1)
        result = {}
        for case in o.cases.split(','):
            tls = case in TLS_CASES
            subjects = {'nginx': (nginx_pid, nginx_tls if tls else nginx), 'haproxy': (haproxy_pid, haproxy_tls if tls else haproxy),
                        'gateway': (pid, ports['tls' if tls else case if case in ports else 'plain'])}
            if not tls: subjects['relay'] = (relay_pid, relay)
            rows = {name: [] for name in subjects}
            for _ in range(o.rounds):
                for name, (subject, port) in subjects.items():
                    before = cpu_seconds(subject); done = load(port, case, o.seconds, o.conns)
                    rows[name].append((cpu_seconds(subject) - before) / max(done, 1) * 1e6)
            print(f'{case}: CPU us per request (median), gateway / subject (median of {o.rounds} rounds)' + ('; the others plain, over HTTP/1.1' if case in ('policy', 'h2c-upstream') else ''))
            result[case] = {}
            for name, values in rows.items():
                ratio = statistics.median(g / v for g, v in zip(rows['gateway'], values))
                result[case][name] = {'us': round(statistics.median(values), 2), 'ratio': round(ratio, 3)}
                print(f'  {name:8} {statistics.median(values):8.2f} us  {ratio:5.2f} x')
        if o.json: print(json.dumps(result))
    finally:
        if state is not None: subprocess.run([str(ROOT / 'deploy' / 'local.sh'), 'down', '--state', str(state)], capture_output=True)
        for p in started: p.terminate()
        for p in started:
            try: p.wait(5)
            except subprocess.TimeoutExpired: p.kill()
        shutil.rmtree(folder, ignore_errors=True)

if __name__ == '__main__': main()
