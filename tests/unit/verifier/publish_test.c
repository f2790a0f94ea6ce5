// SPDX-License-Identifier: Apache-2.0
/* What leaves the verifier beside replies: the outbox, answers for `imastream status`; and what other rules change. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

#include "base/text.h"
#include "lib/verifier_bench.h"
#include "verifier/control.h"
#include "verifier/publish.h"

static struct bench b;

static int open_bench(void **state unused_)
{
	bench_open(&b, HASH_SHA256, "", &bench_rules);
	return 0;
}

static int close_bench(void **state unused_)
{
	bench_close(&b);
	return 0;
}

static void measure(int n)
{
	char path[48];

	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "/usr/bin/t%zu", b.n);
		bench_measure(&b, path);
	}
}

/* --- outbox ---- */

static unsigned int lines_in(int fd, char *last, size_t size)
{
	char text[65536];
	ssize_t n = read(fd, text, sizeof(text) - 1);
	unsigned int lines = 0;
	char *line = text;

	if (n <= 0)
		return 0;
	text[n] = 0;
	for (char *end; (end = strchr(line, '\n')); line = end + 1) {
		*end = 0;
		assert_true((size_t)(end - line) < size);
		memcpy(last, line, (size_t)(end - line) + 1);
		lines++;
	}
	assert_int_equal(*line, 0); /* whole lines only */
	return lines;
}

static void events_leave_once_and_unpublished_ones_again(void **state unused_)
{
	struct publisher p;
	char last[4096];
	bool waiting;
	int pipes[2];

	assert_int_equal(pipe(pipes), 0);
	bench_greet(&b);
	measure(1);
	bench_measure_as(&b, 10, "/tmp/\x1b[31m\"x", true, true, false);
	bench_report(&b);
	publisher_init(&p, &b.faulty, NULL, NULL, pipes[1]);
	assert_int_equal(publisher_pump(&p, b.now.real + 2000, &waiting), 0);
	assert_int_equal(lines_in(pipes[0], last, sizeof(last)), b.pipeline->journal.committed);
	/* age 1.5 ms, half of 0.4 ms on the way, 2 ms here */
	assert_non_null(strstr(last, "\"state\""));
	assert_int_equal(publisher_pump(&p, b.now.real, &waiting), 0);
	publisher_clear(&p); /* crashed before it marked them */
	publisher_init(&p, &b.faulty, NULL, NULL, pipes[1]);
	assert_int_equal(publisher_pump(&p, b.now.real + 2000, &waiting), 0);
	assert_int_equal(lines_in(pipes[0], last, sizeof(last)), b.pipeline->journal.committed);
	assert_int_equal(publisher_mark(&p), 0);
	publisher_clear(&p);
	publisher_init(&p, &b.faulty, NULL, NULL, pipes[1]);
	assert_int_equal(publisher_pump(&p, b.now.real, &waiting), 0);
	bench_prove(&b);
	assert_int_equal(publisher_pump(&p, b.now.real + 40000, &waiting), 0);
	assert_true(lines_in(pipes[0], last, sizeof(last)) >= 1);
	publisher_clear(&p);
	close(pipes[0]);
	close(pipes[1]);
}

static int find_finding(void *user, const struct event_row *row)
{
	struct writer *w = user;

	if (memmem(row->body.p, row->body.n, "\"finding\"", 9) ||
	    memmem(row->body.p, row->body.n, "finding-proven", 14)) {
		journal_render(w, row, 0);
		write_u8(w, '\n');
	}
	return 0;
}

static void latencies_and_escapes(void **state unused_)
{
	struct publisher p;
	struct writer w = WRITER(65536);
	const char *text;
	bool waiting;
	int pipes[2];

	assert_int_equal(pipe(pipes), 0);
	publisher_init(&p, &b.faulty, NULL, NULL, pipes[1]);
	bench_greet(&b);
	bench_measure_as(&b, 10, "/tmp/\x1b[31m\"x\xff", true, true, false);
	bench_report(&b);
	assert_int_equal(publisher_pump(&p, b.now.real + 2000, &waiting), 0);
	b.now.real += 30000;
	b.now.mono += 30000;
	bench_prove(&b);
	assert_int_equal(publisher_pump(&p, b.now.real + 1000, &waiting), 0);
	assert_int_equal(publisher_mark(&p), 0);
	assert_int_equal(b.store->ops->each_event(b.store, 0, false, 100, find_finding, &w), 0);
	text = writer_cstr(&w);
	/* 1.5 ms of age, half of 0.4 ms on the way, 2 ms until it was published; proven 29 ms later */
	assert_non_null(strstr(text, "\"reported_ms\":3.7,\"proven_ms\":null}"));
	assert_non_null(strstr(text, "\"reported_ms\":3.7,\"proven_ms\":32.7}"));
	assert_non_null(strstr(text, "\"pid\":812"));
	assert_null(strchr(text, '\x1b'));
	assert_null(strchr(text, '\xff'));
	writer_free(&w);
	publisher_clear(&p);
	close(pipes[0]);
	close(pipes[1]);
}

