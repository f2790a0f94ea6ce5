# SPDX-License-Identifier: Apache-2.0
"""Everything goes wrong for a long time, and at the end nothing is lost and nothing is twice. See README.md."""

import argparse
import contextlib
import json
import os
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, HERE)
import stream  # noqa: E402
from stream import Failure, wait_for  # noqa: E402
from books import Events, Ledger, Memory, Problem, Status  # noqa: E402
from chaos import KINDS, Chaos, plan  # noqa: E402
from feed import HISTORY, Feeder  # noqa: E402
from world import World  # noqa: E402

SETTLE = 120     # seconds in which everything must be stored and proven once nothing goes wrong any more
SILENCE = 60     # seconds for which a verifier that runs may leave status without an answer
STUCK = 300      # seconds without a turn of the main loop: something waits for ever
SHORT = ("entries", "proven", "state", "reason", "findings", "measured", "in_flight", "last_quote_ms_ago", "session_since")
BITES = "nothing of it was acknowledged"


def seconds_of(text):
    m = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if not m or not float(m[1]):
        raise argparse.ArgumentTypeError("a time such as 90s, 10m, 1h")
    return float(m[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[m[2]]


def options():
    p = argparse.ArgumentParser(prog="tests/soak/run", description=__doc__)
    p.add_argument("--duration", type=seconds_of, default=600.0, help="90s, 10m, 1h (default 10m)")
    p.add_argument("--rate", type=int, default=3000, help="entries a second, all hosts together (default %(default)s)")
    p.add_argument("--hosts", type=int, default=3)
    p.add_argument("--verifiers", type=int, default=2)
    p.add_argument("--rare", type=int, default=1000, help="one entry in so many is bad (default %(default)s)")
    p.add_argument("--dir", default="build/soak", help="log, summary, and what is kept of a failure (default %(default)s)")
    p.add_argument("--only", default="", help="only disturbances with one of these words in their name, a comma list")
    p.add_argument("--without", default="", help="not those with one of these words")
    p.add_argument("--tap", action="store_true", help="one TAP line on standard output; the rest to the log")
    return p.parse_args()


class Soak:
    def __init__(self, o):
        self.o = o
        self.dir = os.path.abspath(o.dir)
        os.makedirs(self.dir, exist_ok=True)
        self.log_file = open(self.dir + "/soak.log", "w", encoding="utf-8")
        self.began = time.monotonic()
        self.turned = time.monotonic()
        self.terminal = sys.stdout.isatty() and not o.tap
        self.world = World(self.dir + "/work", stream.seed, o.hosts, o.verifiers, o.rare)
        self.feeder = Feeder(stream.seed, o.rate, HISTORY // 2)
        self.chaos = Chaos(self.world, self)
        self.events = {v: Events(v, self.world.hosts) for v in self.world.guards}
        self.status = {v: Status(v, self.world.hosts) for v in self.world.guards}
        self.answered = {v: time.monotonic() for v in self.world.guards}
        self.memories = []
        self.ledgers = {}
        self.done = {"entries": 0, "planted": 0, "boots": 0}  # of boots that are over
        self.lost_with_power = 0
        self.progress_at = self.minute_at = 0.0

    # --- what people see ---

    def log(self, text):
        line = "%8.1f  %s" % (time.monotonic() - self.began, text)
        self.log_file.write(line + "\n")
        self.log_file.flush()

    def say(self, text):
        if self.terminal:
            sys.stdout.write("\r\033[K")
        if not self.o.tap:
            print(text, flush=True)
        self.log(text)

    def written(self):
        return self.done["entries"] + sum(h.boot.count for h in self.world.hosts)

    def planted(self):
        return self.done["planted"] + sum(len(h.boot.planted) for h in self.world.hosts)

    def progress(self, now):
        if now < self.progress_at:
            return
        self.progress_at = now + (1 if self.terminal else 10)
        behind = max(h.boot.count - h.stored for h in self.world.hosts)
        text = "%6.0f s  %d entries, %d planted, %d behind, %d disturbances, %s" % (
            now - self.began, self.written(), self.planted(), behind, sum(self.chaos.counts.values()),
            ", ".join(sorted({str(e[1][0]) for e in self.chaos.ends})) or "calm")
        if self.terminal:
            sys.stdout.write("\r\033[K" + text[:150])
            sys.stdout.flush()
        elif not self.o.tap:
            print(text, flush=True)
        if now >= self.minute_at:
            self.minute_at = now + 60
            self.log(text + "; KiB: " + ", ".join("%s %d" % (m.name, m.samples[-1][1]) for m in self.memories if m.samples))

    # --- hosts ---

    def start_collector(self, h):
        if not h.off:
            h.collector.start()

    def begin(self, h):
        h.begin()
        self.ledgers[h] = Ledger(h)
        self.feeder.hold(h, False)

    def end_boot(self, h, stored):
        self.done["entries"] += h.boot.count
        self.done["planted"] += len(h.boot.planted)
        self.done["boots"] += 1
        for e in self.events.values():
            e.close(h)

    def heal(self):
        """Every verifier runs and has room. The network stays as it is."""
        for v in self.world.guards:
            self.chaos.expire(of=v, links=False)
            end = time.monotonic() + 60
            while not v.up() and not v.try_start():
                if time.monotonic() > end:
                    raise Problem("%s does not start any more: %s" % (v.name, v.process.said()[-500:]))
                time.sleep(0.3)

    def ask(self, v):
        attesters = v.attesters()
        self.answered[v] = time.monotonic()
        self.status[v].take(attesters)
        self.events[v].read()

    def power_loss(self, h, pause):
        """kill -9 of a host's TPM, and of all that runs on it. What had not arrived by then is lost with it, as with any
        host; what had arrived is what was measured."""
        h.off = True
        h.tpm.process.kill()
        time.sleep(pause)
        self.feeder.hold(h, True)
        self.chaos.expire(of=h)
        for n in h.links.values():
            self.world.links.set(n, up=False)
        h.power_off()
        self.heal()
        for v in self.world.guards:
            self.arrived(v, h)
        boot, last = h.boot, max((self.status[v].of(h) or {"entries": 0})["entries"] for v in self.world.guards)
        self.lost_with_power += boot.count - last
        self.end_boot(h, last)
        for n in h.links.values():
            self.world.links.set(n)
        h.tpm.start()
        self.begin(h)

    def arrived(self, v, h):
        """The host is dead: what this verifier has of it stays as it is, and is right."""
        def state():
            self.ask(v)
            a = self.status[v].of(h)
            return a and (a["entries"], a["proven"], a["findings"])
        end, before, same = time.monotonic() + 60, None, 0
        while same < 8:  # its last message may wait in a socket of a busy verifier
            now = state()
            same = same + 1 if now and now == before else 0
            if time.monotonic() > end:
                raise Problem("%s: %s is dead, and its status still changes: %s, %s" % (v.name, h.label, before, now))
            before = now
            time.sleep(0.5)
        a = self.status[v].of(h)
        if a["proven"] and h.boot.value_after(a["proven"]) is None:
            raise Problem("%s, %s: more than %d entries without proof" % (v.name, h.label, HISTORY))
        self.findings(v, h, a["entries"], a["proven"])

    def findings(self, v, h, stored, proven):
        """The events file says all of it, once; it may be a moment behind the status."""
        end = time.monotonic() + 15
        while True:
            self.events[v].read()
            try:
                self.events[v].check(h, stored, proven)
                break
            except Problem:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
        a = self.status[v].of(h)
        fails = h.boot.fails_until(stored)
        counted = {"fail": fails, "warning": len(h.boot.planted_until(stored)) - fails}
        if any(a["findings"][k] != n for k, n in counted.items()):
            raise Problem("%s, %s: findings counted %s, planted %s" % (v.name, h.label, a["findings"], counted))

    def settled(self, hosts):
        """All that was written is stored and proven everywhere. A busy machine may need long for it: what counts is that it goes on."""
        end, best = time.monotonic() + SETTLE, -1
        while True:
            with contextlib.suppress(Failure):
                self.settle_for(hosts, SETTLE / 10)
                return
            proven = sum((self.status[v].of(h) or {}).get("proven", 0) for v in self.world.guards for h in hosts)
            if proven > best:
                end, best = time.monotonic() + SETTLE, proven
            if time.monotonic() > end:
                self.settle_for(hosts, 1)
                return

    def settle_for(self, hosts, seconds):
        def done():
            self.turned = time.monotonic()
            for v in self.world.guards:
                try:
                    self.ask(v)
                except Failure as e:
                    self.log("status: %s" % e)
                    return False
            return all((a := self.status[v].of(h)) and a["entries"] == a["proven"] == h.boot.count and
                       a["findings"]["unproven"] == 0 for v in self.world.guards for h in hosts)

        def seen():
            return "all is stored and proven: " + "; ".join(
                "%s of %s: %d written, %s" % (v.name, h.label, h.boot.count, {k: a[k] for k in SHORT if k in a})
                for v in self.world.guards for h in hosts for a in [self.status[v].of(h) or {}]
                if a.get("proven") != h.boot.count)
        wait_for(seen, done, seconds)

    def compare(self, h):
        """The end of a boot in order: written = stored = proven, registers equal, findings once."""
        wanted_count, boot = h.boot.count, h.boot
        for v in self.world.guards:
            a, problems = self.status[v].of(h), []
            if a["pcr10"] != {"bank": "sha256", "value": boot.oracle.hex("sha256")}:
                problems.append("PCR 10 is %s, expected %s" % (a["pcr10"], boot.oracle.hex("sha256")))
            state = "untrusted" if boot.fails else "warning" if boot.planted else "trusted"
            if a["state"] != state:
                problems.append("state %s because of %s, expected %s" % (a["state"], a.get("reason"), state))
            if a["measured"] != wanted_count or a["in_flight"]:
                problems.append("%s measured, %s in flight, %d written" % (a["measured"], a["in_flight"], wanted_count))
            if problems:
                raise Problem("%s, %s: %s" % (v.name, h.label, "; ".join(problems)))
            self.findings(v, h, wanted_count, wanted_count)
        self.own_numbers(h, wanted_count)
        h.collector.stop()
        values = h.tpm.pcr10()
        for bank in h.tpm.banks:
            if values.get(bank) != boot.oracle.hex(bank):
                raise Problem("%s: the TPM's PCR 10 (%s) is %s, expected %s" % (h.label, bank, values.get(bank),
                                                                              boot.oracle.hex(bank)))

    def own_numbers(self, h, wanted):
        """The collector's; the first that come may be the answer to an earlier question."""
        ledger, end = self.ledgers[h], time.monotonic() + 20
        while True:
            ledger.ask()
            s = wait_for("the collector's own numbers", ledger.look, 20)
            numbers = {s["measured"], s["entries"]} | {x for v in s["verifiers"] for x in (v["acknowledged"], v["proven"])}
            if numbers == {wanted}:
                return
            if time.monotonic() > end:
                raise Problem("%s: %d written, the collector says %s" % (h.label, wanted, s))

    def reboot(self, h):
        self.feeder.hold(h, True)
        self.chaos.expire(everything=True)
        self.heal()
        self.settled([h])
        h.off = True
        self.compare(h)
        self.end_boot(h, h.boot.count)
        h.power_off()
        h.tpm.start()
        self.begin(h)

    # --- all the time ---

    def look(self):
        """A round of questions to everybody who can answer."""
        for v in self.world.guards:
            if v.frozen or not v.up():
                self.answered[v] = time.monotonic()
                if not v.up() and not self.chaos.busy(("down", v)):
                    raise Problem("%s ended by itself: status %s, %s" % (v.name, v.process.p.poll(), v.process.said()[-800:]))
                continue
            try:
                self.ask(v)
            except Failure as e:
                if time.monotonic() - self.answered[v] > SILENCE:
                    raise Problem("%s does not answer: %s" % (v.name, e)) from None
                self.log("%s: %s" % (v.name, e))
        for h in self.world.hosts:
            found = [self.status[v].of(h) for v in self.world.guards]
            if all(found):
                h.stored = min(a["proven"] for a in found)
            if h.off or self.chaos.busy(("down", h)):
                continue
            if not h.collector.process.alive():
                raise Problem("the collector of %s ended by itself: status %s, %s" %
                              (h.label, h.collector.process.p.poll(), h.collector.process.said()[-800:]))
            s = self.ledgers[h].look()
            if s:
                self.acknowledged(h, s)
            self.ledgers[h].ask()
        if self.feeder.failed:
            raise Problem("the feeder: %s" % self.feeder.failed)

    def acknowledged(self, h, s):
        """What a collector was told to be stored is stored: its numbers are older than the status asked for now."""
        for v, told in zip(self.world.guards, s["verifiers"]):
            a = self.status[v].of(h)
            if a and told["acknowledged"] > a["entries"] and v.up() and not v.frozen:
                self.ask(v)
                a = self.status[v].of(h)
                if told["acknowledged"] > a["entries"] or told["proven"] > a["proven"]:
                    raise Problem("%s told %s that %d are stored and %d proven, it has %d and %d" % (
                        v.name, h.label, told["acknowledged"], told["proven"], a["entries"], a["proven"]))

    def watch(self):
        while time.monotonic() - self.turned < STUCK:
            time.sleep(1)
        self.log("stuck: no turn for %d s" % STUCK)
        for thread, frame in sys._current_frames().items():
            self.log("thread %s: %s" % (thread, "".join(traceback.format_stack(frame))))
        print("FAIL: stuck", flush=True)
        stream.kill_all()
        os._exit(1)

    def turn(self, events, looks, samples):
        """One turn of the loop; when the next is due."""
        now = self.turned = time.monotonic()
        self.chaos.expire()
        if events and events[0][0] <= now:
            _, kind, seed = events.pop(0)
            self.chaos.start(kind, seed)
        if looks[0] <= now:
            self.look()
            looks[0] = time.monotonic() + 1.5
        if samples[0] <= now:
            for m in self.memories:
                m.sample(now - self.began)
            samples[0] = now + 3
        self.progress(now)
        return min(self.chaos.next_end(), events[0][0] if events else float("inf"), looks[0], now + 1)

    def run(self):
        threading.Thread(target=self.watch, daemon=True).start()
        only, without = ([w for w in x.split(",") if w] for x in (self.o.only, self.o.without))
        self.kinds = [k for k in KINDS if (not only or any(w in k for w in only)) and not any(w in k for w in without)]
        for h in self.world.hosts:
            self.begin(h)
            self.feeder.add(h)
            self.memories.append(Memory("collector of %s" % h.label, lambda h=h: h.collector.process, h.steady))
            self.memories.append(Memory("swtpm of %s" % h.label, lambda h=h: h.tpm.process, h.steady))
        for v in self.world.guards:
            self.memories.append(Memory(v.name, lambda v=v: v.process, v.steady))
        begin = time.monotonic()
        events = [(begin + t, kind, s) for t, kind, s in plan(stream.seed, self.o.duration)
                  if kind in self.kinds]
        self.feeder.start()
        looks, samples = [begin + 1], [begin + min(20, self.o.duration / 10)]
        while time.monotonic() < begin + self.o.duration:
            due = self.turn(events, looks, samples)
            time.sleep(max(0.0, min(due - time.monotonic(), begin + self.o.duration - time.monotonic())))
        self.seconds = time.monotonic() - begin
        self.finish()

    def finish(self):
        self.feeder.stop = True
        self.feeder.join()
        self.say("feeding ends after %.0f s: %d entries; everything is to be stored and proven now" % (self.seconds, self.written()))
        self.chaos.expire(everything=True)
        self.heal()
        self.settled(self.world.hosts)
        for h in self.world.hosts:
            h.off = True
            self.compare(h)
            self.end_boot(h, h.boot.count)
        for v in self.world.guards:
            v.stop()
            self.events[v].read()
            for h in self.world.hosts:
                if self.events[v].rebooted[h.label] != h.boot.number - 1:
                    raise Problem("%s: %s rebooted %d times, %d were told" % (v.name, h.label, h.boot.number - 1,
                                                                           self.events[v].rebooted[h.label]))
            with sqlite3.connect("file:%s?mode=ro" % v.store, uri=True) as db:
                said = db.execute("pragma integrity_check").fetchone()[0]
            if said != "ok":
                raise Problem("%s: its store is damaged: %s" % (v.name, said))
        missing = [k for k in self.kinds if not self.chaos.counts[k]]
        if missing:
            raise Problem("these never happened: " + ", ".join(missing))
        grown = [r for r in self.memory() if r["flat"] is False]
        if grown:
            raise Problem("memory grows: %s" % grown)

    def memory(self):
        return [m.verdict() for m in self.memories]

    def bites(self):
        n = 0
        for v in self.world.guards:
            with open(v.kept_log, encoding="utf-8", errors="replace") as f:
                n += sum(1 for line in f if BITES in line)
        return n

    def summary(self, failure):
        entries, links = self.done["entries"], self.world.links.counts()
        return {
            "pass": failure is None, "failure": failure, "seed": stream.seed, "seconds": round(getattr(self, "seconds", 0)),
            "entries": entries, "entries_per_s": round(entries / max(getattr(self, "seconds", 0), 1)),
            "boots": self.done["boots"], "planted": self.done["planted"], "lost_with_power": self.lost_with_power,
            "disturbances": dict(self.chaos.counts), "not_possible_then": dict(self.chaos.skipped),
            "backlog_full": self.feeder.full, "disk_full_refusals": self.bites(), "packets": links,
            "verifier_starts": {v.name: v.starts for v in self.world.guards},
            "failed_starts": {v.name: v.failed_starts for v in self.world.guards},
            "registers_checked": sum(s.checked for s in self.status.values()),
            "ledgers_checked": sum(x.checked for x in self.ledgers.values()),
            "events": {v.name: dict(self.events[v].counts, torn=self.events[v].torn) for v in self.world.guards},
            "memory": self.memory(), "own_peak_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        }

    def show(self, s):
        self.say("\nseed %d: %d entries in %d s (%d/s), %d boots, %d planted findings, %d entries lost with a host's power" % (
            s["seed"], s["entries"], s["seconds"], s["entries_per_s"], s["boots"], s["planted"], s["lost_with_power"]))
        self.say("disturbances: " + ", ".join("%s %d" % x for x in s["disturbances"].items()))
        self.say("packets: " + ", ".join("%s %d" % (k, n) for k, n in s["packets"].items()) +
                 "; commits refused by a full disk: %d" % s["disk_full_refusals"])
        for v, counts in s["events"].items():
            self.say("events of %s: %s" % (v, ", ".join("%s %d" % x for x in sorted(counts.items()) if x[1])))
        for m in s["memory"]:
            if m["flat"] is None:
                self.say("memory of %s: peak %d KiB, too few samples" % (m["name"], m["peak_kib"]))
            else:
                self.say("memory of %-21s mean %6d KiB, highest %6d, level %6d then %6d, line of the second half %+.1f KiB/min%s%s" % (
                    m["name"] + ":", m["mean_kib"], m["highest_kib"], *m["level_kib"], m["kib_per_minute"],
                    ", never killed" if m["steady"] else "", "" if m["flat"] else "  GROWS"))
        self.say("checked on the way: %d PCR 10 values, %d ledgers; memory of the soak itself: %d KiB" %
                 (s["registers_checked"], s["ledgers_checked"], s["own_peak_kib"]))

    def network(self):
        """For a failure: links, routes and connections, on both sides."""
        self.log("links: %s" % json.dumps([self.world.links.order({"ask": i}) for i in range(len(self.world.links.pairs))]))
        for inside in [[]] + [["nsenter", "--net=" + v.ns] for v in self.world.guards]:
            for what in (["ip", "-s", "link"], ["ip", "route"], ["ss", "-tanoi"]):
                r = subprocess.run(inside + what, capture_output=True, text=True, check=False)
                self.log(" ".join(inside + what) + "\n" + r.stdout + r.stderr)

    def end(self, failure):
        """Nothing is left running; of a failure the folder stays, with what was on the verifiers' disks."""
        if failure:
            self.network()
        stream.kill_all()
        if failure:
            for v in self.world.guards:
                shutil.copytree(v.disk, v.disk + "-kept", dirs_exist_ok=True, ignore=shutil.ignore_patterns("control", "events"))
        self.world.close()
        if failure:
            self.say("kept: %s" % self.world.dir)
            for v in self.world.guards:
                self.say("--- %s\n%s" % (v.name, tail(v.kept_log)))
            for h in self.world.hosts:
                self.say("--- %s\n%s" % (h.label, tail(h.collector.log)))
        else:
            shutil.rmtree(self.world.dir, ignore_errors=True)


def tail(path):
    with open(path, "rb") as f:
        f.seek(max(0, os.path.getsize(path) - 3000))
        return "\n".join(f.read().decode(errors="replace").splitlines()[-12:])


def main():
    o = options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    soak = Soak(o)
    soak.say("# IMASTREAM_SEED=%d IMASTREAM_BIN=%s; %d hosts, %d verifiers, %d entries/s for %d s" %
             (stream.seed, stream.BIN, o.hosts, o.verifiers, o.rate, o.duration))
    failure = None
    try:
        soak.run()
    except (Problem, Failure) as e:
        failure = str(e)
        soak.log(traceback.format_exc())
    except BaseException:  # also when it is told to end: what was seen so far is shown
        failure = traceback.format_exc()
    soak.feeder.stop = True
    s = soak.summary(failure)
    with open(soak.dir + "/summary.json", "w", encoding="utf-8") as f:
        json.dump(s, f, indent=1)
        f.write("\n")
    soak.show(s)
    soak.end(failure)
    if o.tap:
        print("%sok 1 - soak of %d s: %d entries, %d disturbances, seed %d" % (
            "not " if failure else "", s["seconds"], s["entries"], sum(s["disturbances"].values()), s["seed"]))
        for line in (failure or "").splitlines():
            print("#   " + line)
        print("1..1", flush=True)
    else:
        soak.say("FAIL: " + failure if failure else "PASS")
    sys.exit(1 if failure else 0)


if __name__ == "__main__":
    main()
