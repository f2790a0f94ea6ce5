/* SPDX-License-Identifier: Apache-2.0 */
/* Stage [7], the network side: requests from the sockets as batches, replies back. The batch that waits while one is written to
 * the store is the group of the next commit. One thread owns a receiver. */
#pragma once

#include "net/net.h"
#include "verifier/pipeline.h"

#define RECEIVE_BATCH 256u	      /* requests in one transaction */
#define RECEIVE_BATCH_BYTES (16u << 20) /* stop collecting past this */

struct receiver;
must_use_ int receiver_new(struct receiver **out, const struct net_tls *tls);
void receiver_free(struct receiver **r);
struct net_server *receiver_server(struct receiver *r);
/* How the pipeline answers; valid as long as the receiver. */
struct pipeline_io receiver_io(struct receiver *r);
/* Takes what waits, at most one batch. *more: something may be left. Result of pipeline_batch(). */
must_use_ int receiver_run(struct receiver *r, struct pipeline *p, bool *more);
