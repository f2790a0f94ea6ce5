// SPDX-License-Identifier: Apache-2.0
#include "verifier/enrol.h"

#include <dirent.h>
#include <fnmatch.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/text.h"

#define PEM_BEGIN "-----BEGIN PUBLIC KEY-----"
#define PEM_END "-----END PUBLIC KEY-----"

void ak_list_clear(struct ak_list *l)
{
	free(l->entries);
	*l = (struct ak_list){ 0 };
}

static int ak_list_add(struct ak_list *l, const struct ak_entry *e)
{
	if (l->n == l->capacity) {
		size_t wanted = l->capacity ? l->capacity * 2 : 16;
		struct ak_entry *larger;

		if (l->n >= LIMIT_SESSIONS)
			return -E2BIG;
		larger = realloc(l->entries, wanted * sizeof(*larger));
		if (!larger)
			return -ENOMEM;
		l->entries = larger;
		l->capacity = wanted;
	}
	l->entries[l->n++] = *e;
	return 0;
}

static void set_label(struct ak_entry *e, struct bytes label)
{
	size_t n = MIN(label.n, (size_t)LIMIT_LABEL);

	bytes_copy(e->label, label.p, n);
	e->label[n] = 0;
}

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The next word of a line; empty at its end. */
static struct bytes next_word(struct reader *line)
{
	struct reader ahead = *line;
	struct bytes rest, word;
	size_t lead = 0, n = 0;

	rest = read_rest(&ahead);
	while (lead < rest.n && is_space(rest.p[lead]))
		lead++;
	while (lead + n < rest.n && !is_space(rest.p[lead + n]))
		n++;
	(void)read_bytes(line, lead);
	word = read_bytes(line, n);
	return word;
}

static int refuse(struct writer *why, unsigned int line, const char *text)
{
	write_fmt(why, "line %u: %s", line, text);
	return 1;
}

static int parse_key(struct ak_entry *e, struct bytes word)
{
	cleanup_writer_ struct writer key = WRITER(LIMIT_PUBLIC);
	int r = hex_decode_to(&key, word);

	if (r < 0)
		return r == -ENOMEM ? r : 1;
	if (key.n == sizeof(e->name)) {
		bytes_copy(e->name, key.p, key.n);
	} else {
		cleanup_ak_ struct ak ak = { 0 };

		r = ak_from_public(writer_view(&key), &ak);
		if (r != QUOTE_OK)
			return r < 0 ? r : 1;
		bytes_copy(e->name, ak.name, sizeof(e->name));
	}
	e->has_name = true;
	return 0;
}

static int parse_line(struct ak_list *l, struct bytes line, unsigned int number, struct writer *why)
{
	struct reader words = reader_of(line);
	struct bytes id = next_word(&words), key = next_word(&words), label = next_word(&words);
	struct ak_entry e = { 0 };
	int r;

	if (id.n == 0 || id.p[0] == '#')
		return 0;
	if (!(id.n == 1 && id.p[0] == '-')) {
		if (hex_decode(id, e.id, sizeof(e.id)) < 0)
			return refuse(why, number, "the attester id is 64 hex digits, or -");
		e.has_id = true;
	}
	r = parse_key(&e, key);
	if (r > 0)
		return refuse(why, number,
			      "the key is a TPM name of 68 hex digits, or the hex of a TPMT_PUBLIC that may attest");
	if (r < 0)
		return r;
	if (next_word(&words).n)
		return refuse(why, number, "text behind the label");
	set_label(&e, label);
	return ak_list_add(l, &e);
}

static int parse_preauth_line(struct ak_list *l, struct bytes line, unsigned int number, struct writer *why)
{
	struct reader words = reader_of(line);
	struct bytes key = next_word(&words), label = next_word(&words);
	struct ak_entry e = { 0 };

	if (key.n == 0 || key.p[0] == '#')
		return 0;
	e.has_id = hex_decode(key, e.id, sizeof(e.id)) == 0;
	e.has_name = !e.has_id && hex_decode(key, e.name, sizeof(e.name)) == 0;
	if (!e.has_id && !e.has_name)
		return refuse(why, number, "an endorsement key's hash has 64 hex digits, an attestation key's name 68");
	if (label.n && label.p[0] == '#')
		label.n = 0;
	else if (next_word(&words).n)
		return refuse(why, number, "text behind the label");
	set_label(&e, label);
	return ak_list_add(l, &e);
}

typedef int (*line_fn)(struct ak_list *l, struct bytes line, unsigned int number, struct writer *why);

