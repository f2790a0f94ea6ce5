// SPDX-License-Identifier: Apache-2.0
#include "lib/capture.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

#include "base/text.h"

static void must(bool ok)
{
	if (!ok)
		abort();
}

/* Puts a memory file in the place of fd; gives back what fd was. */
static int divert(int fd, int *memory)
{
	int saved = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	*memory = memfd_create("capture", MFD_CLOEXEC);
	must(saved >= 0 && *memory >= 0 && dup2(*memory, fd) == fd);
	return saved;
}

static void restore(int fd, int saved, int memory, struct writer *w)
{
	off_t n = lseek(memory, 0, SEEK_END);
	uint8_t *at = w ? write_space(w, (size_t)n) : NULL;

	must(dup2(saved, fd) == fd);
	if (at)
		must(pread(memory, at, (size_t)n, 0) == n);
	close(saved);
	close(memory);
}

int capture_command(int (*run)(int argc, char **argv), const char *const argv[], struct writer *out, struct writer *err)
{
	char *copy[64] = { NULL };
	int argc = 0, out_memory, err_memory, out_saved, err_saved, result;

	for (; argv[argc]; argc++) {
		must(argc < 63);
		copy[argc] = strdup(argv[argc]);
		must(copy[argc]);
	}
	fflush(stdout);
	fflush(stderr);
	out_saved = divert(STDOUT_FILENO, &out_memory);
	err_saved = divert(STDERR_FILENO, &err_memory);
	result = run(argc, copy);
	fflush(stdout);
	fflush(stderr);
	restore(STDOUT_FILENO, out_saved, out_memory, out);
	restore(STDERR_FILENO, err_saved, err_memory, err);
	for (int i = 0; i < argc; i++)
		free(copy[i]);
	return result;
}

void scratch_make(char dir[64])
{
	snprintf(dir, 64, "/tmp/imastream-test-XXXXXX");
	must(mkdtemp(dir));
}

void scratch_file(const char *dir, const char *name, struct bytes content, char path[192])
{
	snprintf(path, 192, "%s/%s", dir, name);
	must(write_file_atomic(path, content, 0600) == 0);
}

void scratch_remove(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	rmdir(dir);
}