static void a_reader_that_does_not_read(void **state unused_)
{
	struct publisher p;
	unsigned int lines = 0, more;
	bool waiting;
	int pipes[2];

	assert_int_equal(pipe(pipes), 0);
	publisher_init(&p, &b.faulty, NULL, NULL, pipes[1]);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(
			pipeline_note(b.pipeline, "note", "some text that fills the pipe of a slow reader", &b.now), 0);
	assert_int_equal(publisher_pump(&p, b.now.real, &waiting), 0); /* does not block */
	assert_true(waiting);
	while (lines < 1000) { /* lines may be cut by the end of the pipe: count new lines */
		char text[65536];
		ssize_t n = read(pipes[0], text, sizeof(text));

		assert_true(n > 0);
		more = 0;
		for (ssize_t i = 0; i < n; i++)
			more += text[i] == '\n';
		lines += more;
		assert_int_equal(publisher_pump(&p, b.now.real, &waiting), 0);
	}
	assert_int_equal(lines, 1000);
	publisher_clear(&p);
	close(pipes[0]);
	close(pipes[1]);
}

static unsigned int lines_of(const char *path)
{
	FILE *f = fopen(path, "re");
	unsigned int n = 0;

	assert_non_null(f);
	for (int c; (c = getc(f)) != EOF;)
		n += c == '\n';
	fclose(f);
	return n;
}

static void limit_files(rlim_t bytes)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = MIN(bytes, limit.rlim_max);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* As on a full disk: what does not go into the file waits, also past a crash, and goes there when there is room. */
static void a_file_that_cannot_grow(void **state unused_)
{
	char path[] = "/tmp/imastream-publish-XXXXXX";
	int fd = mkostemp(path, O_APPEND | O_CLOEXEC);
	struct publisher p;
	bool waiting;

	assert_true(fd >= 0);
	signal(SIGXFSZ, SIG_IGN);
	publisher_init(&p, &b.faulty, NULL, NULL, fd);
	for (int i = 0; i < 600; i++)
		assert_int_equal(pipeline_note(b.pipeline, "note", "some text that needs room", &b.now), 0);
	limit_files(5000);
	assert_int_equal(publisher_pump(&p, b.now.real, &waiting), 0);
	assert_true(waiting);
	assert_int_equal(p.stuck, EFBIG);
	assert_false(p.failed);
	assert_int_equal(publisher_mark(&p), 0);
	publisher_clear(&p); /* killed */
	limit_files(RLIM_INFINITY);
	assert_int_equal(write(fd, "\n", 1), 1); /* as the verifier ends a torn line */
	publisher_init(&p, &b.faulty, NULL, NULL, fd);
	do
		assert_int_equal(publisher_pump(&p, b.now.real, &waiting), 0);
	while (waiting);
	assert_int_equal(p.stuck, 0);
	/* those that had gone into the file whole were marked, the others came again behind the torn one */
	assert_int_equal(lines_of(path), 600 + 1);
	publisher_clear(&p);
	close(fd);
	unlink(path);
}

/* The same without a crash: no line is torn. */
static void a_file_that_can_grow_again(void **state unused_)
{
	char path[] = "/tmp/imastream-publish-XXXXXX";
	int fd = mkostemp(path, O_APPEND | O_CLOEXEC);
	struct publisher p;
	bool waiting;

	assert_true(fd >= 0);
	signal(SIGXFSZ, SIG_IGN);
	publisher_init(&p, &b.faulty, NULL, NULL, fd);
	for (int i = 0; i < 600; i++)
		assert_int_equal(pipeline_note(b.pipeline, "note", "some text that needs room", &b.now), 0);
	limit_files(5000);
	assert_int_equal(publisher_pump(&p, b.now.real, &waiting), 0);
	assert_true(waiting);
	limit_files(RLIM_INFINITY);
	do
		assert_int_equal(publisher_pump(&p, b.now.real, &waiting), 0);
	while (waiting);
	assert_int_equal(lines_of(path), 600);
	publisher_clear(&p);
	close(fd);
	unlink(path);
}

struct heard {
	unsigned int lines;
	uint64_t last; /* number of the event */
	char time[32]; /* reported_ms of a finding */
};

