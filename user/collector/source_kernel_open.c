// SPDX-License-Identifier: Apache-2.0
/* The start of source_kernel.c: ring, list, count; where the list begins. */
#include "collector/source_kernel_private.h"

#include <fcntl.h>
#include <stdio.h>
#include <time.h>

static const struct {
	const char *name;
	size_t digest_size;
} list_names[] = {
	{ "binary_runtime_measurements", 20 }, /* SHA-1 column: security/integrity/ima/ima_fs.c */
	{ "binary_runtime_measurements_sha256", 32 },
	{ "binary_runtime_measurements_sha384", 48 },
	{ "binary_runtime_measurements_sha512", 64 },
	{ "binary_runtime_measurements_sha1", 20 },
};

static int find_list(struct source_kernel *s, const char *securityfs, struct writer *why)
{
	cleanup_free_ char *count = NULL;

	if (asprintf(&count, "%s/ima/runtime_measurements_count", securityfs) < 0) {
		count = NULL;
		return -ENOMEM;
	}
	for (size_t i = 0; i < ARRAY_SIZE(list_names) && !s->list_path; i++) {
		cleanup_free_ char *path = NULL;

		if (asprintf(&path, "%s/ima/%s", securityfs, list_names[i].name) < 0)
			return -ENOMEM;
		if (access(path, R_OK) == 0) {
			s->list_path = TAKE_PTR(path);
			s->digest_size = list_names[i].digest_size;
		} else if (errno == EACCES) {
			write_fmt(why, "no permission to read %s: start as root, or with CAP_DAC_READ_SEARCH", path);
			return -EACCES;
		}
	}
	if (!s->list_path) {
		write_fmt(why, "no measurement list below %s/ima: mount it (mount -t securityfs securityfs "
			       "/sys/kernel/security), and boot a kernel with CONFIG_IMA", securityfs);
		return -ENOENT;
	}
	s->trims = list_can_be_trimmed(s->list_path);
	s->count_fd = open(count, O_RDONLY | O_CLOEXEC);
	if (s->count_fd < 0) {
		int r = -errno;

		write_fmt(why, "cannot open %s: %s", count, strerror(-r));
		return r;
	}
	return 0;
}

static int open_ring(struct source_kernel *s, const struct source_kernel_options *o, struct ring_probe *probe,
		     struct writer *why)
{
	struct ring_options options = { .want = o->support, .ring_bytes = o->ring_bytes };
	int r = ring_open(&s->ring, &options, probe);

	if (r == -EOPNOTSUPP)
		write_fmt(why, "support level %s does not work here; --support=auto takes the best that does",
			  ring_support_name(o->support));
	else if (r < 0)
		write_fmt(why, "cannot open the ring: %s", strerror(-r));
	if (r == 0)
		s->support = ring_support(s->ring);
	return r;
}

/* A list that was trimmed before begins somewhere: what is gone was never ours to lose. */
static int find_begin(struct source_kernel *s, struct writer *why)
{
	static const struct timespec a_while = { .tv_nsec = 10000000 };
	struct ring_counts c;
	int r = -EBUSY;

	s->totals = s->trims && s->ring && ring_counts(s->ring, &c) == 0 && c.total > 0;
	s->anchored = s->trims && !s->totals;
	for (unsigned int i = 0; r == -EBUSY && i < 500; i++) { /* somebody trims right now */
		if (i > 0)
			(void)nanosleep(&a_while, NULL);
		r = list_seek(s->list, 0);
	}
	list_pause(s->list);
	if (r < 0 && r != -ENODATA) {
		write_fmt(why, "cannot read %s: %s%s", s->list_path, strerror(-r),
			  r == -EBUSY ? ": another program holds it open for writing, to trim it" : "");
		return r;
	}
	s->end = s->list_base;
	s->status.trims = 0;
	return 0;
}

int source_kernel_open(struct source **out, const struct source_kernel_options *o, struct ring_probe *probe,
		       struct writer *why)
{
	struct source_kernel *s = calloc(1, sizeof(*s));
	cleanup_(source_free) struct source *guard = NULL;
	int r;

	if (!s)
		return -ENOMEM;
	s->base.ops = &source_kernel_ops;
	s->count_fd = -1;
	guard = &s->base;
	*probe = (struct ring_probe){ .support = EVENT_SUPPORT_POLL };
	s->support = EVENT_SUPPORT_POLL;
	/* The ring first: from now on nothing is appended that neither the ring nor the first reading has. */
	r = o->poll_mode ? 0 : open_ring(s, o, probe, why);
	if (r == 0)
		r = find_list(s, o->securityfs, why);
	if (r == 0)
		r = source_kernel_restart(s);
	if (r == 0)
		r = find_begin(s, why);
	if (r == 0 && o->trim && !s->totals) {
		write_fmt(why, "--trim-acknowledged: %s", !s->trims ? "this kernel cannot trim its list; it takes Linux 7.2" :
			  "without BPF nobody says where a trimmed list begins; imastream doctor tells what is missing");
		r = -EOPNOTSUPP;
	}
	if (r < 0)
		return r;
	s->behind = true; /* the first pull reads the list to its end */
	*out = TAKE_PTR(guard);
	return 0;
}
