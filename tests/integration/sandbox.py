# SPDX-License-Identifier: Apache-2.0
"""The running daemons are confined, and their private keys are in another process."""

import atexit
import contextlib
import ctypes
import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from stream import BIN, SLOW, VARIANT, Collector, Failure, Scenarios, Verifier, wait_for  # noqa: E402

ROOT = os.geteuid() == 0


def expect(what, seen, wanted):
    if seen != wanted:
        raise Failure("%s: seen %s, expected %s" % (what, seen, wanted))


def children(pid):
    """Of a process that was started with setpriv: that one is the program itself."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open("/proc/%s/stat" % name, encoding="utf-8") as f:
                if int(f.read().rsplit(")", 1)[1].split()[1]) == pid:
                    found.append(int(name))
    return found


def status(pid):
    with open("/proc/%d/status" % pid, encoding="utf-8") as f:
        return {k: v.strip() for k, _, v in (line.partition(":") for line in f)}


def confined(pid, threads=None):
    """Every thread of it: the sandbox must have been there before the first one."""
    tasks = os.listdir("/proc/%d/task" % pid)
    if VARIANT == "tsan":  # has a thread of its own, which may be older
        tasks, threads = [str(pid)], None
    if threads and len(tasks) < threads:
        raise Failure("%d threads, expected more: %d" % (len(tasks), threads))
    for task in tasks:
        s = status(int(task))
        for key, wanted in (("NoNewPrivs", "1"), ("Seccomp", "2"), ("CapEff", "0" * 16), ("CapPrm", "0" * 16)):
            expect("%s of thread %s of %d" % (key, task, pid), s[key], wanted)
        if ROOT:
            expect("CapBnd", s["CapBnd"], "0" * 16)


def landlock():
    """Its ABI here; 0: none."""
    abi = ctypes.CDLL(None, use_errno=True).syscall(444, None, 0, 1)
    return max(abi, 0)


def running(b):
    v = Verifier(b)
    c = Collector(b, v.url, b.source)
    b.write(200)
    b.settled(v)
    confined(v.process.p.pid, 3)
    confined(c.process.p.pid, 2)
    for said in (v.process.said(), c.process.said()):
        line = [x for x in said.splitlines() if " sandbox: user " in x]
        expect("lines about the sandbox", len(line), 1)
        if "seccomp (" not in line[0] or ("Landlock ABI" in line[0]) != (landlock() > 0):
            raise Failure(line[0])
    if "seccomp" not in c.stats()["sandbox"]:
        raise Failure("the statistics say nothing about the sandbox")
    r = subprocess.run([BIN + "/imastream", "status", "--control", v.control, "--json"], capture_output=True, text=True,
                       check=False)
    if "seccomp" not in json.loads(r.stdout)["sandbox"]:
        raise Failure(r.stdout)
    b.compare(v, c)


def link_outside(b):
    """A policy that is replaced by a file of its folder is read; a link to another folder is not followed."""
    if not landlock():
        return "no Landlock here"
    folder, outside = b.dir + "/rules", b.dir + "/outside"
    os.mkdir(folder)
    os.mkdir(outside)
    with open(b.policy, encoding="utf-8") as f:
        text = f.read()
    for path in (folder + "/policy.json", folder + "/next.json", outside + "/policy.json"):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    v = Verifier(b, policy=False, options=["--policy", folder + "/policy.json"])

    def reloads():
        return sum(e["event"] == "reloaded" for e in v.events())
    os.rename(folder + "/next.json", folder + "/policy.json")
    v.process.p.send_signal(1)
    wait_for("a reload", lambda: reloads() == 1)
    os.unlink(folder + "/policy.json")
    os.symlink(outside + "/policy.json", folder + "/policy.json")
    v.process.p.send_signal(1)
    wait_for("a refusal", lambda: "Permission denied" in v.process.said())
    expect("reloads", reloads(), 1)
    v.stop()
    return None


def old_kernel():
    """In the child, before it runs the verifier: Landlock's first system call is not there (libseccomp)."""
    lib = ctypes.CDLL("libseccomp.so.2")
    lib.seccomp_init.restype = ctypes.c_void_p
    ctx = ctypes.c_void_p(lib.seccomp_init(ctypes.c_uint32(0x7FFF0000)))
    number = lib.seccomp_syscall_resolve_name(b"landlock_create_ruleset")
    if lib.seccomp_rule_add_array(ctx, ctypes.c_uint32(0x00050000 | 38), number, 0, None) or lib.seccomp_load(ctx):
        os._exit(99)


