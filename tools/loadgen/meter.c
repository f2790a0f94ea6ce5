// SPDX-License-Identifier: Apache-2.0
#include "meter.h"

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

/* Times of one thread; it may have ended. */
static void add_thread(const char *folder, const char *name, struct cost *out)
{
	unsigned long long ran = 0;
	unsigned long n = 0;
	char path[384], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s/schedstat", folder, name);
	f = fopen(path, "re");
	if (f && fscanf(f, "%llu", &ran) == 1)
		out->cpu_ns += ran;
	if (f)
		fclose(f);
	snprintf(path, sizeof(path), "%s/%s/status", folder, name);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "voluntary_ctxt_switches: %lu", &n) == 1 ||
		    sscanf(line, "nonvoluntary_ctxt_switches: %lu", &n) == 1)
			out->switches += n;
	if (f)
		fclose(f);
}

static int add_threads(uint64_t pid, struct cost *out)
{
	char folder[64];
	struct dirent *e;
	DIR *d;

	snprintf(folder, sizeof(folder), "/proc/%llu/task", (unsigned long long)pid);
	d = opendir(folder);
	if (!d)
		return -errno;
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			add_thread(folder, e->d_name, out);
	closedir(d);
	return 0;
}

static int add_ticks(uint64_t pid, struct cost *out)
{
	uint64_t tick_us = 1000000u / (uint64_t)sysconf(_SC_CLK_TCK);
	unsigned long user, sys;
	char path[64];
	int n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%llu/stat", (unsigned long long)pid);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	n = fscanf(f, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys);
	fclose(f);
	if (n != 2)
		return -EBADMSG;
	out->user_us = user * tick_us;
	out->system_us = sys * tick_us;
	return 0;
}

static int add_memory(uint64_t pid, struct cost *out)
{
	unsigned long kib;
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%llu/status", (unsigned long long)pid);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "RssAnon: %lu", &kib) == 1)
			out->rss_kib = kib;
	fclose(f);
	return 0;
}

int cost_of(uint64_t pid, struct cost *out)
{
	struct cost c = { 0 };
	int r = 0;

	if (pid) {
		r = add_threads(pid, &c);
		if (r == 0)
			r = add_ticks(pid, &c);
		if (r == 0)
			r = add_memory(pid, &c);
	}
	if (r == 0)
		*out = c;
	return r;
}
