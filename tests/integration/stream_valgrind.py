# SPDX-License-Identifier: Apache-2.0
"""Verifier and collector in valgrind, from start to a clean end: no invalid access, nothing lost but what libraries keep."""

import os
import shutil
import sys

os.environ["IMASTREAM_WRAP"] = ("valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite "
                                "--show-leak-kinds=definite --trace-children=no --child-silent-after-fork=yes")
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from stream import Collector, Failure, Scenarios, Verifier  # noqa: E402

NO_SANDBOX = ["--sandbox", "off"]  # valgrind needs system calls of its own


def clean(b, log):
    with open(log, encoding="utf-8", errors="replace") as f:
        for line in f:
            if line.startswith("=="):
                raise Failure(line.strip())


def clean_shutdown(b):
    v = Verifier(b, options=NO_SANDBOX)
    c = Collector(b, v.url, b.source, options=NO_SANDBOX)
    b.write(200)
    b.settled(v)
    v.stop()
    b.write(50)
    v.start()
    b.compare(v, c)
    v.stop()
    for log in (v.log, c.log):
        clean(b, log)


def reload_and_kill(b):
    """Rules read again while a session is open; the verifier ends with a request held."""
    v = Verifier(b, options=NO_SANDBOX)
    c = Collector(b, v.url, b.source, options=NO_SANDBOX)
    b.write(100)
    b.settled(v)
    v.process.p.send_signal(1)
    b.write(20)
    b.settled(v)
    v.stop()
    c.stop()
    for log in (v.log, c.log):
        clean(b, log)


if not shutil.which("valgrind"):
    print("ok 1 - valgrind # SKIP valgrind is not installed: tools/setup --need test\n1..1")
    sys.exit(0)
s = Scenarios()
s.run("valgrind: a session, a new one, a clean end", clean_shutdown)
s.run("valgrind: rules read again", reload_and_kill)
s.done()
