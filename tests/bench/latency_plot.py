# SPDX-License-Identifier: Apache-2.0
"""Plots of the latency benchmark, drawn by gnuplot as SVG and PNG. Colours: Okabe and Ito, told apart by colour-blind people;
lines differ in dashes too."""

import os
import shutil
import subprocess
import tempfile

BLUE, ORANGE, GREEN, RED, PURPLE, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#888888"

STYLE = """
set border 3 lc rgb "#444444"
set tics nomirror out scale 0.6
set grid lc rgb "#dddddd" lt 1 lw 0.8
set key opaque noautotitle
"""


def steps(values, most=120):
    """Points of a cumulative distribution, thinned so that the file stays small: (value, share)."""
    v = sorted(values)
    n = len(v)
    keep = sorted({round(i * (n - 1) / (most - 1)) for i in range(most)}) if n > most else range(n)
    return [(v[i], 100 * (i + 1) / n) for i in keep]


def block(name, rows):
    return "$%s << EOD\n%s\nEOD\n" % (name, "\n".join(" ".join("%.6g" % x for x in row) for row in rows) or "NaN NaN")


def gnuplot(script, out, name, width, height, png_scale=1.5):
    """The same script as SVG and as PNG."""
    if not shutil.which("gnuplot"):
        print("no plots: gnuplot is not installed (tools/setup --need test)")
        return
    for kind in ("svg", "png"):
        path = "%s/%s.%s" % (out, name, kind)
        if kind == "svg":
            terminal = 'set terminal svg size %d,%d font "DejaVu Sans,13" background "white" name "%s"' % (
                width, height, name.replace("-", "_"))
        else:
            terminal = 'set terminal pngcairo size %d,%d font "DejaVu Sans,%g" fontscale 1 linewidth %g background "white"' % (
                width * png_scale, height * png_scale, 10 * png_scale, png_scale)
        with tempfile.NamedTemporaryFile("w", suffix=".gp", delete=False) as f:
            f.write('%s\nset output "%s"\n%s%s' % (terminal, path, STYLE, script))
        r = subprocess.run(["gnuplot", f.name], capture_output=True, text=True, check=False)
        os.unlink(f.name)
        if r.returncode or "error" in r.stderr:
            raise RuntimeError("gnuplot: " + r.stderr)


def native_samples(mode, which):
    """which: 2 reported, 3 proven; milliseconds since the measurement."""
    return [1000 * (e[which] - e[1]) for e in mode["samples"]["entries"]]


def cdf(d, out):
    """The cumulative distribution, native: the picture of the README."""
    native = d["native"]
    data = block("er", steps(native_samples(native["event"], 2))) + block("ep", steps(native_samples(native["event"], 3)))
    for s in (1, 2, 10):
        data += block("p%d" % s, steps(native_samples(native["poll-%d" % s], 3)))
    script = data + """
set logscale x
set xrange [0.1:20000]
set yrange [0:100]
set format x ""
set xtics ("0.1 ms" 0.1, "1 ms" 1, "10 ms" 10, "100 ms" 100, "1 s" 1000, "10 s" 10000)
set mxtics 10
set xlabel "time since the measurement"
set ylabel "share of measurements (%%)"
set title "From measurement to verdict: event mode against polling, the same workload" font ",15"
set key noopaque below center reverse Left maxrows 2 spacing 1.3 samplen 3
plot $er using 1:2 with steps lw 3 lc rgb "%s" title "event mode: reported", \\
     $ep using 1:2 with steps lw 3 dt (8,3) lc rgb "%s" title "event mode: proven by a TPM quote", \\
     $p1 using 1:2 with steps lw 2.5 dt (2,2) lc rgb "%s" title "polling, 1 s: proven", \\
     $p2 using 1:2 with steps lw 2.5 dt (6,2,2,2) lc rgb "%s" title "polling, 2 s: proven", \\
     $p10 using 1:2 with steps lw 2.5 dt (12,3) lc rgb "%s" title "polling, 10 s: proven"
""" % (BLUE, GREEN, ORANGE, RED, PURPLE)
    gnuplot(script, out, "latency", 800, 460)


