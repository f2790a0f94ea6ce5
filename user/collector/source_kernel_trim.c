// SPDX-License-Identifier: Apache-2.0
/* --trim-acknowledged: lets the kernel forget entries (Linux 7.2; security/integrity/ima/ima_fs.c).
 *
 * "N" into the list deletes its first N entries at once. The other way (stage all, then delete what is staged) would take away
 * entries that nobody has proven yet, and another program could delete them in between. While the file is open for writing nobody
 * else can trim or read: so N is counted from a head that does not move, and the file is open for that moment only. */
#include "collector/source_kernel_private.h"

#include <fcntl.h>
#include <stdio.h>

int source_kernel_trim(struct source *base, uint64_t index)
{
	struct source_kernel *s = (struct source_kernel *)base;
	cleanup_fd_ int fd = -1;
	uint64_t begin;
	char text[24];
	int n, r;

	if (index > s->end)
		return -ERANGE;
	list_pause(s->list);
	fd = open(s->list_path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = source_kernel_begins(s, &begin);
	if (r < 0 || index <= begin)
		return r;
	/* the kernel takes one write with a line feed at its end */
	n = snprintf(text, sizeof(text), "%llu\n", (unsigned long long)(index - begin));
	if (write(fd, text, (size_t)n) != n)
		return errno ? -errno : -EIO;
	s->list_base = index;
	s->status.released += index - begin;
	return 0;
}
