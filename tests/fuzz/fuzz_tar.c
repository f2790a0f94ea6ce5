// SPDX-License-Identifier: Apache-2.0
/* Headers of tar archives, a block each. */
#include "cli/tar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = reader_over(data, size);

	while (reader_left(&r)) {
		struct bytes block = read_bytes(&r, MIN(reader_left(&r), (size_t)TAR_BLOCK));
		struct tar_header h = { .mode = ~0u };
		const char *why = NULL;

		switch (tar_parse(block, &h, &why)) {
		case TAR_MEMBER:
			if (strnlen(h.name, sizeof(h.name)) == sizeof(h.name) || strnlen(h.link, sizeof(h.link)) == sizeof(h.link) ||
			    h.mode > 07777 || h.size >> 63)
				abort();
			break;
		case TAR_BAD:
			if (!why || h.mode != ~0u)
				abort();
			break;
		case TAR_END:
			break;
		}
	}
	return 0;
}
