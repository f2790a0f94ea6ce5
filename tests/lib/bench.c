// SPDX-License-Identifier: Apache-2.0
#include "lib/bench.h"

#include <malloc.h>
#include <stdio.h>
#include <time.h>


static bool missed;
static uint64_t best_cpu;

void bench_need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "bench: %s failed: %s\n", what, strerror(errno));
	exit(2);
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t bench_now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

double bench_best_cpu_ms(void)
{
	return (double)best_cpu / 1e6;
}

double bench_best_ms(unsigned int rounds, void (*run)(void *user), void *user)
{
	uint64_t best = UINT64_MAX;

	best_cpu = UINT64_MAX;
	for (unsigned int i = 0; i < rounds; i++) {
		uint64_t cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID), start = bench_now_ns(), took;

		run(user);
		took = bench_now_ns() - start;
		best = MIN(best, took);
		took = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
		best_cpu = MIN(best_cpu, took);
	}
	return (double)best / 1e6;
}

/* A line of /proc/self/status, kB to MiB. */
static double status_mib(const char *key)
{
	FILE *f = fopen("/proc/self/status", "re");
	unsigned long kib = 0;
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, key, strlen(key)) == 0)
			kib = strtoul(line + strlen(key), NULL, 10);
	if (f)
		fclose(f);
	return (double)kib / 1024;
}

double bench_own_mib(void)
{
	(void)malloc_trim(0);
	return status_mib("RssAnon:");
}

double bench_mapped_mib(void)
{
	return status_mib("RssFile:");
}

static void append(const struct bench_result *r, bool pass)
{
	const char *path = getenv("IMASTREAM_BENCH_RESULTS");
	FILE *f = path ? fopen(path, "ae") : NULL;

	if (!path)
		return;
	bench_need(f != NULL, path);
	fprintf(f, "{\"bench\":\"%s\",\"value\":%.3f,\"unit\":\"%s\",", r->name, r->value, r->unit);
	if (r->gate > 0)
		fprintf(f, "\"gate\":%.3f,", r->gate);
	else
		fprintf(f, "\"gate\":null,");
	fprintf(f, "\"pass\":%s,", pass ? "true" : "false");
	if (r->baseline)
		fprintf(f, "\"baseline\":\"%s\",\"ratio\":%.4f}\n", r->baseline, r->ratio);
	else
		fprintf(f, "\"baseline\":null,\"ratio\":null}\n");
	bench_need(fclose(f) == 0, path);
}

void bench_result_print(const struct bench_result *r)
{
	bool pass = !(r->gate > 0) || r->value <= r->gate;
	char gate[32] = "-", ratio[64] = "";

	missed |= !pass;
	if (r->gate > 0)
		(void)snprintf(gate, sizeof(gate), "%.0f", r->gate);
	if (r->baseline)
		(void)snprintf(ratio, sizeof(ratio), "%.2f x %s", r->ratio, r->baseline);
	printf("  %-30s %12.2f %-4s %8s  %-6s %s\n", r->name, r->value, r->unit, gate, r->gate > 0 ? pass ? "pass" : "MISSED" : "", ratio);
	fflush(stdout);
	append(r, pass);
}

int bench_status(void)
{
	return missed;
}
