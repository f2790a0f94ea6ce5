# SPDX-License-Identifier: Apache-2.0
"""A collector, a verifier and a software TPM for integration tests: start, kill, ask, compare. Standard library only.

Settings: IMASTREAM_BIN names the folder of the programs, IMASTREAM_SEED repeats a run, VARIANT scales it.
"""

import atexit
import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from stream_list import Workload, write_policy  # noqa: E402
from stream_proxy import Proxy  # noqa: E402

__all__ = ["BIN", "SLOW", "Bench", "Collector", "Failure", "Feeder", "Proxy", "Scenarios", "Tpm", "Verifier",
           "Workload", "scaled", "seed", "wait_for"]

VARIANT = os.environ.get("VARIANT", "default")
SLOW = {"asan": 3, "tsan": 5, "coverage": 2}.get(VARIANT, 1)
BIN = os.environ.get("IMASTREAM_BIN") or os.path.join(os.path.dirname(__file__), "..", "..", "build", "bin")
if os.geteuid() == 0:  # folders of tests are for root alone
    os.environ.setdefault("IMASTREAM_USER", "root")
os.environ.setdefault("IMASTREAM_CACHE_DIR", "none")  # reference sets stay in memory, unless a test names a folder
WRAP = os.environ.get("IMASTREAM_WRAP", "").split()  # what the programs under test run in, such as valgrind
BANKS = ("sha1", "sha256", "sha384")
if VARIANT == "tsan":
    os.environ.setdefault("TSAN_OPTIONS", "suppressions=%s/tsan.supp" % os.path.dirname(os.path.abspath(__file__)))
seed = int(os.environ.get("IMASTREAM_SEED") or random.SystemRandom().randrange(1 << 32))


