/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks at the control socket, and whether they may change anything. */
#pragma once

#include "net/net.h"

#define ASKER_SIZE 128u
#define ASKER_NAME_SIZE 33u /* useradd(8): at most 32 characters */

/* Names of this machine's users as they were when the program started: a confined process cannot read them any more. The uid
 * is what counts, its name is for people. */
struct user_names {
	struct user_name {
		uint32_t uid;
		char name[ASKER_NAME_SIZE];
	} *list;
	size_t n;
};
/* Reads the first LIMIT_USER_NAMES users of a file in the form of passwd(5), no other source. A file that is not there or has
 * nothing has no names. 0 or -ENOMEM. */
must_use_ int user_names_load(const char *path, struct user_names *out);
void user_names_clear(struct user_names *u);

struct asker {
	char who[ASKER_SIZE]; /* for logs: "uid 0 (root)", or an address */
	bool may_change;      /* else questions only */
};
/* A user of this machine that the Unix socket let in: its permissions say who may change something. */
void asker_user(struct asker *out, const struct user_names *names, uint32_t uid);
/* Who sent a request. Only the Unix socket takes changes: a certificate that --tls-ca issued is also what every host shows at
 * the evidence port, so it says who asks and not what they may do. */
void asker_of(struct asker *out, const struct user_names *names, const struct net_request *request);