def guest_cdf(d, out):
    modes = d["guest"]["modes"]
    pick = lambda name, i: [x[i] for x in modes[name]["samples"]]  # noqa: E731
    data = block("er", steps(pick("event", 0))) + block("ep", steps(pick("event", 1)))
    for s in (1, 2, 10):
        data += block("p%d" % s, steps(pick("poll-%d" % s, 1)))
    script = data + """
set logscale x
set xrange [1:20000]
set yrange [0:100]
set xtics ("1 ms" 1, "10 ms" 10, "100 ms" 100, "1 s" 1000, "10 s" 10000)
set mxtics 10
set xlabel "time since execve was called"
set ylabel "share of executions (%%)"
set title "The same in a guest with kernel %s (emulated: everything is slower)" font ",15"
set key at graph 0.02, graph 0.98 left top reverse Left spacing 1.3 samplen 3 width -2
plot $er using 1:2 with steps lw 3 lc rgb "%s" title "event mode: reported", \\
     $ep using 1:2 with steps lw 3 dt (8,3) lc rgb "%s" title "event mode: proven", \\
     $p1 using 1:2 with steps lw 2.5 dt (2,2) lc rgb "%s" title "polling, 1 s: proven", \\
     $p2 using 1:2 with steps lw 2.5 dt (6,2,2,2) lc rgb "%s" title "polling, 2 s: proven", \\
     $p10 using 1:2 with steps lw 2.5 dt (12,3) lc rgb "%s" title "polling, 10 s: proven"
""" % (d["guest"]["kernel"].split("-")[0], BLUE, GREEN, ORANGE, RED, PURPLE)
    gnuplot(script, out, "latency-guest", 800, 420)


def panel(name, phase, upto):
    """Entries against time, measured and proven, and the quotes: data blocks and a plot command."""
    t = phase["timeline"]
    entries = [e for e in t["entries"] if e[1] <= upto]
    base = entries[0][0] - 1
    measured = [(0, 0)] + [(e[1], e[0] - base) for e in entries]
    proven = [(0, 0)] + sorted((e[3], e[0] - base) for e in entries)
    top = (entries[-1][0] - base) * 1.12
    quotes = [((a + b) / 2, top / 2, a, b, 0, top) for a, b in t["quotes"] if a <= upto * 1.1]
    thin = lambda rows: rows if len(rows) < 150 else rows[::len(rows) // 150] + [rows[-1]]  # noqa: E731
    data = block(name + "m", thin(measured)) + block(name + "p", thin(proven)) + block(name + "q", quotes)
    return data, top


def timeline(d, out):
    t = d["tpm"]["tpm70"]
    titles = (("isolated", "isolated events", 4), ("burst-1000", "a burst of 1,000", 30), ("steady", "a steady 50 a second", 4))
    data, plots = "", ""
    for i, (phase, title, upto) in enumerate(titles):
        text, top = panel("a%d" % i, t[phase], upto)
        data += text
        plots += """
set title "%s" font ",14"
set yrange [0:%g]
%s
%s
plot $a%dq using 1:2:3:4:5:6 with boxxyerror fs solid 1 noborder lc rgb "#cfe3f1" title "a quote is being taken", \\
     $a%dm using 1:2 with %s lw 2.5 lc rgb "%s" title "measured", \\
     $a%dp using 1:2 with steps lw 2.5 dt (6,2) lc rgb "%s" title "proven"
""" % (title, top, 'set ylabel "entries"' if i == 0 else "unset ylabel", "set key left top" if i == 1 else "unset key",
       i, i, "steps", RED, i, GREEN)
    script = data + """
set multiplot layout 1,3 title "Quotes follow events: a TPM that takes 70 ms for a quote, 3 ms for an extend" font ",15"
set xlabel "seconds"
set xrange [0:*]
set key reverse Left samplen 2 spacing 1.2
set lmargin 8
set rmargin 2
""" + plots + "unset multiplot\n"
    gnuplot(script, out, "latency-timeline", 1050, 360)


def draw(d, out):
    cdf(d, out)
    timeline(d, out)
    if "guest" in d:
        guest_cdf(d, out)
