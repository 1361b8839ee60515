"""Which faults were active when, and which failures each explains."""
import collections
import contextlib
import dataclasses
import threading
import time

GRACE_S = 1.0  # after its end

# By fault, then by kind of request. What is idempotent and has no answer yet is tried again, so that of GETs only those may
# fail whose answer had begun; a body of 1 MiB is not kept to be sent again. Whatever stands here nowhere explains nothing.
CUT = {'cut'}
MAY = {
    'reset': {'small': CUT, 'get-1m': CUT, 'post-1m': {'cut', 'reset while sending', '502 UPSTREAM_RESET'}},
    'stall': {'small': CUT, 'get-1m': CUT, 'post-1m': {'cut', 'reset while sending', '504 UPSTREAM_TIMEOUT'}},
    'kill': {'small': CUT, 'get-1m': CUT, 'post-1m': {'cut', 'reset while sending', '502 UPSTREAM_RESET', '502 UPSTREAM_CONNECT'}},
}


@dataclasses.dataclass
class Active:
    kind: str
    where: str  # an upstream; `control`: no request may notice
    since: float
    until: float = float('inf')


class Faults:
    def __init__(self):
        self.all, self.lock = [], threading.Lock()

    @contextlib.contextmanager
    def during(self, kind, where):
        fault = Active(kind, where, time.monotonic())
        with self.lock:
            self.all.append(fault)
        try:
            yield
        finally:
            fault.until = time.monotonic()

    def active(self, where, since, until):
        """Those that were, at some moment of that time."""
        with self.lock:
            return [f for f in self.all if f.where == where and f.since <= until and since <= f.until + GRACE_S]

    def counts(self):
        return ', '.join(f'{kind} {count}' for kind, count in collections.Counter(f.kind for f in self.all).items())

    def attribute(self, failures):
        """({(fault, failure): count}, failures that none explains)."""
        explained, unexplained = collections.Counter(), []
        for failure in failures:
            fault = next((f.kind for f in self.active(failure.upstream, failure.since, failure.until)
                          if failure.what in MAY.get(f.kind, {}).get(failure.kind, ())), None)
            if fault is None:
                unexplained.append(failure)
            else:
                explained[fault, f'{failure.kind}: {failure.what}'] += 1
        return explained, unexplained
