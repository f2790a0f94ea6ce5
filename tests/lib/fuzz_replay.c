// SPDX-License-Identifier: Apache-2.0
/* Replays a fuzz corpus through the same entry point without a fuzzing engine: fuzz_x DIR|FILE... One TAP line a file. */
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned int replayed;

static int replay_file(const char *path)
{
	cleanup_writer_ struct writer w = WRITER(64u << 20);
	cleanup_free_ uint8_t *exact = NULL;
	int r = read_file(path, &w);

	if (r < 0) {
		printf("not ok %u - %s: %s\n", ++replayed, path, strerror(-r));
		return r;
	}
	exact = alloc_bytes(w.n); /* exactly as long, so that ASan sees one byte past the end */
	if (!exact)
		return -ENOMEM;
	bytes_copy(exact, w.p, w.n);
	LLVMFuzzerTestOneInput(exact, w.n);
	printf("ok %u - %s\n", ++replayed, strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
	return 0;
}

static int replay_path(const char *path)
{
	struct dirent **names = NULL;
	int n = scandir(path, &names, NULL, alphasort), r = 0;

	if (n < 0)
		return replay_file(path);
	for (int i = 0; i < n; i++) {
		cleanup_free_ char *full = NULL;

		if (names[i]->d_name[0] != '.' && asprintf(&full, "%s/%s", path, names[i]->d_name) >= 0) {
			if (replay_file(full) < 0)
				r = -1;
		}
		free(names[i]);
	}
	free(names);
	return r;
}

int main(int argc, char **argv)
{
	int r = 0;

	for (int i = 1; i < argc; i++)
		if (replay_path(argv[i]) < 0)
			r = 1;
	if (replayed == 0) {
		printf("not ok 1 - no corpus file found\n");
		r = 1;
	}
	printf("1..%u\n", replayed);
	return r;
}
