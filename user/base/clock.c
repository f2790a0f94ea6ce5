// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

static uint64_t now_us(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts); /* cannot fail for these clocks */
	return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

uint64_t clock_mono_us(void)
{
	return now_us(CLOCK_MONOTONIC);
}

uint64_t clock_boot_us(void)
{
	return now_us(CLOCK_BOOTTIME);
}

uint64_t clock_real_us(void)
{
	return now_us(CLOCK_REALTIME);
}

uint64_t clock_cpu_us(void)
{
	return now_us(CLOCK_PROCESS_CPUTIME_ID);
}

const char *clock_format_hms(uint64_t real_us, char *buf, size_t n)
{
	time_t s = (time_t)(real_us / 1000000u);
	struct tm tm;

	localtime_r(&s, &tm);
	snprintf(buf, n, "%02d:%02d:%02d.%03u", tm.tm_hour, tm.tm_min, tm.tm_sec,
		 (unsigned int)(real_us / 1000u % 1000u));
	return buf;
}

const char *clock_format_rfc3339(uint64_t real_us, char *buf, size_t n)
{
	time_t s = (time_t)(real_us / 1000000u);
	struct tm tm;

	gmtime_r(&s, &tm);
	snprintf(buf, n, "%04d-%02d-%02dT%02d:%02d:%02d.%06uZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
		 tm.tm_hour, tm.tm_min, tm.tm_sec, (unsigned int)(real_us % 1000000u));
	return buf;
}
