"""A zone that can be lost: a network namespace with processes in it, joined to this machine by one link.

    if reason := zone.why_not(): skip
    az = Zone('az-a')
    az.start('backend.py', '--address', az.address, …)
    az.lose()      # packets vanish both ways: no reset, no refusal, no word from the network
    az.come_back()
    az.close()     # its processes, the link and the namespace

Needs root (CAP_NET_ADMIN and CAP_SYS_ADMIN) and iproute2. Names carry this process's id, addresses are from 198.18.0.0/16
(RFC 2544: networks under test), so that runs side by side are not in each other's way.
"""
import itertools
import os
import shutil
import subprocess

NUMBERS = itertools.count()
NETWORKS = 1 << 14  # of four addresses each


class ZoneError(Exception):
    pass


def ip(*words):
    done = subprocess.run(['ip', *map(str, words)], text=True, capture_output=True)
    if done.returncode != 0:
        raise ZoneError(f'ip {" ".join(map(str, words))}: {done.stderr.strip() or f"exit code {done.returncode}"}')
    return done.stdout


def why_not():
    """Why this machine can have no zones; empty: it can."""
    if shutil.which('ip') is None:
        return 'no network namespaces: there is no program `ip`'
    name = f'gw-{os.getpid()}-probe'
    try:
        ip('netns', 'add', name)
    except ZoneError as error:
        return f'no network namespaces: {error}'
    try:
        ip('netns', 'exec', name, 'true')
        ip('-n', name, 'link', 'add', 'probe0', 'type', 'veth', 'peer', 'name', 'probe1')
    except ZoneError as error:
        return f'no network namespaces: {error}'
    finally:
        ip('netns', 'del', name)
    return ''


class Zone:
    def __init__(self, name):
        number = next(NUMBERS)
        self.name, self.children = name, []
        self.namespace, self.link = f'gw-{os.getpid()}-{name}', f'gw{os.getpid()}-{number}'
        network = (os.getpid() * 8 + number) % NETWORKS * 4
        here, self.address = (f'198.18.{(network + i) >> 8}.{(network + i) & 255}' for i in (1, 2))
        hardware = '02:67:' + ':'.join(f'{byte:02x}' for byte in (os.getpid() * 8 + number & 0xffffffff).to_bytes(4, 'big'))
        ip('netns', 'add', self.namespace)
        try:
            ip('link', 'add', self.link, 'type', 'veth', 'peer', 'name', 'up0', 'address', hardware, 'netns', self.namespace)
            ip('address', 'add', f'{here}/30', 'dev', self.link)
            ip('link', 'set', self.link, 'up')
            # Known for ever: else this machine, its direct neighbour, would find out that nobody is there, and say so.
            ip('neighbour', 'replace', self.address, 'lladdr', hardware, 'nud', 'permanent', 'dev', self.link)
            ip('-n', self.namespace, 'address', 'add', f'{self.address}/30', 'dev', 'up0')
            ip('-n', self.namespace, 'link', 'set', 'lo', 'up')
            self.come_back()
        except ZoneError:
            self.close()
            raise

    def start(self, *command):
        child = subprocess.Popen(['ip', 'netns', 'exec', self.namespace, *map(str, command)], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # `ip` becomes the command
        self.children.append(child)
        return child

    def lose(self):
        """The zone's side of the link goes down. Not this machine's: it would lose its route, too, and send what is meant for
        the zone elsewhere."""
        ip('-n', self.namespace, 'link', 'set', 'up0', 'down')

    def come_back(self):
        ip('-n', self.namespace, 'link', 'set', 'up0', 'up')

    def close(self):
        for child in self.children:
            child.kill()
            child.wait()
        self.children.clear()
        # Both by hand: sockets that still have something to say keep a namespace, and its link, alive for minutes.
        subprocess.run(['ip', 'link', 'del', self.link], capture_output=True)
        ip('netns', 'del', self.namespace)
