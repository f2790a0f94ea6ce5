// SPDX-License-Identifier: Apache-2.0
#include "collector/confine.h"

#include <linux/capability.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/text.h"

#define DEFAULT_DEVICE "/dev/tpmrm0"
#define SIMULATOR_PORT 2321u

/* A number behind `key` in a TCTI string or a URL. */
static bool number_after(const char *text, const char *key, uint16_t *out)
{
	const char *at = strstr(text, key);
	char digits[8];
	uint64_t n;
	size_t len;

	if (!at)
		return false;
	at += strlen(key);
	len = strspn(at, "0123456789");
	if (len == 0 || len >= sizeof(digits))
		return false;
	bytes_copy(digits, at, len);
	digits[len] = '\0';
	if (parse_u64(digits, 0, UINT16_MAX, &n) < 0)
		return false;
	*out = (uint16_t)n;
	return true;
}

/* The TPM is opened under the sandbox, and again when its connection fails; the TSS loads its transport as a library. */
static int allow_tpm(struct sandbox *s, const char *tcti)
{
	static const char *const libraries[] = { "/etc/ld.so.cache", "/usr/lib", "/usr/local/lib", "/lib", "/lib64" };
	uint16_t port = SIMULATOR_PORT;
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(libraries); i++)
		r = sandbox_allow(s, libraries[i], SANDBOX_READ);
	if (r < 0)
		return r;
	if (!tcti || strncmp(tcti, "device", 6) == 0) {
		const char *device = tcti && strncmp(tcti, "device:", 7) == 0 && tcti[7] ? tcti + 7 : DEFAULT_DEVICE;

		sandbox_add_group_of(s, device);
		sandbox_need(s, device, R_OK | W_OK);
		return sandbox_allow(s, device, SANDBOX_READ | SANDBOX_WRITE);
	}
	/* a simulator: commands, and control on the next port; or a Unix socket, as that of a resource manager's bus */
	s->inet_sockets = s->unix_streams = s->connects = true;
	(void)number_after(tcti, "port=", &port);
	r = sandbox_allow_connect(s, port);
	return r == 0 ? sandbox_allow_connect(s, (uint16_t)(port + 1)) : r;
}

static int allow_verifiers(struct sandbox *s, const struct option_list *groups)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < groups->n; i++) {
		const char *url = groups->items[i];

		while (r == 0 && url && *url) {
			cleanup_free_ char *one = strndup(url, strcspn(url, ","));
			const char *colon = one ? strrchr(one, ':') : NULL;
			uint16_t port;

			if (!one)
				return -ENOMEM;
			s->connects = true;
			if (strncmp(one, "ipc://", 6) == 0) {
				s->unix_streams = true;
			} else if (colon && number_after(colon, ":", &port)) {
				s->inet_sockets = true;
				r = sandbox_allow_connect(s, port);
			}
			url = strchr(url, ',');
			url += url ? 1 : 0;
		}
	}
	return r == 0 && s->inet_sockets ? sandbox_allow_resolver(s) : r;
}

/* The kernel asks for CAP_SYS_ADMIN whoever writes into its lists; and the files are root's. */
static int allow_trim(struct sandbox *s, const struct collector_options *o)
{
	static const char *const lists[] = { "", "_sha1", "_sha256", "_sha384", "_sha512" };
	int r = 0;

	s->keep_as_root = 1ull << CAP_SYS_ADMIN;
	s->keep_capabilities |= 1ull << CAP_SYS_ADMIN | 1ull << CAP_DAC_OVERRIDE;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(lists); i++) {
		cleanup_free_ char *list = NULL;

		if (asprintf(&list, "%s/ima/binary_runtime_measurements%s", o->securityfs, lists[i]) < 0) {
			list = NULL;
			return -ENOMEM;
		}
		r = sandbox_allow(s, list, SANDBOX_READ | SANDBOX_WRITE);
	}
	return r;
}

