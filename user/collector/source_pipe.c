// SPDX-License-Identifier: Apache-2.0
/* A test source: entries in the kernel's binary form from a pipe or a growing file, on hosts without IMA. It stands in
 * for the kernel: an entry counts as measured when it has been extended into the TPM, which the caller does for us
 * (source_extend_work()).
 *
 * A pipe is spooled into a file without a name, so that it can be read again as the kernel's list can. After a restart
 * the source is replayed from its beginning: entries are extended already while the TPM's PCRs are ahead of the replay. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/text.h"
#include "collector/source.h"
#include "ima/replay.h"

#define INGEST_MAX (1u << 20) /* bytes taken from a pipe in one go, so that quotes are not kept waiting */

struct source_pipe {
	struct source base;
	int in;	     /* the pipe, or the file itself */
	int spool;   /* what is read: the spool, or `in` */
	int wake_fd; /* inotify for a file, `in` for a pipe */
	bool is_file;
	bool ended;
	off_t spooled;
	struct list *list;
	uint64_t end; /* entries delivered: all of them are extended */
	bool replaying; /* looking for the first entry that is not extended */
	struct ima_replay replay;
	struct source_pipe_options options;
	struct source_extend work;
	bool handed_out; /* `work` is being extended: it stays as it is */
	size_t done; /* entries of `work` that are extended and not delivered */
	size_t next; /* entries of `work` that are delivered */
	uint64_t done_us;
	struct {
		size_t name_at, name_n, data_at, data_n;
		bool violation;
	} held[SOURCE_EXTEND_MAX];
	struct writer bytes; /* names and data of `held` */
	struct source_status status;
	char error[256];
};

static void pipe_free(struct source *base)
{
	struct source_pipe *s = (struct source_pipe *)base;

	if (s->wake_fd != s->in)
		fd_cleanup(&s->wake_fd);
	if (s->spool != s->in)
		fd_cleanup(&s->spool);
	fd_cleanup(&s->in);
	list_close(&s->list);
	writer_free(&s->bytes);
	free(s);
}

static int pipe_fd(const struct source *base)
{
	const struct source_pipe *s = (const struct source_pipe *)base;

	return s->ended ? -1 : s->wake_fd;
}

static int failed(struct source_pipe *s, int r, const char *what)
{
	snprintf(s->error, sizeof(s->error), "test source: %s: %s", what,
		 r == -EBADMSG ? list_error(s->list) : strerror(-r));
	return r;
}

/* --- bytes ---------------------------------------------------------------------------------------------------------- */

static int spool_write(struct source_pipe *s, const uint8_t *p, size_t n)
{
	struct reader r = reader_over(p, n);

	while (reader_left(&r) > 0) {
		ssize_t k = pwrite(s->spool, r.base + r.pos, reader_left(&r), s->spooled);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return k < 0 ? -errno : -EIO;
		read_bytes(&r, (size_t)k);
		s->spooled += k;
	}
	return 0;
}

static int ingest(struct source_pipe *s)
{
	uint8_t buf[16384];

	for (size_t taken = 0; taken < INGEST_MAX && !s->ended;) {
		ssize_t n = read(s->in, buf, sizeof(buf));
		int r;

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (n < 0)
			return failed(s, -errno, "read");
		if (n == 0) {
			s->ended = true;
			return 0;
		}
		r = spool_write(s, buf, (size_t)n);
		if (r < 0)
			return failed(s, r, "write to the spool");
		taken += (size_t)n;
	}
	return 0;
}

/* What inotify says is only that we should look. */
static void clear_inotify(const struct source_pipe *s)
{
	char buf[4096];

	while (read(s->wake_fd, buf, sizeof(buf)) > 0)
		;
}

/* --- entries -------------------------------------------------------------------------------------------------------- */

static int deliver(struct source_pipe *s, source_fn fn, void *user, const struct ima_entry *e, uint64_t measured_us)
{
	struct item item = {
		.entry = *e,
		.index = s->end,
		.arrived_us = clock_mono_us(),
		.measured_us = measured_us,
		.has_context = measured_us != 0,
		.comm = "test-source",
	};
	int r = fn(user, &item);

	if (r == 0)
		s->end++;
	return r;
}

static unsigned int bank_bit(const struct source_pipe *s)
{
	return 1u << s->options.bank;
}

static bool extended_before(const struct source_pipe *s, uint32_t pcr)
{
	return !bytes_equal(s->replay.pcr[pcr][s->options.bank], s->options.pcrs[pcr], hash_size(s->options.bank));
}

