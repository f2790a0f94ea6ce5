// SPDX-License-Identifier: Apache-2.0
/* Runs in the guest: opens the ring, runs unknown programs, and compares every record with the kernel's binary list.
 *
 *   ring_probe [--level L] [--ring BYTES] [--programs N] [--parallel P] [--stall MS] [--deep] [--list FILE] [--fall-back]
 *
 * --stall: the reader sleeps before each look at the ring, so that a small ring overflows. --deep: the programs lie under
 * a path of some 3,800 bytes. --fall-back: only report the level that is reached. Last line on standard output is
 * "ok ..." or "FAIL ..."; exit status 0 or 1. The list is parsed here once more, on purpose: nothing is shared with user/ima. */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "collector/ring.h"

struct item {
	uint64_t seq, position, latency_ns;
	uint32_t pcr, name_len, data_len, fields;
	bool violation, bare;
	enum event_drop drop;
	pid_t tgid;
	uint8_t *bytes; /* name, then data */
};

struct run {
	struct item *items;
	size_t count, room;
	uint64_t wakes, wake_seq, wake_extended, first_seq_gap, delivered_seq;
};

struct list_entry {
	uint32_t pcr;
	bool violation;
	struct bytes name, data; /* data in the hashed form */
};

static int failures;

static void fail(const char *what, uint64_t a, uint64_t b)
{
	if (failures++ < 20)
		printf("  wrong: %s (%llu, %llu)\n", what, (unsigned long long)a, (unsigned long long)b);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int on_record(void *user, const struct ring_record *r)
{
	struct run *run = user;
	struct item *i;

	if (r->type == EVENT_WAKE) {
		run->wakes++;
		if (r->extended_seq > r->seq || r->seq < run->wake_seq || r->extended_seq < run->wake_extended)
			fail("wake record goes back", r->seq, r->extended_seq);
		run->wake_seq = r->seq;
		run->wake_extended = r->extended_seq;
		return 0;
	}
	if (r->seq <= run->delivered_seq)
		fail("sequence goes back", r->seq, run->delivered_seq);
	run->delivered_seq = r->seq;
	if (run->count == run->room) {
		run->room = run->room ? run->room * 2 : 1024;
		run->items = realloc(run->items, run->room * sizeof(*run->items));
		if (!run->items)
			return -ENOMEM;
	}
	if (r->total && r->total != r->position)
		fail("nobody trimmed, and a position is not the number since boot", r->total, r->position);
	i = &run->items[run->count++];
	*i = (struct item){
		.seq = r->seq,
		.position = r->position,
		.latency_ns = now_ns() - r->context.ktime_ns,
		.pcr = r->entry.pcr,
		.violation = r->entry.violation,
		.bare = r->type == EVENT_BARE,
		.drop = r->drop,
		.tgid = r->context.tgid,
		.name_len = r->entry.name.n,
		.data_len = r->data_len,
		.fields = r->field_count,
		.bytes = alloc_bytes(r->entry.name.n + r->entry.data.n),
	};
	if (!i->bytes)
		return -ENOMEM;
	bytes_copy(i->bytes, r->entry.name.p, r->entry.name.n);
	bytes_copy(i->bytes + r->entry.name.n, r->entry.data.p, r->entry.data.n);
	return 0;
}

/* A program of some 140 bytes that exits with 0, and a number behind it that makes it new to the kernel. */
static void write_program(const char *path, uint64_t number)
{
	static const uint8_t elf[] = {
		0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0,	   /* e_ident */
		2, 0, 0x3e, 0, 1, 0, 0, 0, 0x78, 0, 0x40, 0, 0, 0, 0, 0,	   /* executable, x86-64, entry 0x400078 */
		0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,		   /* one program header at 64 */
		0, 0, 0, 0, 0x40, 0, 0x38, 0, 1, 0, 0, 0, 0, 0, 0, 0,
		1, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,			   /* PT_LOAD, r-x, from 0 */
		0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0,
		0x90, 0, 0, 0, 0, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 0, 0,
		0, 0x10, 0, 0, 0, 0, 0, 0,
		0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, /* exit(0) */
	};
	uint64_t tail[2] = { number, now_ns() };
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);

	if (fd < 0 || write(fd, elf, sizeof(elf)) != sizeof(elf) || write(fd, tail, sizeof(tail)) != sizeof(tail)) {
		perror(path);
		_exit(1);
	}
	close(fd);
}

