#!/usr/bin/env python3
"""Runs one group of tests, prints what failed, and writes how many cases passed, failed, skipped.

tests/run.sh calls this once per group and adds up; it counts test cases, not programs:

  catch PROGRAM     a Catch2 program. A case that crashes, exits or hangs fails by itself, and the
                    cases after it still run, in a new process.
  unittest SCRIPT   a program that reports as Python's unittest does.
  ctest FOLDER      the tests of a build folder that carry no ring's label.
  lines COMMAND...  a program that closes with `N passed, N failed[, N skipped]`.

Exit code: 0 if tests ran and none failed, else 1.
"""
import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as xml
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RINGS = '^(unit|integration|system)$'
LOG_LINES_SHOWN = 40  # at each end
SANITIZER_REPORT = re.compile(r'WARNING: ThreadSanitizer|ERROR: (Address|Leak)Sanitizer|runtime error:')


class Counts:
    """What a group came to; the only state that the kinds of group share."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def add(self, passed=0, failed=0, skipped=0):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped

    def fail(self, text):
        self.failed += 1
        print(f'FAILED {text}', flush=True)


def describe_exit(code):
    if code >= 0:
        return f'exit code {code}'
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f'signal {-code}'


class Program:
    """A test program in a process group of its own, its output in a log; nothing of it survives."""

    def __init__(self, command, log, env=None, cwd=None):
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            env=env, cwd=cwd, start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._signal(signal.SIGKILL)  # its children, too, if it left any
        self.process.wait()

    def _signal(self, number):
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    def stop(self, grace_s=10):
        """Asks first, so that the program can say where it was."""
        self._signal(signal.SIGTERM)
        try:
            self.process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self.process.wait()

    def wait(self, timeout_s):
        """The exit code, or None if the time ran out and the program was stopped."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.stop()
            return None


def show_log(path, offset=0):
    """The log from `offset` on; of a long one the first report of a sanitizer, or the start, and the end."""
    with open(path, errors='replace') as log:
        log.seek(offset)
        lines = log.read().splitlines()
    if len(lines) > 2 * LOG_LINES_SHOWN:
        first = next((n for n, line in enumerate(lines) if SANITIZER_REPORT.search(line)), 0)
        first = min(first, len(lines) - 2 * LOG_LINES_SHOWN)
        gap = f'... (all {len(lines)} lines are in {path})'
        lines = lines[first:first + LOG_LINES_SHOWN] + [gap] + lines[-LOG_LINES_SHOWN:]
    for line in lines:
        print(f'  | {line}')


# --- Catch2 -----------------------------------------------------------------------------------


class CatchReport:
    """Catch2's XML report, read while it grows, so that the case under way is known at any time."""

    def __init__(self, path):
        self.file = open(path, 'rb')
        self.parser = xml.XMLPullParser(events=('start', 'end'))
        self.current = None  # name of the case under way
        self.changed_at = time.monotonic()  # when a case last began or ended
        self.seen = set()
        self.finished = []  # elements
        self.broken = False

    def read(self):
        if self.broken:
            return
        try:
            self.parser.feed(self.file.read())
            for event, element in self.parser.read_events():
                self._take(event, element)
        except xml.ParseError:
            self.broken = True

    def close(self):
        self.read()
        self.file.close()

    def _take(self, event, element):
        if element.tag != 'TestCase':
            return
        self.changed_at = time.monotonic()
        if event == 'start':
            self.current = element.get('name', '').strip()
            self.seen.add(self.current)
        else:
            self.current = None
            self.finished.append(element)


def case_passed(case):
    result = case.find('OverallResult')
    return result is not None and result.get('success') == 'true'


def explain_case(case):
    """What Catch2's console would have said about a failed case."""
    def text(element):
        return ' '.join((element.text or '').split())

    def walk(element, sections):
        for child in element:
            where = f'{child.get("filename")}:{child.get("line")}'
            if child.tag == 'Section':
                walk(child, sections + [child.get('name', '')])
            elif child.tag == 'Expression' and child.get('success') == 'false':
                original, expanded = text(child.find('Original')), text(child.find('Expanded'))
                place = f' (in {" / ".join(sections)})' if sections else ''
                print(f'  {where}: {child.get("type")}({original}){place}')
                if expanded != original:
                    print(f'    {expanded}')
                for thrown in child.findall('Exception') + child.findall('FatalErrorCondition'):
                    print(f'    {text(thrown)}')
            elif child.tag in ('Exception', 'FatalErrorCondition'):
                print(f'  {where}: {text(child)}')
            elif child.tag in ('Failure', 'Info'):
                print(f'  {child.tag.lower()}: {text(child)}')

    walk(case, [])