static void hold(struct source_pipe *s, const struct ima_entry *e)
{
	size_t i = s->work.n++;

	s->held[i].name_at = s->bytes.n;
	s->held[i].name_n = e->name.n;
	write_bytes(&s->bytes, e->name.p, e->name.n);
	s->held[i].data_at = s->bytes.n;
	s->held[i].data_n = e->data.n;
	write_bytes(&s->bytes, e->data.p, e->data.n);
	s->held[i].violation = e->violation;
	s->work.entry[i].pcr = e->pcr;
	for (unsigned int a = 0; a < HASH_COUNT; a++) {
		if (s->options.banks & 1u << a)
			ima_template_digest(e, a, s->work.entry[i].digests[a]);
	}
}

/* Entries that an earlier run has extended: delivered at once. Ends with the first one that is not, which is held. */
static int replay(struct source_pipe *s, source_fn fn, void *user)
{
	while (s->replaying) {
		struct ima_entry e;
		int r = list_next(s->list, &e);

		if (r < 0)
			return failed(s, r, "replay");
		if (r == 0)
			break;
		if (!extended_before(s, e.pcr)) {
			s->replaying = false;
			hold(s, &e);
			break;
		}
		ima_replay_entry(&s->replay, &e, bank_bit(s));
		r = deliver(s, fn, user, &e, 0);
		if (r < 0)
			return r;
		s->status.from_list++;
	}
	if (!s->replaying || !extended_before(s, 10)) {
		s->status.ready = true;
		return 0;
	}
	if (s->ended || s->is_file) {
		snprintf(s->error, sizeof(s->error),
			 "test source: it ends after %llu entries without reaching the TPM's PCR 10: another source "
			 "was extended into this TPM; give it the same one from its beginning, or a fresh TPM",
			 (unsigned long long)s->end);
		return -ESTALE;
	}
	return 0;
}

static int deliver_done(struct source_pipe *s, source_fn fn, void *user)
{
	if (s->handed_out)
		return 0; /* nothing is done, and `work` is the TPM thread's */
	for (; s->next < s->done; s->next++) {
		size_t i = s->next;
		struct reader name = reader_of(writer_view(&s->bytes)), data = name;
		struct ima_entry e = { .pcr = s->work.entry[i].pcr, .violation = s->held[i].violation };
		int r;

		read_bytes(&name, s->held[i].name_at);
		e.name = read_bytes(&name, s->held[i].name_n);
		read_bytes(&data, s->held[i].data_at);
		e.data = read_bytes(&data, s->held[i].data_n);
		r = deliver(s, fn, user, &e, s->done_us);
		if (r < 0)
			return r;
		s->status.from_ring++;
	}
	s->work.from = s->done;
	if (s->done < s->work.n || s->done == 0)
		return 0;
	s->work.from = s->work.n = s->next = s->done = 0;
	writer_reset(&s->bytes);
	return 0;
}

/* The next entries to extend, up to a job's worth. */
static int collect(struct source_pipe *s)
{
	while (s->work.n < SOURCE_EXTEND_MAX && s->bytes.n < LIMIT_ENTRY_DATA) {
		struct ima_entry e;
		int r = list_next(s->list, &e);

		if (r < 0)
			return failed(s, r, "read");
		if (r == 0)
			return 0;
		hold(s, &e);
		if (writer_status(&s->bytes) < 0)
			return failed(s, writer_status(&s->bytes), "hold");
	}
	return 0;
}

static int pipe_pull(struct source *base, source_fn fn, void *user)
{
	struct source_pipe *s = (struct source_pipe *)base;
	int r = 0;

	if (s->is_file)
		clear_inotify(s);
	else
		r = ingest(s);
	if (r == 0 && (s->replaying || !s->status.ready))
		r = replay(s, fn, user);
	if (r == 0)
		r = deliver_done(s, fn, user);
	if (r == 0 && !s->replaying && !s->handed_out)
		r = collect(s);
	return r;
}

static const struct source_extend *pipe_extend_work(struct source *base)
{
	struct source_pipe *s = (struct source_pipe *)base;

	if (s->work.n == 0 || s->done > s->next)
		return NULL;
	s->handed_out = true;
	return &s->work;
}

static void pipe_extend_done(struct source *base, size_t n, uint64_t now)
{
	struct source_pipe *s = (struct source_pipe *)base;

	s->done = s->work.from + n;
	s->done_us = now;
	s->handed_out = false;
}

