/* SPDX-License-Identifier: Apache-2.0 */
/* Between peer.c (what to send, quotes, connections), peer_answer.c (answers), peer_activate.c (enrolment) and peer_fetch.c
 * (reference sets) only. */
#pragma once

#include "collector/peer.h"

/* first, doubled n times, at most max. */
uint64_t peer_growing(uint64_t first, uint64_t max, unsigned int n);
void peer_leave_session(struct peer *p);
/* us, give or take a quarter. */
uint64_t peer_jitter(struct peer *p, uint64_t us);
/* Comes back with HELLO after at least `least_us`; 0: grows with the failures in a row. */
void peer_back_off(struct peer *p, uint64_t least_us, uint64_t now);

/* CHALLENGE, to a HELLO or to an ACTIVATE that came too late. */
void peer_challenged(struct peer *p, const struct wire_challenge *m, uint64_t now);
/* WELCOME or DIRECTIVE said which reference set to use; named false: none. */
void peer_set_named(struct peer *p, bool named, const uint8_t digest[WIRE_DIGEST_SIZE], uint32_t size, uint64_t now);
/* The verifier does not have the set that the pending block needs. */
void peer_set_unknown(struct peer *p);
/* Forgets a credential and its secret. */
void peer_activation_end(struct peer *p);