static int parse_lines(struct ak_list *l, struct bytes text, line_fn parse, struct writer *why)
{
	struct reader in = reader_of(text);

	for (unsigned int number = 1; reader_left(&in) > 0; number++) {
		struct reader ahead = in;
		struct bytes line = read_until(&ahead, '\n');
		int r;

		if (reader_ok(&ahead))
			in = ahead;
		else
			line = read_rest(&in);
		r = parse(l, line, number, why);
		if (r != 0)
			return r;
	}
	return 0;
}

static int parse_pem(struct ak_list *l, const char *text, const char *label, struct writer *why)
{
	size_t before = l->n;
	const char *at = text;

	while ((at = strstr(at, PEM_BEGIN))) {
		const char *end = strstr(at, PEM_END);
		cleanup_ak_ struct ak ak = { 0 };
		struct ak_entry e = { 0 };
		int r;

		if (!end)
			return refuse(why, 1, "a PEM block without its end");
		end += strlen(PEM_END);
		r = ak_from_pem((struct bytes){ (const uint8_t *)at, (size_t)(end - at) }, &ak);
		if (r > 0)
			return refuse(why, 1, "not a public key that may attest (RSA from 2048, ECC P-256 or P-384)");
		if (r == 0)
			r = ak_fingerprint(&ak, e.fingerprint);
		if (r == 0)
			r = ak_list_add(l, &e);
		if (r < 0)
			return r;
		at = end;
	}
	if (l->n == before + 1 && label)
		set_label(&l->entries[before], (struct bytes){ (const uint8_t *)label, strlen(label) });
	return 0;
}

int ak_list_parse(struct ak_list *l, struct bytes text, const char *label, struct writer *why)
{
	cleanup_writer_ struct writer copy = WRITER(LIMIT_POLICY_FILE);
	const char *s;

	write_bytes(&copy, text.p, text.n);
	s = writer_cstr(&copy);
	if (!s)
		return writer_status(&copy) < 0 ? writer_status(&copy) : -ENOMEM;
	return strstr(s, PEM_BEGIN) ? parse_pem(l, s, label, why) : parse_lines(l, text, parse_line, why);
}

int preauth_parse(struct ak_list *l, struct bytes text, struct writer *why)
{
	return parse_lines(l, text, parse_preauth_line, why);
}

int preauth_load(struct ak_list *l, const char *path, struct writer *why)
{
	cleanup_writer_ struct writer text = WRITER(64u << 20);
	int r = read_file(path, &text);

	return r < 0 ? r : preauth_parse(l, writer_view(&text), why);
}

const struct ak_entry *preauth_find(const struct ak_list *l, const uint8_t *id, const struct ak *ak)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct ak_entry *e = &l->entries[i];

		if (e->has_id ? bytes_equal(e->id, id, sizeof(e->id)) : bytes_equal(e->name, ak->name, sizeof(e->name)))
			return e;
	}
	return NULL;
}

static int load_file(struct ak_list *l, const char *path, struct writer *why)
{
	cleanup_writer_ struct writer text = WRITER(64u << 20);
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
	char label[LIMIT_LABEL + 1];
	int r = read_file(path, &text);

	if (r < 0)
		return r;
	snprintf(label, sizeof(label), "%.*s", (int)(dot ? dot - name : (long)strlen(name)), name);
	r = ak_list_parse(l, writer_view(&text), label, why);
	if (r > 0)
		write_fmt(why, " (%s)", path);
	return r;
}

static int wanted_name(const struct dirent *d)
{
	return fnmatch("*.pem", d->d_name, FNM_PERIOD) == 0 || fnmatch("*.ak", d->d_name, FNM_PERIOD) == 0;
}

int ak_list_load(struct ak_list *l, const char *path, struct writer *why)
{
	struct dirent **names = NULL;
	struct stat st;
	int n, r = 0;

	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return load_file(l, path, why);
	n = scandir(path, &names, wanted_name, alphasort);
	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++) {
		char file[4096];

		if (r == 0 && snprintf(file, sizeof(file), "%s/%s", path, names[i]->d_name) < (int)sizeof(file))
			r = load_file(l, file, why);
		free(names[i]);
	}
	free(names);
	return r;
}

const struct ak_entry *ak_list_find(const struct ak_list *l, const uint8_t *id, const struct ak *ak)
{
	uint8_t fingerprint[32];
	bool have = ak_fingerprint(ak, fingerprint) == 0;

	for (size_t i = 0; i < l->n; i++) {
		const struct ak_entry *e = &l->entries[i];

		if (e->has_id && !bytes_equal(e->id, id, sizeof(e->id)))
			continue;
		if (e->has_name ? ak->has_name && bytes_equal(e->name, ak->name, sizeof(e->name))
				: have && bytes_equal(e->fingerprint, fingerprint, sizeof(fingerprint)))
			return e;
	}
	return NULL;
}