def scaled(n):
    """A count, less under a sanitizer."""
    return max(1, n // SLOW)


class Failure(Exception):
    pass


def wait_for(what, test, seconds=30):
    """test() until it is true; what: text, or a function that tells how far it came."""
    end = time.monotonic() + seconds * SLOW
    pause = 0.01
    while True:
        r = test()
        if r:
            return r
        if time.monotonic() > end:
            raise Failure("not within %d s: %s" % (seconds * SLOW, what() if callable(what) else what))
        time.sleep(pause)
        pause = min(pause * 1.3, 0.1)


def takes_signals(pid):
    """A SIGUSR1 or SIGTERM would be caught, or wait; it would not end the process, as in its first moments."""
    try:
        with open("/proc/%d/status" % pid, encoding="ascii") as f:
            masks = re.findall(r"Sig(?:Blk|Cgt):\s+([0-9a-f]+)", f.read())
    except OSError:
        return False
    return any(int(m, 16) >> (signal.SIGUSR1 - 1) & 1 for m in masks)


class Process:
    """A program under test. It dies with us."""

    def __init__(self, argv, log, fds=()):
        # Python ignores SIGXFSZ, and so may the program: a file that is too large is then an error of write(2)
        with open(log, "ab") as f:
            self.p = subprocess.Popen(["setpriv", "--pdeathsig", "KILL"] + argv, stdin=subprocess.DEVNULL, stdout=f,
                                      stderr=f, pass_fds=fds, start_new_session=True, restore_signals=False)
        self.log = log
        running.append(self)

    def alive(self):
        return self.p.poll() is None

    def kill(self):
        """SIGKILL: nothing is tidied up."""
        with contextlib.suppress(ProcessLookupError):
            self.p.kill()
        self.p.wait()
        if self in running:
            running.remove(self)

    def stop(self, seconds=20):
        """SIGTERM; the exit status."""
        with contextlib.suppress(ProcessLookupError):
            self.p.terminate()
        try:
            status = self.p.wait(seconds * SLOW)
        except subprocess.TimeoutExpired:
            self.kill()
            what = "%s did not end within %d s of SIGTERM" % (os.path.basename(self.log), seconds * SLOW)
            raise Failure(what) from None
        if self in running:
            running.remove(self)
        return status

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()


running = []


def kill_all():
    for p in list(running):
        p.kill()


atexit.register(kill_all)


def free_pair():
    """Two neighbouring free ports below those that the kernel gives to outgoing connections."""
    for _ in range(200):
        port = random.SystemRandom().randrange(20000, 32000)
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for p in (port, port + 1):
                s = stack.enter_context(socket.socket())
                s.bind(("127.0.0.1", p))
            return port
    raise Failure("no two free ports")


class Tpm:
    """swtpm with several banks. Its state survives a reset, as a real one's does."""

    def __init__(self, work, banks=BANKS, maker=None, copy=None):
        """maker: a folder for a CA that certifies its endorsement keys, made when it is not there; copy: the folder of
        another one that does not run."""
        self.dir = tempfile.mkdtemp(prefix="tpm-", dir=work)
        self.banks = banks
        options = ["--create-ek-cert", "--config", self.factory(maker)] if maker else []
        self.ca = [maker + "/issuercert.pem", maker + "/swtpm-localca-rootca-cert.pem"] if maker else []
        if copy:
            shutil.copy(copy + "/tpm2-00.permall", self.dir)
        else:
            r = subprocess.run(["swtpm_setup", "--tpm2", "--tpmstate", self.dir, "--pcr-banks", ",".join(banks)] + options,
                               capture_output=True, text=True, check=False)
            if r.returncode:
                raise Failure("swtpm_setup: " + r.stdout + r.stderr)
        self.process = None
        self.port = None
        self.start()

    @staticmethod
    def factory(folder):
        """swtpm_setup's configuration for a CA of its own."""
        setup = folder + "/setup.conf"
        if not os.path.exists(setup):
            os.makedirs(folder, exist_ok=True)
            files = {
                "localca.conf": "statedir = {0}\nsigningkey = {0}/signkey.pem\nissuercert = {0}/issuercert.pem\n"
                                "certserial = {0}/certserial\n",
                "options": "--platform-manufacturer imastream\n--platform-version 1\n--platform-model test\n",
                "setup.conf": "create_certs_tool = {1}\ncreate_certs_tool_config = {0}/localca.conf\n"
                              "create_certs_tool_options = {0}/options\n"}
            for name, text in files.items():
                with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
                    f.write(text.format(folder, shutil.which("swtpm_localca") or "/usr/bin/swtpm_localca"))
        return setup

    @property
    def tcti(self):
        return "swtpm:port=%d" % self.port

    def start(self, startup="startup-clear"):
        for _ in range(20):
            port = self.port or free_pair()
            p = Process(["swtpm", "socket", "--tpm2", "--tpmstate", "dir=" + self.dir, "--server",
                         "type=tcp,port=%d" % port, "--ctrl", "type=tcp,port=%d" % (port + 1), "--flags",
                         "not-need-init," + startup], self.dir + "/swtpm.log")
            with contextlib.suppress(Failure):
                wait_for("", lambda p=p, port=port: not p.alive() or self.answers(port), 10)
            if p.alive():
                self.process, self.port = p, port
                return
            p.kill()
            time.sleep(0.1)
        raise Failure("swtpm does not start: " + p.said())

    @staticmethod
    def answers(port):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        return False

    def reset(self):
        """Power lost and back: PCRs are zero again, the reset counter goes up, the clock is not safe."""
        self.process.kill()
        self.start()

    def shutdown(self, state):
        """TPM2_Shutdown; nobody else may be connected."""
        self.command(0x145, struct.pack(">H", 1 if state else 0))

    def orderly_reset(self):
        """As a clean reboot: TPM2_Shutdown(CLEAR), then TPM2_Startup(CLEAR)."""
        self.shutdown(state=False)
        self.process.kill()
        self.start()

    def suspend(self):
        """Suspend to memory and back: TPM2_Shutdown(STATE), TPM2_Startup(STATE). PCRs stay, the restart counter goes up."""
        self.shutdown(state=True)
        self.process.kill()
        self.start("startup-state")

    def restart(self):
        """TPM2_Shutdown(STATE), then TPM2_Startup(CLEAR): PCRs are zero, the reset counter stays."""
        self.shutdown(state=True)
        self.process.kill()
        self.start()

    def command(self, code, body, tag=0x8001):
        """One raw command (TPM 2.0 Library part 3); what follows the response header."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as s:
            s.sendall(struct.pack(">HII", tag, 10 + len(body), code) + body)
            r = b""
            while len(r) < 10 or len(r) < struct.unpack(">I", r[2:6])[0]:
                more = s.recv(4096)
                if not more:
                    raise Failure("swtpm closed the connection")
                r += more
        status = struct.unpack(">I", r[6:10])[0]
        if status:
            raise Failure("TPM command %#x: response %#x" % (code, status))
        return r[10:]

    def ak_public(self):
        """TPMT_PUBLIC of the ECC attestation key, made here from its template (user/tpm/identity.c, ak_template())."""
        unique = hashlib.sha256(b"imastream attestation key 1").digest()
        attributes = 1 << 1 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 10 | 1 << 16 | 1 << 18
        public = struct.pack(">HHIHHHHHH", 0x23, 0x0B, attributes, 0, 0x10, 0x18, 0x0B, 0x03, 0x10)
        public += struct.pack(">H", 32) + unique + struct.pack(">H", 32) + b"\0" * 32
        body = struct.pack(">IIIHBH", 0x4000000B, 9, 0x40000009, 0, 0, 0)  # endorsement hierarchy, empty password
        body += struct.pack(">HHH", 4, 0, 0) + struct.pack(">H", len(public)) + public + struct.pack(">HI", 0, 0)
        r = self.command(0x131, body, tag=0x8002)  # TPM2_CreatePrimary
        size = struct.unpack(">H", r[8:10])[0]
        self.command(0x165, r[:4])  # TPM2_FlushContext
        return r[10:10 + size]

    def ak_name(self):
        return "000b" + hashlib.sha256(self.ak_public()).hexdigest()

    def ak_point(self):
        """Its x and y."""
        public = self.ak_public()
        return public[-66:-34], public[-32:]

    def pcr10(self):
        """What the TPM says, read by tpm2-tools; nobody else may be connected."""
        r = subprocess.run(["tpm2_pcrread", "-T", self.tcti, "+".join(b + ":10" for b in self.banks)],
                           capture_output=True, text=True, timeout=30 * SLOW, check=False)
        if r.returncode:
            raise Failure("tpm2_pcrread: " + r.stderr)
        bank, values = None, {}
        for line in r.stdout.splitlines():
            key, _, value = (x.strip() for x in line.partition(":"))
            if value:
                values[bank] = value[2:].lower()
            else:
                bank = key
        return values


class Verifier:
    """A verifier and what it leaves behind; survives being killed, at the same address and with the same store."""

    def __init__(self, bench, name="verifier", options=(), policy=True, trust=True, listen="tcp://127.0.0.1:0",
                 store=None, control=None, inside=()):
        """inside: a command that runs the program in its arguments, in this process (nsenter, env)."""
        self.bench = bench
        self.inside = list(inside)
        self.dir = os.path.join(bench.dir, name)
        os.mkdir(self.dir)
        self.url = listen
        self.control = control or "ipc://%s/control" % self.dir
        self.publish = "ipc://%s/events" % self.dir
        self.store = store or self.dir + "/verifier.db"
        self.log = self.dir + "/verifier.log"
        self.options = list(options)
        if policy:
            self.options += ["--policy", bench.policy]
        if trust:
            self.options += ["--trust-on-first-use", "--allow-test-sources"]
        self.event_file = self.dir + "/events.ndjson"
        self.starts = 0
        self.process = None
        self.start()

    def start(self):
        r, w = os.pipe()
        self.starts += 1
        argv = self.inside + WRAP + [BIN + "/imastream-verifier", "--listen", self.url, "--store", self.store, "--control", self.control,
                "--publish", self.publish, "--events", self.event_file, "--ready-fd", str(w)]
        try:
            self.process = Process(argv + self.options, self.log, fds=(w,))
        finally:
            os.close(w)
        with os.fdopen(r, encoding="utf-8") as f:
            line = f.readline()
        if not line:
            self.process.kill()
            raise Failure("the verifier did not start: " + self.process.said()[-2000:])
        ready = json.loads(line)
        self.url, self.control = ready["listen"][0], ready["control"]

    def kill(self):
        self.process.kill()

    def stop(self):
        status = self.process.stop()
        if status:
            raise Failure("the verifier ended with status %d" % status)

    def attesters(self):
        argv = [BIN + "/imastream", "status", "--control", self.control, "--json", "--timeout", "%ds" % (10 * SLOW)]
        r = subprocess.run(argv, capture_output=True, text=True, check=False)
        if r.returncode not in (0, 3, 4):
            raise Failure("status: exit code %d: %s" % (r.returncode, r.stderr.strip()))
        return json.loads(r.stdout)["attesters"]

    def attester(self, label=None):
        """The only one (with that label), or {} when none came yet."""
        found = [a for a in self.attesters() if label in (None, a["label"])]
        if len(found) > 1:
            raise Failure("%d attesters, expected one" % len(found))
        return found[0] if found else {}

    def events(self):
        """Every event once, over all lives of this verifier: one may be written twice, never two of one number."""
        by_seq, torn = {}, 0
        with open(self.event_file, encoding="utf-8") as f:
            lines = f.read().split("\n")
        for line in lines[:-1]:
            try:
                e = json.loads(line)
            except ValueError:  # the last line of a life that a kill ended
                torn += 1
                if torn > self.starts:
                    raise Failure("more than one event line of a life is no JSON: " + line) from None
                continue
            old = by_seq.setdefault(e["seq"], e)
            for key in ("event", "attester", "entry", "reason", "path"):
                if old.get(key) != e.get(key):
                    raise Failure("two events with number %d: %s and %s" % (e["seq"], old, e))
        return [by_seq[s] for s in sorted(by_seq)]

    def findings(self, kind="finding", since=0, label=None):
        return [e for e in self.events() if e["event"] == kind and e["seq"] > since and label in (None, e["label"])]


class Collector:
    def __init__(self, bench, verifiers, source, name="collector", options=(), fds=(), tpm=None, inside=()):
        self.log = "%s/%s.log" % (bench.dir, name)
        self.stats_file = "%s/%s.stats" % (bench.dir, name)
        self.argv = list(inside) + WRAP + [BIN + "/imastream-collector", "--tcti", (tpm or bench.tpm).tcti, "--source", "pipe:" + str(source),
                     "--test-source", "--label", name, "--stats-file", self.stats_file]
        for v in [verifiers] if isinstance(verifiers, str) else verifiers:
            self.argv += ["--verifier", v]
        self.argv += list(options)
        self.fds = fds
        self.process = None
        self.start()

    def start(self):
        self.process = Process(self.argv, self.log, fds=self.fds)

    def kill(self):
        self.process.kill()

    def stop(self):
        wait_for("the collector is up", lambda: takes_signals(self.process.p.pid) or not self.process.alive())
        status = self.process.stop()
        if status:
            raise Failure("the collector ended with status %d" % status)

    def ends(self, seconds=20):
        """Waits for it to give up by itself; the exit status."""
        wait_for("the collector ends by itself", lambda: not self.process.alive(), seconds)
        return self.process.stop()

    def stats(self):
        """Fresh numbers: it writes them on SIGUSR1."""
        def key():
            with contextlib.suppress(OSError):
                s = os.stat(self.stats_file)
                return s.st_ino, s.st_mtime_ns
            return None
        before = key()
        self.process.p.send_signal(signal.SIGUSR1)
        wait_for("statistics", lambda: key() not in (None, before), 10)
        with open(self.stats_file, encoding="utf-8") as f:
            return json.load(f)


class Feeder(threading.Thread):
    """Writes a workload's entries while other things happen, in pieces that cut entries anywhere."""

    def __init__(self, out, workload, n, seconds, plant=None):
        super().__init__(daemon=True)
        self.out, self.workload, self.n, self.seconds, self.plant = out, workload, n, seconds, plant
        self.random = random.Random(workload.random.random())
        self.start()

    def run(self):
        began, sent = time.monotonic(), 0
        while sent < self.n:
            due = min(self.n, 1 + int(self.n * (time.monotonic() - began) / self.seconds))
            if due > sent:
                data = self.workload.take(due - sent, self.plant)
                sent = due
                cut = self.random.randrange(len(data) + 1)
                for part in (data[:cut], data[cut:]):
                    self.out.write(part)
                    self.out.flush()
            time.sleep(self.random.uniform(0, 0.01))


class Bench:
    """What one scenario needs: a folder, a TPM, a policy, a workload and its file."""

    def __init__(self, name, rare=150):
        self.dir = tempfile.mkdtemp(prefix="imastream-", dir=os.environ.get("TMPDIR"))
        if not os.environ.get("IMASTREAM_KEEP"):
            atexit.register(shutil.rmtree, self.dir, True)
        self.random = random.Random("%s %s bench" % (seed, name))
        self.workload = Workload(seed, name, rare)
        self.policy = self.dir + "/policy.json"
        write_policy(self.policy, Workload.KNOWN)
        self.tpm = Tpm(self.dir)
        self.source = self.dir + "/list.bin"
        self.out = open(self.source, "ab")
        self.proxies = []
        self.label = None  # of the attester, when there are several

    def proxy(self, verifier):
        p = Proxy(seed)
        p.to(verifier.url)
        self.proxies.append(p)
        return p

    def write(self, n, plant=None):
        self.out.write(self.workload.take(n, plant))
        self.out.flush()

    def new_list(self, name):
        """As after a reboot: another list, from its first entry."""
        self.out.close()
        self.workload = Workload(seed, name, self.workload.rare)
        self.source = "%s/%s.bin" % (self.dir, name)
        self.out = open(self.source, "ab")

    def feed(self, n, seconds):
        return Feeder(self.out, self.workload, n, seconds)

    def settled(self, verifier, seconds=60):
        """Waits until all that was written is stored and proven."""
        n, last = self.workload.count, {}

        def done():
            last.clear()
            last.update(verifier.attester(self.label))
            return last.get("entries") == n and last.get("proven") == n
        wait_for(lambda: "%d entries stored and proven, seen %s" % (n, json.dumps(last)), done, seconds)
        return last

    def compare(self, verifier, collector=None, bank="sha256", extra=(), since=0):
        """Everything is there once, and nothing else. extra: reasons that may occur beside the planted ones; since:
        only events behind this number count."""
        w = self.workload
        a = self.settled(verifier)
        problems = []
        if a["pcr10"] != {"bank": bank, "value": w.oracle.hex(bank)}:
            problems.append("replayed PCR 10 is %s, expected %s" % (a["pcr10"], w.oracle.hex(bank)))
        wanted = "untrusted" if w.fails else "warning" if w.planted else "trusted"
        if a["state"] != wanted:
            problems.append("state %s because of %s, expected %s" % (a["state"], a.get("reason"), wanted))
        counts = {"fail": w.fails, "warning": len(w.planted) - w.fails, "unproven": 0}
        if a["findings"] != counts:
            problems.append("findings counted %s, planted %s" % (a["findings"], counts))
        wait_for("events of all proven findings",
                 lambda: len(verifier.findings("finding-proven", since, self.label)) >= len(w.planted), 10)
        for kind in ("finding", "finding-proven"):
            seen = [(e.get("entry"), e.get("path"), e["reason"]) for e in verifier.findings(kind, since, self.label)
                    if e["reason"] not in extra]
            wanted = {(n, p, r) for n, (p, r) in w.planted.items()}
            if len(seen) != len(set(seen)):
                problems.append("%s reported twice: %s" % (kind, sorted({s for s in seen if seen.count(s) > 1})[:5]))
            if set(seen) != wanted:
                problems.append("%s: missing %s, not planted %s" %
                                (kind, sorted(wanted - set(seen))[:5], sorted(set(seen) - wanted, key=str)[:5]))
        if collector:
            collector.stop()
            values = self.tpm.pcr10()
            for b in self.tpm.banks:
                if values.get(b) != w.oracle.hex(b):
                    problems.append("the TPM's PCR 10 (%s) is %s, expected %s" % (b, values.get(b), w.oracle.hex(b)))
        if problems:
            raise Failure("\n".join(problems))
        return a

    def end(self):
        """What still runs must end in order; a sanitizer must have had nothing to say."""
        for p in [p for p in running if p.alive() and "swtpm" not in p.log]:
            status = p.stop()
            if status:
                raise Failure("%s: ended with status %d" % (os.path.basename(p.log), status))
        for line in self.logs(100000):
            if "Sanitizer" in line or "runtime error" in line:
                raise Failure(line)

    def close(self):
        for p in self.proxies:
            p.close()
        kill_all()
        self.out.close()

    def logs(self, n=15):
        for root, _, files in os.walk(self.dir):
            for name in sorted(files):
                if name.endswith(".log") and name != "swtpm.log":
                    with open(os.path.join(root, name), encoding="utf-8", errors="replace") as f:
                        tail = f.read().splitlines()[-n:]
                    yield from ["--- " + name] + tail


class Scenarios:
    """TAP. Each scenario is one line; a failure shows what it waited for and what the programs logged."""

    def __init__(self):
        self.n = self.bad = 0
        self.only = sys.argv[1:]
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        print("# IMASTREAM_SEED=%d IMASTREAM_BIN=%s" % (seed, BIN), flush=True)
        missing = [x for x in ("swtpm", "swtpm_setup", "tpm2_pcrread", "setpriv") if not shutil.which(x)]
        if missing:
            print("ok 1 - the stream # SKIP not installed: %s (tools/setup --need test)\n1..1" % ", ".join(missing))
            sys.exit(0)

    def run(self, name, scenario, **bench):
        if self.only and not any(o in name for o in self.only):
            return
        self.n += 1
        began = time.monotonic()
        b = None
        try:
            b = Bench(name, **bench)
            note = scenario(b)
            b.end()
            print("ok %d - %s" % (self.n, name))
            print("# %.1f s%s" % (time.monotonic() - began, ", " + note if note else ""), flush=True)
        except Exception as e:  # a test must not end the others
            self.bad += 1
            print("not ok %d - %s" % (self.n, name))
            lines = str(e).splitlines() if isinstance(e, Failure) else traceback.format_exc().splitlines()
            where = traceback.extract_tb(e.__traceback__)
            lines += ["at " + " < ".join("%s:%d" % (f.name, f.lineno) for f in reversed(where))]
            for line in lines + (list(b.logs()) if b else []):
                print("#   " + line)
            sys.stdout.flush()
        finally:
            if b:
                b.close()
                if not os.environ.get("IMASTREAM_KEEP"):
                    shutil.rmtree(b.dir, True)

    def done(self):
        print("1..%d" % self.n)
        sys.exit(1 if self.bad else 0)