static uint64_t number_in(const char *line)
{
	const char *seq = strstr(line, "\"seq\":");

	assert_non_null(seq);
	return strtoull(seq + 6, NULL, 10);
}

static void hear(void *user, struct bytes line)
{
	struct heard *h = user;
	cleanup_free_ char *text = strndup((const char *)line.p, line.n);
	uint64_t seq;

	assert_non_null(text);
	seq = number_in(text);
	assert_true(seq > h->last); /* in order, none twice */
	h->last = seq;
	h->lines++;
	if (strstr(text, "\"reported_ms\":3.7"))
		snprintf(h->time, sizeof(h->time), "3.7");
}

/* Numbers of the whole lines of the file, in order and none twice; how many. */
static unsigned int numbers_in(const char *path, uint64_t first, bool *reported)
{
	FILE *f = fopen(path, "re");
	char line[4096];
	unsigned int n = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		assert_int_equal(number_in(line), first + n);
		*reported = *reported || strstr(line, "\"reported_ms\":3.7");
		n++;
	}
	fclose(f);
	return n;
}

static void note_some(unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(pipeline_note(b.pipeline, "note", "some text that needs room", &b.now), 0);
}

/* Subscribers go on while the file takes nothing; nothing is lost or doubled in it, nor told twice, when it does again. */
static void subscribers_do_not_wait_for_the_file(void **state unused_)
{
	char path[] = "/tmp/imastream-publish-XXXXXX";
	int fd = mkostemp(path, O_APPEND | O_CLOEXEC);
	struct heard h = { 0 };
	bool waiting, reported = false;
	struct publisher p;

	assert_true(fd >= 0);
	signal(SIGXFSZ, SIG_IGN);
	publisher_init(&p, &b.faulty, hear, &h, fd);
	note_some(600);
	limit_files(5000);
	for (unsigned int round = 0; round < 3; round++) {
		assert_int_equal(publisher_pump(&p, b.now.real, &waiting), 0);
		assert_true(waiting);
		assert_int_equal(h.lines, 600 + round * 300);
		note_some(300);
	}
	bench_greet(&b);
	bench_measure_as(&b, 10, "/tmp/x", true, true, false);
	bench_report(&b);
	assert_int_equal(publisher_pump(&p, b.now.real + 2000, &waiting), 0);
	assert_int_equal(h.last, b.pipeline->journal.committed);
	assert_string_equal(h.time, "3.7");
	limit_files(RLIM_INFINITY);
	do
		assert_int_equal(publisher_pump(&p, b.now.real + BENCH_SECOND, &waiting), 0);
	while (waiting);
	assert_int_equal(h.last, b.pipeline->journal.committed);
	assert_int_equal(numbers_in(path, 1, &reported), b.pipeline->journal.committed);
	assert_true(reported); /* when it was told first, not when the file had room */
	assert_int_equal(publisher_mark(&p), 0);
	publisher_clear(&p);
	close(fd);
	unlink(path);
}

/* Nor for a store that is full: events cannot be marked, so that the file would get them again after a crash. */
static void subscribers_do_not_wait_for_marks(void **state unused_)
{
	struct heard h = { 0 };
	struct publisher p;
	bool waiting;

	publisher_init(&p, &b.faulty, hear, &h, -1);
	note_some(600);
	b.fail_commit = ENOSPC;
	assert_int_equal(publisher_pump(&p, b.now.real, &waiting), -ENOSPC);
	assert_int_equal(h.lines, 600);
	b.fail_commit = 0;
	assert_int_equal(publisher_pump(&p, b.now.real, &waiting), 0);
	assert_int_equal(publisher_mark(&p), 0);
	assert_int_equal(h.lines, 600);
	assert_int_equal(p.n_marks, 0);
	publisher_clear(&p);
}

/* What the file had not taken is published again by the next start, to subscribers too. */
static void a_start_behind_a_file_that_was_stuck(void **state unused_)
{
	char path[] = "/tmp/imastream-publish-XXXXXX";
	int fd = mkostemp(path, O_APPEND | O_CLOEXEC);
	struct heard before = { 0 }, after = { 0 };
	unsigned int taken;
	struct publisher p;
	bool waiting;

	assert_true(fd >= 0);
	signal(SIGXFSZ, SIG_IGN);
	publisher_init(&p, &b.faulty, hear, &before, fd);
	note_some(600);
	limit_files(5000);
	assert_int_equal(publisher_pump(&p, b.now.real, &waiting), 0);
	assert_int_equal(before.lines, 600);
	assert_int_equal(publisher_mark(&p), 0);
	publisher_clear(&p);
	limit_files(RLIM_INFINITY);
	taken = lines_of(path);
	publisher_init(&p, &b.faulty, hear, &after, fd);
	do
		assert_int_equal(publisher_pump(&p, b.now.real, &waiting), 0);
	while (waiting);
	assert_int_equal(after.lines, 600 - taken);
	publisher_clear(&p);
	close(fd);
	unlink(path);
}