def start_on_old_kernel(b, mode):
    """Exit status and words of a verifier that starts on a kernel without Landlock, and is ended when it runs."""
    argv = [BIN + "/imastream-verifier", "--listen", "ipc://%s/l" % b.dir, "--store", ":memory:", "--control", "none",
            "--publish", "none", "--events", "none", "--sandbox", mode]
    p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                         preexec_fn=old_kernel)
    lines = []
    for line in p.stdout:
        lines.append(line)
        if "listening on" in line:
            p.terminate()
    return p.wait(20 * SLOW), "".join(lines)


def strict(b):
    if not ROOT:
        return "needs root"
    code, said = start_on_old_kernel(b, "strict")
    if code != 1 or "--sandbox=strict" not in said or "listening" in said:
        raise Failure("strict: status %d: %s" % (code, said))
    code, said = start_on_old_kernel(b, "on")
    if code != 0 or "no Landlock" not in said or "warning: sandbox: this kernel confines no files" not in said:
        raise Failure("on: status %d: %s" % (code, said))
    code, said = start_on_old_kernel(b, "off")
    if code != 0 or "--sandbox=off" not in said or "seccomp" in said:
        raise Failure("off: status %d: %s" % (code, said))
    return None


def another_user(b):
    """Both become a user who owns the store and nothing else; the key is root's alone."""
    if not ROOT:
        return "needs root"
    nobody = pwd.getpwnam("nobody")
    d = make_keys(b, "ec")
    os.chmod(d, 0o755)
    os.chmod(b.dir, 0o755)
    os.mkdir(b.dir + "/store")
    os.chown(b.dir + "/store", nobody.pw_uid, nobody.pw_gid)
    if subprocess.run(["setpriv", "--reuid", "nobody", "--clear-groups", "cat", b.policy], capture_output=True,
                      check=False).returncode:
        return "the folder of tests is closed to others"
    v = Verifier(b, listen="tls+tcp://127.0.0.1:0", store=b.dir + "/store/v.db",
                 options=["--user", "nobody", "--publish", "none", "--tls-cert", b.dir + "/server.pem", "--tls-key",
                          d + "/server.key"])
    c = Collector(b, v.url, b.source, options=["--user", "nobody", "--tls-ca", b.dir + "/ca.pem"])
    b.write(200)
    b.settled(v)
    for pid in [v.process.p.pid, c.process.p.pid] + children(v.process.p.pid):
        confined(pid)
        expect("users of %d" % pid, set(status(pid)["Uid"].split()), {str(nobody.pw_uid)})
        expect("groups of %d" % pid, set(status(pid)["Gid"].split()), {str(nobody.pw_gid)})
    expect("owner of the store", os.stat(v.store).st_uid, nobody.pw_uid)
    expect("mode of the key", os.stat(d + "/server.key").st_mode & 0o777, 0o600)
    b.write(100)
    b.compare(v, c)
    return None


def openssl(*argv):
    r = subprocess.run(("openssl",) + argv, capture_output=True, check=False)
    if r.returncode:
        raise Failure(r.stderr.decode())
    return r.stdout


def secrets(key):
    """The private numbers of a key, as they are in its DER form and as words in memory."""
    text = openssl("pkey", "-in", key, "-noout", "-text").decode()
    numbers, name = {}, None
    for line in text.splitlines():
        if line.startswith("    ") and name:
            numbers[name] += line.strip().replace(":", "")
        else:
            name = line.partition(":")[0]
            numbers[name] = ""
    wanted = [numbers[n] for n in ("priv", "privateExponent", "prime1", "prime2") if n in numbers]
    big = [bytes.fromhex(w if len(w) % 2 == 0 else "0" + w).lstrip(b"\0") for w in wanted]
    return [x for w in big for x in (w, w[::-1])]


def memory(pid):
    with open("/proc/%d/maps" % pid, encoding="utf-8") as maps, open("/proc/%d/mem" % pid, "rb", 0) as mem:
        for line in maps:
            span, rights = line.split()[:2]
            start, end = (int(x, 16) for x in span.split("-"))
            if "w" not in rights or "[v" in line or end - start > 1 << 28:
                continue
            with contextlib.suppress(OSError, ValueError):
                mem.seek(start)
                yield mem.read(end - start)


def holds(pid, needles):
    return any(n in part for part in memory(pid) for n in needles)


