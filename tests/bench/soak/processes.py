"""What processes hold, over time: resident memory, descriptors, threads."""
import collections
import contextlib
import dataclasses
import os
import re
import statistics
import time
from pathlib import Path

FLAT = 0.01         # of the resident memory, a minute
FLAT_KIB = 128      # or this much, where that is more: a process of 10 MiB touches a page now and then
# More than at the start that may be left: probes of that moment, gRPC's threads (it makes and ends them as it likes), and
# splice's pipes, which a node's two workers keep for the next large body (PipePool::kMaxKept, two descriptors each).
SPARE = {'descriptors': 4, 'threads': 4, 'pipe': 2 * 64 * 2}


@dataclasses.dataclass(frozen=True)
class Sample:
    at: float
    pid: int
    rss_kib: int
    kinds: collections.Counter  # of descriptors: socket, pipe, …
    threads: int

    @property
    def descriptors(self):
        return self.kinds.total()


def kinds_of(pid):
    kinds = collections.Counter()
    for entry in os.scandir(f'/proc/{pid}/fd'):
        with contextlib.suppress(OSError):  # closed meanwhile
            target = os.readlink(entry.path)
            kinds[re.sub(r':.*', '', target) if not target.startswith('/') else 'file'] += 1
    return kinds


def look(pid):
    """None: it is gone."""
    try:
        status = dict(line.split(':', 1) for line in Path(f'/proc/{pid}/status').read_text().splitlines())
        return Sample(time.monotonic(), pid, int(status['VmRSS'].split()[0]), kinds_of(pid), int(status['Threads']))
    except (OSError, KeyError):
        return None


@dataclasses.dataclass(frozen=True)
class Growth:
    name: str
    kib_a_minute: float
    rss_kib: int
    minutes: float

    @property
    def flat(self):
        return self.kib_a_minute <= max(FLAT_KIB, FLAT * self.rss_kib)

    def __str__(self):
        return f'{self.name}: {self.kib_a_minute:+.0f} KiB a minute over {self.minutes:.1f} minutes, of {self.rss_kib} KiB' + ('' if self.flat else '  NOT FLAT')


class Processes:
    """`pids`: name -> a function that gives the process of the moment."""

    def __init__(self, pids):
        self.pids, self.samples, self.began = pids, collections.defaultdict(list), time.monotonic()

    def sample(self):
        now = {}
        for name, pid in self.pids.items():
            number = pid()
            if number and (seen := look(number)):
                now[name] = seen
                self.samples[name].append(seen)
        return now

    def table(self):
        """A line for each minute: MiB / descriptors / threads; `*`: another process than the minute before."""
        lines = ['minute ' + ' '.join(f'{name:>16}' for name in self.samples)]
        minutes = int((max(s[-1].at for s in self.samples.values()) - self.began) // 60)
        before = {}
        for minute in range(minutes + 1):
            cells = []
            for name, samples in self.samples.items():
                seen = [s for s in samples if self.began + 60 * minute <= s.at < self.began + 60 * (minute + 1)]
                if not seen:
                    cells.append(f'{"-":>16}')
                    continue
                last = seen[-1]
                mark = '*' if before.get(name, last.pid) != last.pid else ''
                before[name] = last.pid
                cells.append(f'{f"{mark}{last.rss_kib / 1024:.1f}/{last.descriptors}/{last.threads}":>16}')
            lines.append(f'{minute:6} ' + ' '.join(cells))
        return '\n'.join(lines)

    def growth(self, warm_up_s, names=('control', 'n1', 'n2')):
        """Of the last process of each name, in the second half of the run and past its own warm-up: one line each."""
        half = self.began + (time.monotonic() - self.began) / 2
        lines = []
        for name in names:
            own = [s for s in self.samples[name] if s.pid == self.samples[name][-1].pid]
            judged = [s for s in own if s.at >= max(half, own[0].at + warm_up_s)]
            if len(judged) < 3:
                continue
            slope = statistics.linear_regression([s.at for s in judged], [s.rss_kib for s in judged]).slope * 60
            lines.append(Growth(name, slope, judged[-1].rss_kib, (judged[-1].at - judged[0].at) / 60))
        return lines

    def settled(self, before, names, cap_s):
        """Waits until descriptors and threads are back; what is not."""
        def back(now, then):
            more = now.kinds['pipe'] - then.kinds['pipe'], now.descriptors - now.kinds['pipe'] - then.descriptors + then.kinds['pipe'], now.threads - then.threads
            return all(m <= SPARE[what] for m, what in zip(more, ('pipe', 'descriptors', 'threads')))
        end = time.monotonic() + cap_s
        while True:
            now = self.sample()
            left = [name for name in names if not back(now[name], before[name])]
            if not left or time.monotonic() > end:
                return [f'{name}: {now[name].threads} threads, {dict(now[name].kinds)}; at the start {before[name].threads}, {dict(before[name].kinds)}' for name in left]
            time.sleep(1)
