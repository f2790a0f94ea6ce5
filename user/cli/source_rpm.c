// SPDX-License-Identifier: Apache-2.0
/* Installed rpm packages: digests come from the headers in rpm's database, which their makers signed; the files are only
 * asked for their real names. rpm(8) "QUERY OPTIONS", rpm-queryformat(7). */
#include <stdio.h>
#include <sys/stat.h>

#include "base/text.h"
#include "cli/cli.h"
#include "cli/policy_cmd.h"
#include "cli/source.h"

#define LINE_MAX_BYTES (LIMIT_TAR_NAME + 512u)

/* RFC 4880 section 9.4, as RPMTAG_FILEDIGESTALGO has it; "(none)" in packages of old: MD5. */
static uint8_t alg_of(struct bytes text)
{
	static const struct {
		const char *text;
		uint8_t alg;
	} algs[] = { { "(none)", FILE_ALG_MD5 }, { "1", FILE_ALG_MD5 },	    { "2", FILE_ALG_SHA1 },   { "8", FILE_ALG_SHA256 },
		     { "9", FILE_ALG_SHA384 },	 { "10", FILE_ALG_SHA512 }, { "11", FILE_ALG_SHA224 } };

	for (size_t i = 0; i < ARRAY_SIZE(algs); i++)
		if (strlen(algs[i].text) == text.n && bytes_equal(algs[i].text, text.p, text.n))
			return algs[i].alg;
	return FILE_ALG_NONE;
}

/* "P" begins a package; else ALGORITHM, MODE, STATE, DIGEST, NAME with tabs between. 0; 1: not of that form; negative errno. */
static int one_line(struct source *s, struct bytes line)
{
	struct reader r = reader_of(line);
	struct bytes alg_text, mode_text, state, hex, path;
	cleanup_free_ char *name = NULL, *mode_copy = NULL;
	uint8_t digest[FILE_ALG_MAX_SIZE], alg;
	uint64_t mode;
	char *real = NULL;
	mode_t found_mode;
	int fd, found;

	if (line.n == 1 && line.p[0] == 'P') {
		s->counts.packages++;
		return 0;
	}
	alg_text = read_until(&r, '\t');
	mode_text = read_until(&r, '\t');
	state = read_until(&r, '\t');
	hex = read_until(&r, '\t');
	path = read_rest(&r);
	mode_copy = strndup((const char *)mode_text.p, mode_text.n);
	name = strndup((const char *)path.p, path.n);
	if (!reader_ok(&r) || !path.n || path.p[0] != '/' || !mode_copy || !name || parse_u64(mode_copy, 0, 0xffff, &mode) < 0)
		return 1;
	/* Directories and links have no digest, ghosts neither; a state other than "normal" (0) is not on the disk as such. */
	if (!S_ISREG((mode_t)mode) || !hex.n)
		return 0;
	if (state.n != 1 || state.p[0] != '0') {
		s->counts.missing++;
		return 0;
	}
	alg = alg_of(alg_text);
	if (alg == FILE_ALG_NONE || hex.n != 2 * file_alg_size(alg) || hex_decode(hex, digest, file_alg_size(alg)) < 0)
		return 1;
	if (s->executables && !(mode & 0111) && !loaded_by_name(name)) {
		s->counts.not_loaded++;
		return 0;
	}
	found = source_find(s, name, &fd, &found_mode, &real);
	if (found == 0)
		close(fd);
	if (found == -ENOENT)
		s->counts.missing++;
	if (found == -ENOMEM)
		return found;
	found = source_add(s, real ? real : name, alg, (struct bytes){ digest, file_alg_size(alg) });
	free(real);
	return found;
}

static int read_lines(struct source *s, int fd)
{
	cleanup_free_ uint8_t *buf = alloc_bytes(LINE_MAX_BYTES);
	size_t have = 0;
	int r = 0;

	if (!buf)
		return -ENOMEM;
	while (r == 0) {
		ssize_t n = read(fd, buf + have, LINE_MAX_BYTES - have);
		struct reader lines;
		size_t used = 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return have ? 1 : 0;
		have += (size_t)n;
		lines = reader_over(buf, have);
		for (;;) {
			struct bytes line = read_until(&lines, '\n');

			if (!reader_ok(&lines))
				break;
			used = lines.pos;
			r = one_line(s, line);
			if (r != 0)
				return r;
		}
		if (!used && have == LINE_MAX_BYTES)
			return 1;
		memmove(buf, buf + used, have - used);
		have -= used;
	}
	return r;
}

/* Where the database of another root is: given to rpm as --dbpath, for --root wants to chroot. NULL: this machine's. */
static int database_of(const struct source *s, char **out)
{
	static const char *const places[] = { "/usr/lib/sysimage/rpm", "/var/lib/rpm" };

	if (!s->root_path[0])
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		struct stat st;
		char *path;

		if (asprintf(&path, "%s%s", s->root_path, places[i]) < 0)
			return -ENOMEM;
		if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
			*out = path;
			return 0;
		}
		free(path);
	}
	return -ENOENT;
}

int source_rpm(struct source *s)
{
	static char query[] = "P\\n[%{=FILEDIGESTALGO}\\t%{FILEMODES}\\t%{FILESTATES}\\t%{FILEDIGESTS}\\t%{FILENAMES}\\n]";
	char *argv[] = { (char *)"rpm", (char *)"-qa", (char *)"--qf", query, NULL, NULL, NULL };
	cleanup_writer_ struct writer name = WRITER(2048);
	cleanup_free_ char *database = NULL;
	struct helper helper;
	int r = database_of(s, &database), ended;

	if (r == -ENOENT)
		return cli_fail(EXIT_CODE_ERROR, "policy", "no rpm database under %s", policy_quoted(&name, s->root));
	if (database) {
		argv[4] = (char *)"--dbpath";
		argv[5] = database;
	}
	if (r == 0)
		r = helper_start(&helper, argv);
	if (r == -ENOENT)
		return cli_fail(EXIT_CODE_UNSUPPORTED, "policy",
				"there is no rpm here, which reads the database: install the package rpm, or make the policy on "
				"a host that has it");
	if (r < 0)
		return source_failed(r);
	r = read_lines(s, helper.out);
	ended = helper_end(&helper);
	if (r < 0 || ended < 0)
		return source_failed(r < 0 ? r : ended);
	if (r > 0)
		return cli_fail(EXIT_CODE_ERROR, "policy", "rpm says something that is not understood");
	if (ended > 0)
		return cli_fail(EXIT_CODE_ERROR, "policy", "rpm cannot read the database of %s, see above",
				policy_quoted(&name, s->root));
	if (!s->counts.packages)
		return cli_fail(EXIT_CODE_ERROR, "policy", "no packages in the rpm database of %s", policy_quoted(&name, s->root));
	return EXIT_CODE_TRUSTED;
}