/* In a child of its own: makes n programs, then runs them, at most `parallel` at a time. */
static void run_programs(unsigned n, unsigned parallel, bool deep)
{
	char name[64], level[241];
	unsigned running = 0, bad = 0;
	int status;

	snprintf(name, sizeof(name), "ring-probe-%d", getpid());
	if (chdir("/root") < 0 || mkdir(name, 0755) < 0 || chdir(name) < 0)
		_exit(1);
	memset(level, 'd', sizeof(level) - 1);
	level[sizeof(level) - 1] = '\0';
	for (int i = 0; deep && i < 16; i++)
		if (mkdir(level, 0755) < 0 || chdir(level) < 0)
			_exit(1);
	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "p%u", i);
		write_program(name, i);
	}
	/* A violation: a file that root reads while it is open for writing. */
	if (open("written", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0 || open("written", O_RDONLY | O_CLOEXEC) < 0)
		_exit(1);
	for (unsigned i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			snprintf(name, sizeof(name), "./p%u", i);
			execl(name, name, NULL);
			_exit(127);
		}
		if (pid > 0 && ++running < parallel)
			continue;
		if (wait(&status) > 0 && status != 0)
			bad++;
		running--;
	}
	while (wait(&status) > 0)
		bad += status != 0;
	_exit(bad ? 1 : 0);
}

static uint8_t *read_file(const char *path, size_t *size)
{
	size_t room = 1 << 20, n = 0;
	uint8_t *p = malloc(room);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (fd < 0 || !p) {
		perror(path);
		exit(1);
	}
	while ((got = read(fd, p + n, room - n)) > 0) {
		n += (size_t)got;
		if (n == room)
			p = realloc(p, room *= 2);
		if (!p)
			exit(1);
	}
	close(fd);
	*size = n;
	return p;
}

static bool next_list_entry(struct reader *r, struct list_entry *e, uint8_t *scratch)
{
	static const uint8_t zeros[20];
	struct bytes digest;

	e->pcr = read_u32le(r);
	digest = read_bytes(r, 20);
	e->violation = digest.p && bytes_equal(digest.p, zeros, 20);
	e->name = read_bytes(r, read_u32le(r));
	if (e->name.n == 3 && bytes_equal(e->name.p, "ima", 3)) {
		/* 20 bytes, then u32 strlen + name; the fields are 20 bytes and the name with its NUL */
		struct bytes d = read_bytes(r, 20), name = read_bytes(r, read_u32le(r));
		uint32_t len = 20, name_len = name.n + 1;

		if (!reader_ok(r) || name.n > 300)
			return false;
		memcpy(scratch, &len, 4);
		memcpy(scratch + 4, d.p, 20);
		memcpy(scratch + 24, &name_len, 4);
		memcpy(scratch + 28, name.p, name.n);
		scratch[28 + name.n] = '\0';
		e->data = (struct bytes){ scratch, 29 + name.n };
		return true;
	}
	e->data = read_bytes(r, read_u32le(r));
	return reader_ok(r);
}

static uint64_t compare(const struct run *run, const char *path, uint64_t *list_entries)
{
	size_t size, next = 0;
	uint8_t *p = read_file(path, &size), scratch[512];
	struct reader r = reader_over(p, size);
	uint64_t position = 0, equal = 0;

	while (reader_left(&r)) {
		const struct item *i = next < run->count ? &run->items[next] : NULL;
		struct list_entry e;

		if (!next_list_entry(&r, &e, scratch)) {
			fail("list does not parse at entry", position + 1, size);
			break;
		}
		position++;
		if (!i || i->position != position) {
			if (i && i->position < position)
				fail("record's position goes back", i->position, position);
			continue;
		}
		next++;
		if (i->pcr != e.pcr)
			fail("pcr differs at", position, i->pcr);
		else if (i->violation != e.violation)
			fail("violation differs at", position, i->violation);
		else if (i->name_len != e.name.n || !bytes_equal(i->bytes, e.name.p, e.name.n))
			fail("template name differs at", position, i->name_len);
		else if (i->data_len != e.data.n)
			fail("length differs at", position, i->data_len);
		else if (!i->bare && !bytes_equal(i->bytes + i->name_len, e.data.p, e.data.n))
			fail("data differs at", position, i->data_len);
		else
			equal++;
	}
	if (next != run->count)
		fail("records behind the end of the list", run->count - next, position);
	*list_entries = position;
	free(p);
	return equal;
}

