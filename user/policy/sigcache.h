/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures that verified before: the same file is signed and measured on many hosts. Remembered by the hash of key,
 * hash algorithm, message and signature, so a hit says exactly what the check would say again. What did not verify is
 * not remembered: whoever sends nonsense pays each time, and throws nobody's results out. One thread owns it. */
#pragma once

#include "base/buf.h"

#define SIGCACHE_KEY_SIZE 32u

struct sigcache;

/* entries: rounded up to a power of two, at least 8, at most LIMIT_SIGNATURE_CACHE. All memory is taken now, 32 bytes each.
 * 0, -ENOMEM, -EINVAL. */
must_use_ int sigcache_new(struct sigcache **out, size_t entries);
void sigcache_free(struct sigcache **c);
#define cleanup_sigcache_ cleanup_(sigcache_free)

/* key: SHA-256 over what was checked. */
must_use_ bool sigcache_has(struct sigcache *c, const uint8_t key[SIGCACHE_KEY_SIZE]);
/* Takes the place of one of those that the key shares its set with when there is no room. */
void sigcache_add(struct sigcache *c, const uint8_t key[SIGCACHE_KEY_SIZE]);
uint64_t sigcache_hits(const struct sigcache *c);
