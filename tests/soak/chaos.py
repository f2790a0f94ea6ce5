# SPDX-License-Identifier: Apache-2.0
"""What goes wrong, and when: a plan from a seed. Each disturbance starts something, and may say when it is to end."""

import collections
import random
import time

# name: mean pause between two of them, seconds
KINDS = {
    "collector killed": 18,
    "verifier killed": 30,
    "both killed": 75,
    "swtpm killed": 60,        # a host loses power: another boot
    "reboot in order": 90,     # a boot's end, with all books closed
    "bad network": 8,
    "partition": 20,
    "link down": 30,
    "verifier frozen": 30,
    "collector frozen": 40,
    "verifier slow": 45,
    "disk full": 35,
    "clock step": 12,
}


def plan(seed, seconds):
    """[(second, kind, seed of its details)] in order; each kind at least once."""
    r = random.Random("%s plan" % seed)
    events = []
    for kind, pause in KINDS.items():
        t = r.uniform(0.03, min(0.5, 1.5 * pause / seconds + 0.05)) * seconds
        while t < seconds * 0.97:
            events.append((t, kind, r.randrange(1 << 30)))
            t += max(2.0, r.expovariate(1.0 / pause))
    return sorted(events)


class Chaos:
    def __init__(self, world, soak):
        self.world, self.soak = world, soak
        self.ends = []  # [when, key, function]: what goes on until then
        self.counts = collections.Counter()
        self.skipped = collections.Counter()

    # --- things that end by themselves ---

    def until(self, seconds, key, function):
        self.ends.append([time.monotonic() + seconds, key, function])

    def busy(self, key):
        return any(e[1] == key for e in self.ends)

    def expire(self, everything=False, of=None, links=True):
        """Ends what is due; everything: all; of: all with this in its key, its links too or not."""
        now = time.monotonic()
        for e in list(self.ends):
            if everything or e[0] <= now or (of is not None and of in e[1] and (links or e[1][0] != "link")):
                self.ends.remove(e)
                e[2]()

    def next_end(self):
        return min((e[0] for e in self.ends), default=float("inf"))

    # --- the disturbances ---

    def start(self, kind, seed):
        r = random.Random(seed)
        done = getattr(self, kind.replace(" ", "_"))(r)
        if done is False:
            self.skipped[kind] += 1
        else:
            self.counts[kind] += 1
            self.soak.log("%s: %s" % (kind, done))

    def unsteady(self, r, things):
        some = [t for t in things if not t.steady]
        return r.choice(some or things)

    def collector_killed(self, r):
        h = self.unsteady(r, self.world.hosts)
        if h.off or self.busy(("down", h)):
            return False
        self.expire(of=h)
        h.kill_collector()
        pause = r.choice((0, 0, r.uniform(0, 3)))
        self.until(pause, ("down", h), lambda: self.soak.start_collector(h))
        return "%s, for %.1f s" % (h.label, pause)

    def verifier_killed(self, r):
        v = self.unsteady(r, self.world.guards)
        if not v.up():
            return False
        v.freeze(False)
        v.kill()
        pause = r.choice((0, 0, r.uniform(0, 6)))
        self.until(pause, ("down", v), lambda: self.start_verifier(v))
        return "%s, for %.1f s" % (v.name, pause)

    def start_verifier(self, v):
        if not v.up() and not v.try_start():
            self.until(0.5, ("down", v), lambda: self.start_verifier(v))

    def both_killed(self, r):
        return [self.verifier_killed(r), self.collector_killed(r)]

    def swtpm_killed(self, r):
        h = self.unsteady(r, self.world.hosts)
        if h.off or len(h.met) < len(self.world.guards) or self.busy(("down", h)):
            return False
        self.soak.power_loss(h, r.choice((0, r.uniform(0, 1))))
        return "%s, boot %d begins" % (h.label, h.boot.number)

    def reboot_in_order(self, r):
        h = self.unsteady(r, self.world.hosts)
        if h.off or len(h.met) < len(self.world.guards):
            return False
        self.soak.reboot(h)
        return "%s, boot %d begins" % (h.label, h.boot.number)

    def links(self, r, chance):
        """Some links; at least one."""
        all_ = [(h, v) for h in self.world.hosts for v in self.world.guards]
        some = [x for x in all_ if r.random() < chance and not self.busy(("link",) + x)]
        return some or [x for x in [r.choice(all_)] if not self.busy(("link",) + x)]

    def set_links(self, r, some, seconds, **how):
        for h, v in some:
            n = h.links[v.number]
            self.world.links.set(n, **how)
            self.until(seconds, ("link", h, v), lambda n=n: self.world.links.set(n))
        return "%s, %.1f s" % (" ".join("%s-%s" % (h.number, v.number) for h, v in some), seconds)

    def bad_network(self, r):
        some = self.links(r, 0.4)
        if not some:
            return False
        how = {"loss": r.choice((0, 0.01, 0.05, 0.2)), "delay": r.choice((0, 0.005, 0.05, 0.2)),
               "repeat": r.choice((0, 0.01, 0.1))}
        how["jitter"] = how["delay"] * r.choice((0, 0.3, 1))
        if not any(how.values()):
            how["loss"] = 0.1
        text = ", ".join("%s %.3g" % x for x in how.items() if x[1])
        return "%s: %s" % (self.set_links(r, some, r.uniform(3, 20), **how), text)

    def partition(self, r):
        """Packets vanish; neither side is told."""
        some = self.links(r, 0.5)
        return self.set_links(r, some, r.choice((r.uniform(0.2, 3), r.uniform(3, 20))), up=False) if some else False

    def link_down(self, r):
        """The host has no device to send through."""
        some = self.links(r, 0.2)
        if not some:
            return False
        seconds = r.uniform(0.5, 8)
        for h, v in some:
            self.world.device_up(h, v, False)
            self.until(seconds, ("link", h, v), lambda h=h, v=v: self.world.device_up(h, v, True))
        return "%s, %.1f s" % (" ".join("%s-%s" % (h.number, v.number) for h, v in some), seconds)

    def verifier_frozen(self, r):
        v = r.choice(self.world.guards)
        if not v.up() or v.frozen:
            return False
        seconds = r.choice((r.uniform(0.1, 1), r.uniform(1, 12)))
        v.freeze(True)
        self.until(seconds, ("frozen", v), lambda: v.freeze(False))
        return "%s, %.1f s" % (v.name, seconds)

    def collector_frozen(self, r):
        h = r.choice(self.world.hosts)
        if h.off or h.frozen or self.busy(("down", h)):
            return False
        seconds = r.choice((r.uniform(0.1, 1), r.uniform(1, 12)))
        h.freeze(True)
        self.until(seconds, ("frozen", h), lambda: h.freeze(False))
        return "%s, %.1f s" % (h.label, seconds)

    def verifier_slow(self, r):
        v = r.choice(self.world.guards)
        if not v.up():
            return False
        seconds = r.uniform(3, 20)
        v.nice(19)
        self.until(seconds, ("slow", v), lambda: v.nice(0))
        return "%s, %.1f s" % (v.name, seconds)

    def disk_full(self, r):
        v = r.choice(self.world.guards)
        if v.full:
            return False
        v.fill_disk(True)
        seconds = r.uniform(1, 12)
        self.until(seconds, ("disk", v), lambda: v.fill_disk(False))
        return "%s, %.1f s" % (v.name, seconds)

    def clock_step(self, r):
        who = r.choice(self.world.guards + self.world.hosts)
        seconds = r.choice((0, 1, -1)) * r.choice((r.uniform(0.5, 5), r.uniform(60, 7200), r.uniform(1e5, 3e7)))
        who.clock.step(seconds)
        return "%s, off by %.1f s" % (getattr(who, "label", None) or who.name, seconds)
