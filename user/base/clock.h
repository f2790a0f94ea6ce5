/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/common.h"

/* CLOCK_MONOTONIC in microseconds: the same clock as bpf_ktime_get_ns(). */
uint64_t clock_mono_us(void);
/* CLOCK_BOOTTIME in microseconds: the same, and it goes on while the machine is suspended. */
uint64_t clock_boot_us(void);
/* CLOCK_REALTIME in microseconds since 1970. */
uint64_t clock_real_us(void);
/* CPU time of this process in microseconds. */
uint64_t clock_cpu_us(void);
/* "12:04:07.123" local time. buf has at least 16 bytes. */
const char *clock_format_hms(uint64_t real_us, char *buf, size_t n);
/* RFC 3339 UTC with microseconds. buf has at least 32 bytes. */
const char *clock_format_rfc3339(uint64_t real_us, char *buf, size_t n);