/* --- other rules, control ---- */

static void other_rules_judge_again(void **state unused_)
{
	struct rules strict = bench_rules, ignore = bench_rules;

	bench_greet(&b);
	measure(5);
	bench_measure_as(&b, 10, "/var/log/x", true, true, false);
	bench_prove(&b);
	bench_wait(&b);
	assert_int_equal(bench_state(&b), WIRE_STATE_WARNING);
	strict.appraisal.violations = VIOLATION_FAIL;
	bench_set_rules(&b, &strict);
	assert_int_equal(bench_state(&b), WIRE_STATE_UNTRUSTED);
	assert_int_equal(bench_findings(&b, REASON_VIOLATION), 0);
	assert_int_equal(bench_findings(&b, REASON_VIOLATION_REFUSED), 1);
	assert_true(b.directed);
	assert_int_equal(b.directive.directive.flags, WIRE_DIRECTIVE_POLICY);
	ignore.appraisal.violations = VIOLATION_IGNORE;
	bench_set_rules(&b, &ignore);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
	bench_restart(&b, &ignore);
	assert_int_equal(bench_state(&b), WIRE_STATE_TRUSTED);
}

static void same_rules_change_nothing(void **state unused_)
{
	struct rules same = bench_rules;
	uint64_t events;

	bench_greet(&b);
	measure(5);
	bench_measure_as(&b, 10, "/var/log/x", true, true, false);
	bench_measure_as(&b, 11, "/in/11", false, true, false);
	bench_prove(&b);
	events = b.pipeline->journal.committed;
	bench_set_rules(&b, &same);
	assert_int_equal(b.pipeline->journal.committed, events);
	assert_int_equal(bench_attester(&b)->boot->warnings, 2);
	assert_int_equal(bench_attester(&b)->boot->unproven_findings, 0);
}

static const char *asked(const char *question, struct writer *w)
{
	writer_reset(w);
	control_answer(b.pipeline, (struct bytes){ (const uint8_t *)question, strlen(question) },
		       &(struct asker){ .who = "test" }, &b.now, w);
	assert_int_equal(writer_status(w), 0);
	return writer_cstr(w);
}

static void control_answers(void **state unused_)
{
	struct writer w = WRITER(CONTROL_ANSWER_MAX);
	struct writer hex = WRITER(256);

	assert_non_null(strstr(asked("{\"get\":\"status\"}", &w), "\"attesters\":[]"));
	bench_greet(&b);
	measure(3);
	bench_measure_as(&b, 10, "/var/log/x", true, true, false);
	bench_prove(&b);
	asked("{\"get\":\"status\"}", &w);
	assert_non_null(
		strstr((char *)w.p, "\"state\":\"warning\",\"reason\":\"violation\",\"reasons\":[\"violation\"]"));
	assert_non_null(strstr((char *)w.p, "\"entries\":4,\"proven\":4"));
	write_hex(&hex, b.tpm.pcr[10], 32);
	assert_non_null(strstr((char *)w.p, writer_cstr(&hex)));
	assert_non_null(strstr(asked("{\"get\":\"findings\"}", &w), "\"entry\":4"));
	assert_non_null(strstr(asked("{\"get\":\"findings\",\"attester\":\"xx\"}", &w), "\"error\""));
	assert_non_null(strstr(asked("{\"get\":\"events\",\"since\":1}", &w), "\"seq\":2"));
	assert_null(strstr((char *)w.p, "\"seq\":1,"));
	assert_non_null(strstr(asked("{\"get\":\"nonsense\"}", &w), "\"error\""));
	assert_non_null(strstr(asked("not json", &w), "\"error\""));
	assert_non_null(strstr(asked("", &w), "\"error\""));
	writer_free(&w);
	writer_free(&hex);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_bench, close_bench)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(events_leave_once_and_unpublished_ones_again), TEST(latencies_and_escapes),
		TEST(a_reader_that_does_not_read), TEST(a_file_that_cannot_grow), TEST(a_file_that_can_grow_again),
		TEST(subscribers_do_not_wait_for_the_file), TEST(subscribers_do_not_wait_for_marks),
		TEST(a_start_behind_a_file_that_was_stuck), TEST(other_rules_judge_again), TEST(same_rules_change_nothing),
		TEST(control_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
