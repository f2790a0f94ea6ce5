// SPDX-License-Identifier: Apache-2.0
#include "verifier/confine.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/text.h"
#include "imastream/options.h"
#include "policy/imapolicy.h"
#include "verifier/policies.h"

static const char *ipc_path(const char *url)
{
	return strncmp(url, "ipc://", 6) == 0 ? url + 6 : NULL;
}

/* "tcp://HOST:PORT" and its relatives; false: no TCP. No port that can be read: 0. */
static bool tcp_port(const char *url, uint16_t *port)
{
	const char *colon = strrchr(url, ':');
	uint64_t n = 0;

	if (ipc_path(url) || strcmp(url, "none") == 0)
		return false;
	*port = colon && parse_u64(colon + 1, 0, UINT16_MAX, &n) == 0 ? (uint16_t)n : 0;
	return true;
}

/* Without the name of NAME=FILE (rules.c). */
static const char *path_of(const struct option_row *row, const char *text)
{
	const char *equals = row->metavar[0] == '[' ? strchr(text, '=') : NULL;

	return equals && policy_name_ok((struct bytes){ (const uint8_t *)text, (size_t)(equals - text) }) ? equals + 1 : text;
}

/* Files of the network are read before; so is the private key, by another process. The rules are read again while it runs,
 * from files that may have been replaced meanwhile. */
static int allow_option(void *user, const struct option_row *row, const char *text)
{
	const char *path = path_of(row, text);
	struct sandbox *s = user;
	struct stat st;

	if (strcmp(row->name, "require-ima-policy") == 0 && imapolicy_builtin(text))
		return 0;
	if (strcmp(row->group, "output") == 0)
		return 0;
	if (strcmp(row->name, "tls-key") == 0)
		return 0;
	if (strcmp(row->group, "network") == 0 || (stat(path, &st) == 0 && S_ISDIR(st.st_mode)))
		return sandbox_allow(s, path, SANDBOX_READ);
	return sandbox_allow_beside(s, path, SANDBOX_READ);
}

static int allow_urls(struct sandbox *s, const struct verifier_options *o)
{
	int r = sandbox_allow_beside(s, ipc_path(o->control), SANDBOX_SOCKETS);
	uint16_t port;

	if (r == 0)
		r = sandbox_allow_beside(s, ipc_path(o->publish), SANDBOX_SOCKETS);
	if (r == 0 && !o->listen.n)
		r = sandbox_allow_beside(s, ipc_path(DEFAULT_LISTEN_URL), SANDBOX_SOCKETS);
	for (size_t i = 0; r == 0 && i < o->listen.n; i++)
		r = sandbox_allow_beside(s, ipc_path(o->listen.items[i]), SANDBOX_SOCKETS);
	/* the others are bound before */
	s->unix_streams = ipc_path(o->publish) != NULL;
	if (r < 0 || !tcp_port(o->publish, &port))
		return r;
	s->inet_sockets = s->connects = true;
	r = sandbox_allow_bind(s, port);
	return r == 0 ? sandbox_allow_resolver(s) : r;
}

static void need_store(struct sandbox *s, const char *store)
{
	cleanup_free_ char *folder = strdup(store);
	char *slash = folder ? strrchr(folder, '/') : NULL;

	if (slash)
		slash[slash == folder ? 1 : 0] = '\0';
	sandbox_need(s, slash ? folder : ".", R_OK | W_OK | X_OK);
}

int verifier_sandbox(struct sandbox *s, const struct verifier_options *o, const char **why)
{
	int r;

	s->mode = (enum sandbox_mode)o->sandbox;
	s->calls = SANDBOX_CALLS_VERIFIER;
	r = sandbox_set_user(s, o->user, why);
	if (r == 0 && strcmp(o->store, DEFAULT_STORE) != 0 && strcmp(o->store, ":memory:") != 0)
		need_store(s, o->store);
	if (r == 0)
		r = options_each_path(&verifier_options_spec, o, allow_option, s);
	if (r == 0 && strcmp(o->store, ":memory:") != 0)
		r = sandbox_allow_beside(s, o->store, SANDBOX_WRITE);
	if (r == 0)
		r = allow_urls(s, o);
	if (r == 0)
		r = sandbox_allow_libraries(s);
	return r;
}

static int give(const struct sandbox *s, const char *path)
{
	int r = path ? sandbox_give(s, path) : 0;

	return r < 0 ? log_errno(r, "cannot give %s to the user %s", path, s->user) : 0;
}

int confine_give(const struct sandbox *s, const struct verifier_options *o)
{
	static const char *const suffixes[] = { "", "-wal", "-shm" };
	const char *publish = ipc_path(o->publish);
	bool any = false;
	int r = 0;

	if (strcmp(o->store, DEFAULT_STORE) == 0)
		r = give(s, "/var/lib/imastream");
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(suffixes); i++) {
		char path[4096];

		if (snprintf(path, sizeof(path), "%s%s", o->store, suffixes[i]) < (int)sizeof(path))
			r = give(s, path);
	}
	any = !o->listen.n || strcmp(o->control, DEFAULT_CONTROL_URL) == 0 ||
	      (publish && strcmp(o->publish, DEFAULT_PUBLISH_URL) == 0);
	if (r == 0 && any)
		r = give(s, "/run/imastream");
	if (r == 0)
		r = give(s, ipc_path(o->control));
	if (r == 0 && !o->listen.n)
		r = give(s, ipc_path(DEFAULT_LISTEN_URL));
	for (size_t i = 0; r == 0 && i < o->listen.n; i++)
		r = give(s, ipc_path(o->listen.items[i]));
	if (r == 0 && strcmp(o->events, "-") != 0 && strcmp(o->events, "none") != 0)
		r = give(s, o->events);
	return r;
}

/* What a reload will need must be readable from now on. */
static int check_option(void *user unused_, const struct option_row *row, const char *text)
{
	const char *path = path_of(row, text);
	cleanup_fd_ int fd = -1;

	if (strcmp(row->group, "output") == 0 || strcmp(row->group, "network") == 0)
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && errno == EACCES)
		log_warn("--%s %s cannot be read again by the confined verifier (is it a link to somewhere else? may the user "
			 "read it?): a reload keeps the old rules", row->name, path);
	return 0;
}

int confine(const struct sandbox *s, const struct verifier_options *o, struct sandbox_report *out)
{
	cleanup_writer_ struct writer line = WRITER(1024);
	unsigned int at = 0;
	const char *why, *problem;
	int r;

	if (s->mode == SANDBOX_OFF)
		log_warn("--sandbox=off: a mistake in this program is a mistake with all rights of its user");
	r = sandbox_apply(s, out, &why);
	if (r < 0 && r != -EOPNOTSUPP)
		return log_errno(r, "cannot confine this process: %s", why);
	sandbox_describe(out, &line);
	log_info("sandbox: %s", writer_cstr(&line) ? (const char *)line.p : "?");
	while ((problem = sandbox_problem(out, &at)))
		log_at(r < 0 ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN, "sandbox: %s", problem);
	if (r == 0 && s->mode != SANDBOX_OFF && sandbox_reaches(o->tls_key)) {
		r = s->mode == SANDBOX_STRICT ? -EOPNOTSUPP : 0;
		log_at(r < 0 ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN,
		       "sandbox: the private key %s can still be read by this process: keep it in a folder without rules, owned "
		       "by root, mode 0600", o->tls_key);
	}
	if (r < 0)
		return log_errno(r, "--sandbox=strict");
	return s->mode == SANDBOX_OFF ? 0 : options_each_path(&verifier_options_spec, o, check_option, NULL);
}