static int by_latency(const void *a, const void *b)
{
	uint64_t x = ((const struct item *)a)->latency_ns, y = ((const struct item *)b)->latency_ns;

	return (x > y) - (x < y);
}

static void print_probe(const struct ring_probe *p)
{
	printf("  level %s: btf %d, ima_add_digest_entry %d, tpm_pcr_extend %d, ima_add_template_entry %d, position %d, errno %d\n",
	       ring_support_name(p->support), p->btf, p->hook_digest_entry, p->hook_pcr_extend, p->hook_template_entry,
	       p->position_symbol, p->load_errno);
	if (p->detail[0])
		printf("  detail: %s\n", p->detail);
}

int main(int argc, char **argv)
{
	enum { LEVEL = 1, RING, PROGRAMS, PARALLEL, STALL, DEEP, LIST, FALL_BACK };
	static const struct option flags[] = {
		{ "level", 1, NULL, LEVEL },	   { "ring", 1, NULL, RING },
		{ "programs", 1, NULL, PROGRAMS }, { "parallel", 1, NULL, PARALLEL },
		{ "stall", 1, NULL, STALL },	   { "deep", 0, NULL, DEEP },
		{ "list", 1, NULL, LIST },	   { "fall-back", 0, NULL, FALL_BACK },
		{ 0 },
	};
	const char *list = "/sys/kernel/security/ima/binary_runtime_measurements";
	struct ring_options options = { 0 };
	unsigned programs = 150, parallel = 150, stall = 0;
	struct ring *ring = NULL;
	struct ring_probe probe;
	struct ring_counters c = { 0 }, end;
	struct run run = { 0 };
	bool deep = false, fall_back = false, done = false, silent = false, no_tpm;
	struct ring_counts counts = { 0 };
	uint64_t before = 0, entries = 0, equal, bare = 0, violations = 0, wakeups = 0, lost_wakes = 0;
	struct epoll_event event = { .events = EPOLLIN };
	pid_t child;
	int ep, r, status = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((r = getopt_long(argc, argv, "", flags, NULL)) != -1) {
		switch (r) {
		case LEVEL:
			for (int i = EVENT_SUPPORT_POLL; i <= EVENT_SUPPORT_ORDERED; i++)
				if (strcmp(optarg, ring_support_name(i)) == 0)
					options.want = i;
			break;
		case RING: options.ring_bytes = strtoul(optarg, NULL, 0); break;
		case PROGRAMS: programs = strtoul(optarg, NULL, 0); break;
		case PARALLEL: parallel = strtoul(optarg, NULL, 0); break;
		case STALL: stall = strtoul(optarg, NULL, 0); break;
		case DEEP: deep = true; break;
		case LIST: list = optarg; break;
		case FALL_BACK: fall_back = true; break;
		default: return 2;
		}
	}
	r = ring_open(&ring, &options, &probe);
	print_probe(&probe);
	if (r < 0) {
		printf("FAIL ring_open: %s\n", strerror(-r));
		return 1;
	}
	if (fall_back) {
		printf("ok level %s, fd %d\n", ring_support_name(ring_support(ring)), ring_fd(ring));
		ring_close(&ring);
		return 0;
	}
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (ring_fd(ring) < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, ring_fd(ring), &event) < 0) {
		printf("FAIL no descriptor\n");
		return 1;
	}
	if (ring_counts(ring, &counts) < 0)
		fail("ring_counts", 0, 0);
	before = counts.live;
	if (counts.total && (counts.total != counts.live || counts.staged))
		fail("nobody trimmed, and the list is not all", counts.total, counts.live);
	child = fork();
	if (child == 0)
		run_programs(programs, parallel, deep);
	/* Until the child is gone and nothing has come for a second. A change of the counters without a wake-up is a lost
	 * wake-up: what on_return promises. */
	while (!done || !silent) {
		int n;

		if (!done && waitpid(child, &status, WNOHANG) == child)
			done = true;
		n = epoll_wait(ep, &event, 1, done ? 1000 : 200);
		if (n == 0) {
			ring_snapshot(ring, &end);
			silent = end.signals == c.signals;
			if (!silent && epoll_wait(ep, &event, 1, 500) == 0) {
				lost_wakes++;
				c = end;
			}
			continue;
		}
		silent = false;
		wakeups++;
		if (stall)
			usleep(stall * 1000);
		r = ring_consume(ring, on_record, &run);
		if (r < 0)
			fail("ring_consume", (uint64_t)-r, 0);
		ring_snapshot(ring, &c);
	}
	ring_check_missed(ring);
	ring_snapshot(ring, &end);
	no_tpm = access("/dev/tpm0", F_OK) != 0;
	for (size_t i = 0; i < run.count; i++)
		bare += run.items[i].bare, violations += run.items[i].violation;

	equal = compare(&run, list, &entries);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail("programs did not all run", (uint64_t)status, 0);
	if (lost_wakes)
		fail("counters moved without a wake-up", lost_wakes, wakeups);
	if (end.signals + end.drops[EVENT_DROP_MISSED_RUN] < programs)
		fail("fewer signals than programs", end.signals, programs);
	if (ring_support(ring) == EVENT_SUPPORT_ORDERED) {
		uint64_t lost = end.drops[EVENT_DROP_RING_FULL] + end.drops[EVENT_DROP_NO_SCRATCH];

		if (run.count + lost != end.seq)
			fail("records + drops are not all entries", run.count + lost, end.seq);
		if (equal != run.count)
			fail("records equal to the list", equal, run.count);
		if (!no_tpm && end.extended_seq != end.seq && end.extend_failed_last != end.seq)
			fail("extended_seq is not seq", end.extended_seq, end.seq);
		/* A software TPM on a busy host may miss the kernel's deadline: a failure the kernel only audits, seen here. */
		if (end.extend_failures && end.extend_error != -ETIME)
			fail("extend failures", end.extend_failures, (uint64_t)end.extend_error);
		if (end.signals < end.seq)
			fail("fewer signals than entries", end.signals, end.seq);
		if (end.drops[EVENT_DROP_MISSED_RUN])
			fail("runs skipped under the mutex", end.drops[EVENT_DROP_MISSED_RUN], end.seq);
		if (end.position != entries)
			fail("position is not the list's length", end.position, entries);
		if (entries < before || entries - before > end.seq)
			fail("list grew by more than seq", entries - before, end.seq);
	} else if (run.count) {
		fail("entries at the signal level", run.count, 0);
	}
	if (run.wakes != end.wakes)
		fail("wake records", run.wakes, end.wakes);

	qsort(run.items, run.count, sizeof(*run.items), by_latency);
	printf("%s entries=%llu records=%zu equal=%llu bare=%llu violations=%llu seq=%llu extended=%llu signals=%llu wakes=%llu wakeups=%llu "
	       "lost_wakes=%llu extend_failures=%llu full=%llu oversized=%llu read_failed=%llu bad_fields=%llu missed=%llu malformed=%llu p50_us=%llu max_us=%llu list=%llu\n",
	       failures ? "FAIL" : "ok", (unsigned long long)(entries - before), run.count, (unsigned long long)equal,
	       (unsigned long long)bare, (unsigned long long)violations, (unsigned long long)end.seq, (unsigned long long)end.extended_seq,
	       (unsigned long long)end.signals, (unsigned long long)end.wakes, (unsigned long long)wakeups, (unsigned long long)lost_wakes, (unsigned long long)end.extend_failures,
	       (unsigned long long)end.drops[EVENT_DROP_RING_FULL], (unsigned long long)end.drops[EVENT_DROP_OVERSIZED],
	       (unsigned long long)end.drops[EVENT_DROP_READ_FAILED], (unsigned long long)end.drops[EVENT_DROP_BAD_FIELDS],
	       (unsigned long long)end.drops[EVENT_DROP_MISSED_RUN], (unsigned long long)end.drops[EVENT_DROP_MALFORMED],
	       (unsigned long long)(run.count ? run.items[run.count / 2].latency_ns / 1000 : 0),
	       (unsigned long long)(run.count ? run.items[run.count - 1].latency_ns / 1000 : 0), (unsigned long long)entries);
	for (size_t i = 0; i < run.count; i++)
		free(run.items[i].bytes);
	free(run.items);
	ring_close(&ring);
	return failures != 0;
}
