/* SPDX-License-Identifier: Apache-2.0 */
/* What every benchmark program shares: time, memory, and one line for each result. */
#pragma once

#include "base/common.h"

struct bench_result {
	const char *name;     /* "policy-load-json-1m" */
	double value;
	const char *unit;     /* "ms", "ns", "MiB" */
	double gate;	      /* the value must not be above it; 0: no gate */
	const char *baseline; /* what it is compared with, NULL: nothing */
	double ratio;	      /* value / the baseline's */
};

/* Prints a row of the table, and appends a JSON line to the file that IMASTREAM_BENCH_RESULTS names, if any. */
void bench_result_print(const struct bench_result *r);
/* 1 when a gate was missed so far, else 0: for main(). */
int bench_status(void);
/* Ends the program when ok is false. */
void bench_need(bool ok, const char *what);

uint64_t bench_now_ns(void);
/* Smallest of `rounds` runs, milliseconds by the clock on the wall. */
double bench_best_ms(unsigned int rounds, void (*run)(void *user), void *user);
/* Of those of the newest bench_best_ms(): smallest processor time of all threads, milliseconds. */
double bench_best_cpu_ms(void);
/* MiB that this process holds in memory of its own and mapped from files. Freed memory is given back first. */
double bench_own_mib(void);
double bench_mapped_mib(void);