static uint64_t pipe_surely(struct source *base)
{
	const struct source_pipe *s = (const struct source_pipe *)base;

	return s->end;
}

static uint64_t pipe_measured(struct source *base)
{
	const struct source_pipe *s = (const struct source_pipe *)base;

	return s->end + (s->done - s->next);
}

static int pipe_history(struct source *base, uint64_t from, struct list **out)
{
	struct source_pipe *s = (struct source_pipe *)base;
	cleanup_list_ struct list *list = NULL;
	int r = list_open_fd(&list, s->spool, 0);

	if (r == 0)
		r = list_skip(list, from);
	if (r <= 0)
		return r < 0 ? r : -EAGAIN;
	*out = TAKE_PTR(list);
	return 0;
}

static void pipe_check(struct source *base unused_)
{
}

static void pipe_status(const struct source *base, struct source_status *out)
{
	const struct source_pipe *s = (const struct source_pipe *)base;

	*out = s->status;
	out->test_source = true;
	out->end = s->end;
	out->ended = s->ended;
	out->support = EVENT_SUPPORT_ORDERED;
}

static const char *pipe_error(const struct source *base)
{
	return ((const struct source_pipe *)base)->error;
}

static const struct source_ops pipe_ops = {
	.free = pipe_free,
	.fd = pipe_fd,
	.pull = pipe_pull,
	.surely = pipe_surely,
	.measured = pipe_measured,
	.history = pipe_history,
	.check = pipe_check,
	.status = pipe_status,
	.extend_work = pipe_extend_work,
	.extend_done = pipe_extend_done,
	.error = pipe_error,
};

/* --- opening -------------------------------------------------------------------------------------------------------- */

static int open_spool(void)
{
	const char *dir = getenv("TMPDIR");
	int fd = open(dir && *dir ? dir : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : fd;
}

static int watch_file(struct source_pipe *s)
{
	char path[64];

	s->wake_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (s->wake_fd < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", s->in);
	return inotify_add_watch(s->wake_fd, path, IN_MODIFY) < 0 ? -errno : 0;
}

static int open_input(const char *what)
{
	struct stat st;
	uint64_t number;
	int fd, flags;

	if (parse_u64(what, 0, INT32_MAX, &number) == 0) {
		fd = fcntl((int)number, F_DUPFD_CLOEXEC, 3);
	} else if (stat(what, &st) == 0 && S_ISFIFO(st.st_mode)) {
		/* also for writing: then writers may come and go without an end of file, fifo(7) */
		fd = open(what, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	} else {
		fd = open(what, O_RDONLY | O_CLOEXEC);
	}
	if (fd < 0)
		return -errno;
	flags = fcntl(fd, F_GETFL);
	if (flags >= 0)
		flags = fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	if (flags < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

static int set_up(struct source_pipe *s)
{
	struct stat st;
	int r;

	s->in = open_input(s->options.what);
	if (s->in < 0)
		return s->in;
	if (fstat(s->in, &st) < 0)
		return -errno;
	s->is_file = S_ISREG(st.st_mode);
	if (s->is_file) {
		s->spool = s->in;
		r = watch_file(s);
	} else {
		s->wake_fd = s->in;
		s->spool = open_spool();
		r = s->spool < 0 ? s->spool : 0;
	}
	return r < 0 ? r : list_open_fd(&s->list, s->spool, 0);
}

int source_pipe_open(struct source **out, const struct source_pipe_options *o, struct writer *why)
{
	struct source_pipe *s = calloc(1, sizeof(*s));
	cleanup_(source_free) struct source *guard = NULL;
	int r;

	if (!s)
		return -ENOMEM;
	s->base.ops = &pipe_ops;
	s->in = s->spool = s->wake_fd = -1;
	s->options = *o;
	s->bytes = WRITER(2 * LIMIT_ENTRY_DATA + 2 * LIMIT_TEMPLATE_NAME);
	s->replaying = true;
	ima_replay_init(&s->replay);
	guard = &s->base;
	r = set_up(s);
	s->options.what = NULL; /* not ours to keep */
	if (r < 0) {
		write_fmt(why, "cannot open the test source ");
		write_quoted(why, (struct bytes){ (const uint8_t *)o->what, strlen(o->what) }, 200);
		write_fmt(why, ": %s", strerror(-r));
		return r;
	}
	*out = TAKE_PTR(guard);
	return 0;
}
