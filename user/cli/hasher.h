/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes many files with a few threads. One thread submits; results come back in any order, one at a time. */
#pragma once

#include "base/hash.h"

#define FILE_MD5_SIZE 16u

/* What is to be done with one file. */
struct hash_job {
	int fd;		   /* a regular file open for reading; the hasher closes it */
	char *name;	   /* as the policy will know it; the hasher frees it */
	bool only_loaded;  /* leave it when nothing in it or about it says that it is run or loaded */
	bool loaded;	   /* its mode or name says so already */
	bool want_md5;	   /* compare with this */
	uint8_t md5[FILE_MD5_SIZE];
};

enum hash_outcome {
	HASHED,
	HASH_NOT_LOADED, /* neither program nor library nor script, by its first bytes */
	HASH_CHANGED,	 /* its MD5 is another */
	HASH_UNREADABLE,
};

struct hash_result {
	const struct hash_job *job;
	enum hash_outcome outcome;
	int error; /* positive errno of HASH_UNREADABLE */
	uint64_t size;
	const uint8_t *digest; /* hash_size() bytes, when HASHED */
};
/* Called by one thread at a time, never two at once. 0, or a negative errno that ends the work. */
typedef int (*hash_done_fn)(void *user, const struct hash_result *result);

struct hasher;
/* threads 0: one for each processor, at most 4. 0 or negative errno. */
must_use_ int hasher_new(struct hasher **out, enum hash_alg alg, unsigned int threads, hash_done_fn done, void *user);
/* Waits while the queue is full. Takes fd and name, whatever the result. The first failure of done(), or of the hasher. */
must_use_ int hasher_submit(struct hasher *h, const struct hash_job *job);
/* Waits until all is done; then done() is not called any more. The first failure. */
must_use_ int hasher_wait(struct hasher *h);
/* Drops what waits, joins the threads. */
void hasher_free(struct hasher **h);
#define cleanup_hasher_ cleanup_(hasher_free)

/* True when the name is one that is loaded without an execute bit: shared objects, kernel modules (compressed ones, too),
 * firmware. */
must_use_ bool loaded_by_name(const char *name);
/* True for the first bytes of an ELF file or of a script with an interpreter. */
must_use_ bool loaded_by_content(struct bytes head);
