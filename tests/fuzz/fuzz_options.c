// SPDX-License-Identifier: Apache-2.0
/* The INI reader behind --config. What it accepts must be within the bounds of its table. */
#include <stdio.h>
#include <sys/mman.h>

#include "base/common.h"
#include "base/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzzed {
	bool flag;
	char *text;
	struct option_list list;
	uint64_t number, duration, bytes;
	unsigned int choice;
};

static const struct option_choice choices[] = { { "one", 1 }, { "two", 2 }, { NULL, 0 } };
static const struct option_row rows[] = {
	{ .name = "flag", .group = "a", .help = "f", .type = OPTION_FLAG, .offset = offsetof(struct fuzzed, flag) },
	{ .name = "text", .metavar = "T", .group = "a", .help = "t", .type = OPTION_TEXT, .offset = offsetof(struct fuzzed, text) },
	{ .name = "list", .metavar = "L", .group = "a", .help = "l", .type = OPTION_LIST, .offset = offsetof(struct fuzzed, list) },
	{ .name = "number", .metavar = "N", .group = "b", .help = "n", .type = OPTION_U64, .min = 3, .max = 9, .fallback = "5",
	  .offset = offsetof(struct fuzzed, number) },
	{ .name = "duration", .metavar = "D", .group = "b", .help = "d", .type = OPTION_DURATION, .max = 1000000,
	  .offset = offsetof(struct fuzzed, duration) },
	{ .name = "bytes", .metavar = "S", .group = "b", .help = "s", .type = OPTION_SIZE, .max = 65536,
	  .offset = offsetof(struct fuzzed, bytes) },
	{ .name = "choice", .metavar = "C", .group = "b", .help = "c", .type = OPTION_CHOICE, .choices = choices, .fallback = "one",
	  .offset = offsetof(struct fuzzed, choice) },
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct options_spec spec = { .program = "fuzz", .summary = "s", .env_prefix = "IMASTREAM_FUZZ_",
						  .rows = rows, .n_rows = ARRAY_SIZE(rows) };
	cleanup_writer_ struct writer text = WRITER(4u << 20);
	cleanup_fd_ int fd = memfd_create("config", MFD_CLOEXEC);
	struct fuzzed out = { 0 };
	char path[64];
	char *argv[] = { (char *)"fuzz", (char *)"--config", path, NULL };
	int r;

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = options_load(&spec, 3, argv, &out, &text);
	if (r == OPTIONS_RUN) {
		if (out.number < 3 || out.number > 9 || out.duration > 1000000 || out.bytes > 65536 || out.choice < 1 ||
		    out.choice > 2 || out.list.n > OPTION_LIST_MAX || (out.text && !*out.text))
			abort();
	} else if (r != OPTIONS_USAGE || text.n == 0) {
		abort(); /* a bad file must say what is wrong */
	}
	options_clear(&spec, &out);
	return 0;
}