def make_keys(b, kind):
    """Authority, server and client; keys in a folder of their own."""
    d = tempfile.mkdtemp(prefix="imastream-keys-", dir=os.environ.get("TMPDIR"))
    atexit.register(shutil.rmtree, d, True)
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=ca", "-days", "2", "-keyout", d + "/ca.key",
            "-out", b.dir + "/ca.pem")
    for name, extension in (("server", "subjectAltName=DNS:localhost,IP:127.0.0.1"), ("client", "extendedKeyUsage=clientAuth")):
        key = ["-newkey", "rsa:2048"] if kind == "rsa" else ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        openssl("req", *key, "-nodes", "-subj", "/CN=" + name, "-keyout", "%s/%s.key" % (d, name), "-out", d + "/x.csr")
        with open(d + "/x.ext", "w", encoding="utf-8") as f:
            f.write(extension + "\n")
        openssl("x509", "-req", "-in", d + "/x.csr", "-CA", b.dir + "/ca.pem", "-CAkey", d + "/ca.key", "-CAcreateserial",
                "-days", "2", "-extfile", d + "/x.ext", "-out", "%s/%s.pem" % (b.dir, name))
    return d


def keys(b, kind):
    if not ROOT or VARIANT == "tsan":
        return "needs root, and memory that can be searched"
    d = make_keys(b, kind)
    v = Verifier(b, listen="tls+tcp://127.0.0.1:0",
                 options=["--tls-cert", b.dir + "/server.pem", "--tls-key", d + "/server.key", "--tls-ca", b.dir + "/ca.pem",
                          "--tls-require-client-cert"])
    c = Collector(b, v.url, b.source, options=["--tls-ca", b.dir + "/ca.pem", "--tls-cert", b.dir + "/client.pem",
                                               "--tls-key", d + "/client.key"])
    b.write(200)
    b.settled(v)
    for who, process, key in (("verifier", v.process, d + "/server.key"), ("collector", c.process, d + "/client.key")):
        if "can still be read" in process.said():
            raise Failure("the %s reaches its key" % who)
        keepers = children(process.p.pid)
        expect("processes of the " + who, len(keepers), 1)
        needles = secrets(key)
        if not holds(keepers[0], needles):
            raise Failure("the search does not find the key of the %s in its keeper" % who)
        if holds(process.p.pid, needles):
            raise Failure("the %s has its private key in memory" % who)
        s = status(keepers[0])
        expect("keeper's sandbox", (s["NoNewPrivs"], s["Seccomp"], s["CapEff"], s["Threads"], s["Name"]),
               ("1", "2", "0" * 16, "1", "imastream-keepe"))
    keeper = children(v.process.p.pid)[0]
    b.write(100)
    b.compare(v, c)
    v.kill()
    wait_for("the keeper ends with its daemon", lambda: not os.path.exists("/proc/%d" % keeper), 5)
    return None


def keeper_gone(b):
    """A daemon that can no longer prove who it is ends."""
    d = make_keys(b, "ec")
    v = Verifier(b, listen="tls+tcp://127.0.0.1:0", options=["--tls-cert", b.dir + "/server.pem", "--tls-key", d + "/server.key"])
    os.kill(children(v.process.p.pid)[0], 9)
    wait_for("the verifier ends", lambda: not v.process.alive(), 5)
    expect("exit status", v.process.stop(), 1)
    if "keeper of the TLS key" not in v.process.said():
        raise Failure("it does not say why")


def doctor(b):
    """Says what this host has, and what is in force in what runs."""
    v = Verifier(b)
    r = subprocess.run([BIN + "/imastream", "doctor", "--json", "--tcti", b.tpm.tcti], capture_output=True, text=True, check=False)
    checks = json.loads(r.stdout)["checks"]
    by_name = {c["name"]: c for c in checks}
    if ("ABI" in by_name["Landlock"]["found"]) != (landlock() > 0) or by_name["seccomp"]["result"] != "ok":
        raise Failure(r.stdout)
    mine = [c["found"] for c in checks if c["found"].startswith("process %d," % v.process.p.pid)]
    if len(mine) != 1 or ", no_new_privs, seccomp, capabilities 0" not in mine[0]:
        raise Failure(r.stdout)
    v.stop()


s = Scenarios()
s.run("both daemons are confined, every thread", running)
s.run("a reload follows no link to another folder", link_outside)
s.run("strict refuses a kernel without Landlock; on and off say so", strict)
s.run("both as another user", another_user)
s.run("private keys are in the keepers only: RSA", lambda b: keys(b, "rsa"))
s.run("private keys are in the keepers only: ECDSA", lambda b: keys(b, "ec"))
s.run("without its keeper the verifier ends", keeper_gone)
s.run("doctor tells", doctor)
s.done()
