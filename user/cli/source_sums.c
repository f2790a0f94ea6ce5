// SPDX-License-Identifier: Apache-2.0
/* Digests that somebody else made: lines as sha256sum prints them, which is also the form of Keylime's old allowlists. */
#include <stdio.h>

#include "base/text.h"
#include "cli/cli.h"
#include "cli/policy_cmd.h"
#include "cli/source.h"

/* HEX, one or two spaces or " *", name. NULL, or what is wrong. */
static const char *parse(struct bytes line, uint8_t *alg, uint8_t *digest, struct bytes *name)
{
	struct reader r = reader_of(line), rest;
	struct bytes hex = read_until(&r, ' ');

	if (!reader_ok(&r))
		return "no space behind the digest";
	*alg = hex.n % 2 ? FILE_ALG_NONE : file_alg_infer(hex.n / 2, FILE_ALG_NONE);
	if (*alg == FILE_ALG_NONE || hex_decode(hex, digest, hex.n / 2) < 0)
		return line.n && line.p[0] == '\\' ? "names with line feeds or backslashes are not taken" : "it does not start with a digest";
	rest = r;
	if (reader_left(&r)) {
		uint8_t c = read_u8(&r);

		if (c == ' ' || c == '*')
			rest = r;
	}
	*name = read_rest(&rest);
	return name->n ? NULL : "no name";
}

int source_sums(struct baseline *b, struct source_counts *counts, const char *file)
{
	cleanup_writer_ struct writer text = WRITER(LIMIT_POLICY_FILE), shown = WRITER(2048);
	unsigned long long number = 0;
	struct reader r;
	int result = read_file(file, &text);

	if (result < 0)
		return policy_cannot_read(file, -result);
	r = reader_of(writer_view(&text));
	while (reader_left(&r)) {
		uint8_t alg, digest[FILE_ALG_MAX_SIZE];
		struct bytes line = next_line(&r), name;
		const char *why;

		number++;
		if (!line.n || line.p[0] == '#')
			continue;
		why = parse(line, &alg, digest, &name);
		if (why)
			return cli_fail(EXIT_CODE_ERROR, "policy", "%s, line %llu: %s", policy_quoted(&shown, file), number, why);
		if (baseline_excludes(b, name)) {
			counts->excluded++;
			continue;
		}
		counts->files++;
		result = baseline_file(b, name, alg, (struct bytes){ digest, file_alg_size(alg) });
		if (result < 0)
			return source_failed(result);
	}
	return EXIT_CODE_TRUSTED;
}