static int allow_source(struct sandbox *s, const struct collector_options *o)
{
	cleanup_free_ char *lists = NULL;
	const char *spool = getenv("TMPDIR");
	struct stat st;
	int r;

	if (!o->test_pipe) {
		/* the lists are root's */
		s->keep_capabilities = 1ull << CAP_DAC_READ_SEARCH;
		if (asprintf(&lists, "%s/ima", o->securityfs) < 0) {
			lists = NULL;
			return -ENOMEM;
		}
		r = sandbox_allow(s, lists, SANDBOX_READ);
		return r == 0 && o->trim_acknowledged ? allow_trim(s, o) : r;
	}
	r = sandbox_allow(s, o->source_what, SANDBOX_READ | SANDBOX_WRITE);
	if (stat(o->source_what, &st) == 0 && S_ISREG(st.st_mode))
		return r; /* it is read where it is */
	return r == 0 ? sandbox_allow(s, spool && *spool ? spool : "/tmp", SANDBOX_WRITE) : r;
}

/* Certificates are read again for each new connection: the same files, not others of their name, for the key may lie beside them and
 * is another process's. */
static int allow_option(void *user, const struct option_row *row, const char *path)
{
	if (strcmp(row->name, "stats-file") == 0)
		return sandbox_allow_beside(user, path, SANDBOX_WRITE);
	if (strcmp(row->name, "cache-dir") == 0)
		return strcmp(path, "none") == 0 ? 0 : sandbox_allow(user, path, SANDBOX_READ | SANDBOX_WRITE);
	if (strcmp(row->name, "securityfs") == 0 || strcmp(row->name, "tls-key") == 0)
		return 0;
	return sandbox_allow(user, path, SANDBOX_READ);
}

/* The default one, when nobody made it; a service manager makes it otherwise. Without it sets are fetched again. */
static int make_cache_folder(const struct sandbox *s, const struct collector_options *o)
{
	const char *folder = collector_cache_folder(o);
	int r;

	if (!folder || strcmp(folder, COLLECTOR_CACHE_DIR) != 0 || mkdir(folder, 0700) < 0)
		return 0;
	r = sandbox_give(s, folder);
	if (r < 0)
		log_errno(r, "cannot give %s away", folder);
	return 0;
}

int collector_sandbox(struct sandbox *s, const struct collector_options *o, struct writer *why)
{
	const char *user_why = "";
	int r;

	s->mode = (enum sandbox_mode)o->sandbox;
	s->calls = SANDBOX_CALLS_COLLECTOR;
	r = sandbox_set_user(s, o->user, &user_why);
	if (r < 0) {
		write_fmt(why, "--user %s: %s", o->user ? o->user : SANDBOX_DEFAULT_USER, user_why);
		return r;
	}
	r = make_cache_folder(s, o);
	if (r == 0)
		r = collector_options_each_path(o, allow_option, s);
	if (r == 0)
		r = allow_tpm(s, o->tcti);
	if (r == 0)
		r = allow_source(s, o);
	if (r == 0)
		r = allow_verifiers(s, &o->verifiers);
	if (r == 0)
		r = sandbox_allow_libraries(s);
	return r;
}

int collector_confine(const struct sandbox *s, const struct collector_options *o, struct sandbox_report *out,
		      struct writer *why)
{
	cleanup_writer_ struct writer line = WRITER(1024);
	const char *what, *problem;
	unsigned int at = 0;
	int r;

	if (s->mode == SANDBOX_OFF)
		log_warn("--sandbox=off: a mistake in this program is a mistake with all rights of its user");
	r = sandbox_apply(s, out, &what);
	if (r < 0 && r != -EOPNOTSUPP) {
		write_fmt(why, "cannot confine this process: %s: %s", what, strerror(-r));
		return r;
	}
	sandbox_describe(out, &line);
	log_info("sandbox: %s", writer_cstr(&line) ? (const char *)line.p : "?");
	while ((problem = sandbox_problem(out, &at)))
		log_at(r < 0 ? LOG_LEVEL_ERROR : LOG_LEVEL_WARN, "sandbox: %s", problem);
	if (r == 0 && s->mode != SANDBOX_OFF && sandbox_reaches(o->tls_key)) {
		what = "the private key can still be read: keep it in a folder of its own, owned by root, mode 0600";
		r = s->mode == SANDBOX_STRICT ? -EOPNOTSUPP : 0;
		log_warn("sandbox: %s (%s)", what, o->tls_key);
	}
	if (r < 0)
		write_fmt(why, "--sandbox=strict: %s", what);
	return r;
}