def list_cases(command, env, cwd):
    # Catch2 2 exits with the number of cases here; only a signal says that it went wrong.
    listing = subprocess.run(
        command + ['--list-test-names-only'], env=env, cwd=cwd, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, text=True, timeout=120)
    if listing.returncode < 0:
        raise OSError(f'{describe_exit(listing.returncode)} while it listed its cases')
    names = [line.strip() for line in listing.stdout.splitlines() if line.strip()]
    return [name[1:-1] if name.startswith('"#') else name for name in names]


def quote_case(name):
    """A name as a line of Catch2's --input-file that matches only itself."""
    return '"' + re.sub(r'([\\",])', r'\\\1', name) + '"'


def run_catch_once(command, options, folder, log, counts):
    """One process; returns the names of the cases that it began."""
    report_path = f'{folder}/report.xml'
    Path(report_path).write_bytes(b'')
    report, late, log_start = CatchReport(report_path), False, log.tell()
    command = command + ['-r', 'xml', '-o', report_path]
    with Program(command, log, options.env, options.cwd) as program:
        while program.process.poll() is None:
            report.read()
            quiet_s = time.monotonic() - report.changed_at
            if quiet_s > options.case_timeout:  # in a case, or before the first or after the last
                late = True
                program.stop()
            else:
                time.sleep(0.02 if quiet_s < 2 else 0.2)
        code = program.process.returncode
    report.close()
    log.seek(0, os.SEEK_END)

    failed_before = counts.failed
    if late:
        print(f'stopped {options.what}: nothing ended for {options.case_timeout:g} s')
    for case in report.finished:
        if case_passed(case):
            counts.add(passed=1)
            continue
        counts.fail(case.get('name'))
        explain_case(case)
    why = f'over {options.case_timeout:g} s' if late else describe_exit(code)
    if report.current:
        counts.fail(f'{report.current} ({why} in the case)')
    if report.broken:
        counts.fail(f'{options.what}: its XML report cannot be read')
    elif code != 0 and counts.failed == failed_before:
        # A sanitizer's report does not fail the case in which it appears.
        counts.fail(f'{options.what}: {why} though no case failed')
    if counts.failed > failed_before:
        show_log(log.name, log_start)
    return report.seen


def run_catch(options, counts):
    program = Path(options.target).resolve()
    if not os.access(program, os.X_OK):
        counts.fail(f'{program} is missing: was it built?')
        return
    options.cwd, options.env, options.what = program.parent, dict(os.environ), program.name
    options.env.update(preset_environment(options.preset))
    command = fixed_addresses() if options.fixed_addresses else []
    command = command + [str(program)]
    pending = list_cases(command, options.env, options.cwd)
    if not pending:
        counts.fail(f'{program.name} has no test cases')
    with tempfile.TemporaryDirectory() as folder, open(options.log, 'a+', errors='replace') as log:
        selection = []
        while pending:
            seen = run_catch_once(command + selection, options, folder, log, counts)
            left = [name for name in pending if name not in seen]
            if len(left) == len(pending):
                for name in left:
                    counts.fail(f'{name} (did not start)')
                return
            pending = left
            names = Path(folder, 'names')
            names.write_text(''.join(quote_case(name) + '\n' for name in pending))
            selection = ['-f', str(names)]


def preset_environment(name):
    """The environment of a test preset, so that `ctest --preset` and this agree."""
    if not name:
        return {}
    presets = json.loads((ROOT / 'CMakePresets.json').read_text())['testPresets']
    return next(preset for preset in presets if preset['name'] == name).get('environment', {})


def fixed_addresses():
    """clang 14's sanitizers do not know the wide address randomisation of newer kernels."""
    command = ['setarch', os.uname().machine, '--addr-no-randomize']
    tried = subprocess.run(command + ['true'], stderr=subprocess.DEVNULL, check=False)
    return command if tried.returncode == 0 else []


# --- unittest ---------------------------------------------------------------------------------


def count_unittest(text):
    """(passed, failed, skipped) from unittest's closing lines; sums several runs in one output."""
    ran = sum(int(number) for number in re.findall(r'^Ran (\d+) tests? in ', text, re.M))
    failed = skipped = 0
    for details in re.findall(r'^(?:OK|FAILED)(?: \((.*)\))?$', text, re.M):
        numbers = dict(re.findall(r'([a-z ]+?)=(\d+)', details))
        numbers = {name.strip(): int(number) for name, number in numbers.items()}
        failed += sum(numbers.get(n, 0) for n in ('failures', 'errors', 'unexpected successes'))
        skipped += numbers.get('skipped', 0)
    return max(0, ran - failed - skipped), failed, skipped


