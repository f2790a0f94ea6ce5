// SPDX-License-Identifier: Apache-2.0
#include "verifier/asker.h"

#include <pwd.h>
#include <stdio.h>

#include "imastream/limits.h"

static void file_cleanup(FILE **f)
{
	if (*f)
		fclose(*f);
}

int user_names_load(const char *path, struct user_names *out)
{
	cleanup_(file_cleanup) FILE *f = fopen(path, "re");
	struct user_names u = { .list = calloc(LIMIT_USER_NAMES, sizeof(*u.list)) };
	char line[4096];
	struct passwd entry, *found;

	if (!u.list)
		return -ENOMEM;
	while (f && u.n < LIMIT_USER_NAMES && fgetpwent_r(f, &entry, line, sizeof(line), &found) == 0) {
		u.list[u.n].uid = found->pw_uid;
		snprintf(u.list[u.n++].name, ASKER_NAME_SIZE, "%s", found->pw_name);
	}
	*out = u;
	return 0;
}

void user_names_clear(struct user_names *u)
{
	free(u->list);
	*u = (struct user_names){ 0 };
}

void asker_user(struct asker *out, const struct user_names *names, uint32_t uid)
{
	const char *name = NULL;

	for (size_t i = 0; !name && i < names->n; i++)
		if (names->list[i].uid == uid)
			name = names->list[i].name;
	out->may_change = true;
	if (name)
		snprintf(out->who, sizeof(out->who), "uid %u (%s)", uid, name);
	else
		snprintf(out->who, sizeof(out->who), "uid %u", uid);
}

void asker_of(struct asker *out, const struct user_names *names, const struct net_request *request)
{
	uint32_t uid;

	if (net_request_peer_user(request, &uid)) {
		asker_user(out, names, uid);
		return;
	}
	out->may_change = false;
	net_request_address(request, out->who, sizeof(out->who));
}