def run_unittest(options, counts):
    name = Path(options.target).name
    with open(options.log, 'w+', errors='replace') as log:
        with Program([str(Path(options.target).resolve())], log) as program:
            code = program.wait(options.timeout)
        log.seek(0)
        text = log.read()
    passed, failed, skipped = count_unittest(text)
    ran = passed + failed + skipped
    counts.add(passed, failed, skipped)
    if code is None:
        # Stopped: unittest's summary is missing; with -v the cases that ended can be told.
        counts.add(passed=len(re.findall(r' \.\.\. ok$', text, re.M)) if not ran else 0)
        counts.fail(f'{name}: not done after {options.timeout:g} s')
    elif code != 0 and not failed:
        counts.fail(f'{name}: {describe_exit(code)} though no test failed')
    elif not ran:
        counts.fail(f'{name}: ran no test')
    elif failed:
        print(f'FAILED {name}: {failed} of {ran}', flush=True)
    if failed or code != 0 or not ran:
        show_log(options.log)


# --- ctest, and programs that count by themselves ---------------------------------------------


def count_junit(path, counts):
    for case in xml.parse(path).getroot().iter('testcase'):
        skip = case.find('skipped')
        if case.get('status') == 'run':
            counts.add(passed=1)
        elif case.get('status') == 'disabled' or (
                skip is not None and 'SKIP' in skip.get('message', '')):
            counts.add(skipped=1)
        else:
            counts.fail(f'{case.get("name")}')


def run_ctest(options, counts):
    with tempfile.TemporaryDirectory() as folder, open(options.log, 'w+') as log:
        report = f'{folder}/report.xml'
        command = ['ctest', '--test-dir', options.target, '--label-exclude', RINGS,
                   '--output-on-failure', '--timeout', str(options.case_timeout),
                   '--parallel', str(options.jobs), '--output-junit', report, '--no-tests=ignore']
        with Program(command, log) as program:
            code = program.wait(options.timeout)
        before = counts.failed
        if os.path.exists(report):
            count_junit(report, counts)
        if code is None:
            counts.fail(f'ctest: not done after {options.timeout:g} s')
        elif code != 0 and counts.failed == before:
            counts.fail(f'ctest: {describe_exit(code)}')
    if counts.failed > before:
        show_log(options.log)


def run_lines(options, counts):
    name = Path(options.target).name
    with open(options.log, 'w+', errors='replace') as log:
        with Program([options.target] + options.arguments, log) as program:
            code = program.wait(options.timeout)
        log.seek(0)
        found = re.findall(r'^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$', log.read(), re.M)
    failed = 0
    if found:
        passed, failed, skipped = (int(number or 0) for number in found[-1])
        counts.add(passed, failed, skipped)
    if code is None:
        counts.fail(f'{name}: not done after {options.timeout:g} s')
    elif code != 0 and not failed:
        counts.fail(f'{name}: {describe_exit(code)} though no case failed')
    elif not found:
        counts.fail(f'{name}: closed with no `N passed, N failed`')
    elif failed:
        print(f'FAILED {name}: {failed} cases', flush=True)
    if failed or code != 0 or not found:
        show_log(options.log)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--name', required=True, help='of the group, for the summary')
    parser.add_argument('--log', required=True, help='where the output of the tests goes')
    parser.add_argument('--counts', required=True, help='file to append "passed failed skipped" to')
    parser.add_argument('--case-timeout', type=float, default=120, help='seconds, one case')
    parser.add_argument('--timeout', type=float, default=900, help='seconds, one program')
    parser.add_argument('--preset', help='test preset whose environment the program gets')
    parser.add_argument('--fixed-addresses', action='store_true', help='no address randomisation')
    parser.add_argument('--jobs', type=int, default=1)
    parser.add_argument('kind', choices=('catch', 'unittest', 'ctest', 'lines'))
    parser.add_argument('target')
    parser.add_argument('arguments', nargs='*')
    options = parser.parse_args()
    run = {'catch': run_catch, 'unittest': run_unittest, 'ctest': run_ctest, 'lines': run_lines}
    counts, start = Counts(), time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # by way of `with`
    try:
        run[options.kind](options, counts)
    except (OSError, subprocess.SubprocessError, xml.ParseError) as error:
        counts.fail(f'{options.name}: {error}')
    with open(options.counts, 'a') as out:
        out.write(f'{counts.passed} {counts.failed} {counts.skipped}\n')
    skipped = f', {counts.skipped} skipped' if counts.skipped else ''
    print(f'{options.name}: {counts.passed} passed, {counts.failed} failed{skipped} '
          f'in {time.monotonic() - start:.1f} s', flush=True)
    sys.exit(1 if counts.failed else 0)


if __name__ == '__main__':
    main()
