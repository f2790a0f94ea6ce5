// SPDX-License-Identifier: Apache-2.0
/* The kernel's ASCII form: "%2d DIGEST TEMPLATE FIELD FIELD...\n", an empty field leaves two neighbouring spaces. The
 * template data is rebuilt from the text; the digest column tells whether that was possible without loss.
 * Source: security/integrity/ima/ima_fs.c, ima_ascii_measurements_show(); ima_template_lib.c, ima_show_template_data_ascii(). */
#include <stdio.h>

#include "base/text.h"
#include "ima/list_internal.h"
#include "ima/template.h"

#define JOIN_MAX 8u /* a file name may hold line feeds: lines joined until the digest fits */

/* The bytes up to the next space, which is consumed; all that is left when there is none. false: the line was at its end. */
static bool next_token(struct reader *r, bool *at_end, struct bytes *out)
{
	struct reader here = *r;

	if (*at_end)
		return false;
	*out = read_until(r, ' ');
	if (!reader_ok(r)) {
		*r = here;
		*out = read_rest(r);
		*at_end = true;
	}
	return true;
}

static bool decimal(struct bytes t, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (t.n == 0 || t.n > 10)
		return false;
	for (size_t i = 0; i < t.n; i++) {
		if (t.p[i] < '0' || t.p[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(t.p[i] - '0');
	}
	if (v > max)
		return false;
	*out = v;
	return true;
}

/* A field: its length word is filled in behind its bytes. */
static size_t begin_field(struct writer *w)
{
	size_t at = w->n;

	write_u32le(w, 0);
	return at;
}

static void end_field(struct writer *w, size_t at)
{
	size_t n = w->n - at - 4;

	if (writer_status(w) < 0)
		return;
	for (size_t i = 0; i < 4; i++)
		w->p[at + i] = (uint8_t)(n >> 8 * i);
}

static bool put_hex(struct writer *w, struct bytes t)
{
	return hex_decode_to(w, t) != -EINVAL;
}

/* "sha256:HEX" or "ima:sha256:HEX": label with its last colon, NUL, bytes. */
static bool put_labelled(struct writer *w, struct bytes t)
{
	struct reader r = reader_of(t), label = r;
	size_t colon = 0;

	if (t.n == 0)
		return true;
	for (size_t i = 1; i <= t.n; i++)
		if (read_u8(&r) == ':')
			colon = i;
	if (colon == 0)
		return false;
	write_bytes(w, read_bytes(&label, colon).p, colon);
	write_u8(w, 0);
	return put_hex(w, read_rest(&label));
}

static bool put_integer(struct writer *w, struct bytes t, size_t size)
{
	uint64_t v;

	if (t.n == 0)
		return true;
	if (!decimal(t, size == 2 ? UINT16_MAX : UINT32_MAX, &v))
		return false;
	for (size_t i = 0; i < size; i++)
		write_u8(w, (uint8_t)(v >> 8 * i));
	return true;
}

static bool put_field(struct writer *w, enum ima_field f, struct bytes t, bool empty_names_have_nul)
{
	switch (f) {
	case IMA_FIELD_D_NG:
	case IMA_FIELD_D_NGV2:
	case IMA_FIELD_D_MODSIG:
		return put_labelled(w, t);
	case IMA_FIELD_N:
	case IMA_FIELD_N_NG:
		write_bytes(w, t.p, t.n);
		write_u8(w, 0);
		return true;
	case IMA_FIELD_XATTR_NAMES:
		write_bytes(w, t.p, t.n);
		if (t.n || empty_names_have_nul)
			write_u8(w, 0);
		return true;
	case IMA_FIELD_UID:
	case IMA_FIELD_GID:
		return put_integer(w, t, 4);
	case IMA_FIELD_MODE:
		return put_integer(w, t, 2);
	case IMA_FIELD_D:
	case IMA_FIELD_SIG:
	case IMA_FIELD_BUF:
	case IMA_FIELD_MODSIG:
	case IMA_FIELD_EVMSIG:
	case IMA_FIELD_XATTR_LENGTHS:
	case IMA_FIELD_XATTR_VALUES:
		return put_hex(w, t);
	case IMA_FIELD_UNKNOWN:
		return false;
	}
	return false;
}

static bool is_name(enum ima_field f)
{
	return f == IMA_FIELD_N || f == IMA_FIELD_N_NG;
}

static bool is_digest(enum ima_field f)
{
	return f == IMA_FIELD_D || f == IMA_FIELD_D_NG || f == IMA_FIELD_D_NGV2;
}

/* Rebuilds the data from the fields' text into l->scratch. */
static bool ascii_fields(struct ima_list *l, struct reader r, const struct ima_template *t, bool empty_names_have_nul,
			 bool *empty_names, struct list_fault *why)
{
	struct writer *w = &l->scratch;
	bool at_end = false;
	char text[96];

	writer_reset(w);
	*empty_names = false;
	for (size_t i = 0; i < t->n; i++) {
		struct bytes token = { NULL, 0 };
		size_t at = begin_field(w);

		if (i + 1 == t->n && is_name(t->field[i]) && !at_end) {
			token = read_rest(&r); /* lists of before 3.13 have names with spaces */
			at_end = true;
		} else if (!next_token(&r, &at_end, &token) && (is_name(t->field[i]) || is_digest(t->field[i]))) {
			list_fault(why, "the line ends after %zu of %zu fields", i, t->n);
			return false;
		}
		if (t->field[i] == IMA_FIELD_XATTR_NAMES && token.n == 0)
			*empty_names = true;
		if (!put_field(w, t->field[i], token, empty_names_have_nul)) {
			snprintf(text, sizeof(text), "field %zu does not have the form its template says:", i + 1);
			list_fault_quoted(why, text, token);
			return false;
		}
		end_field(w, at);
	}
	if (!at_end) {
		list_fault_quoted(why, "more fields than the template has:", read_rest(&r));
		return false;
	}
	if (writer_status(w) < 0 || w->n > LIMIT_ENTRY_DATA) {
		list_fault(why, "template data exceeds %u bytes", LIMIT_ENTRY_DATA);
		return false;
	}
	return true;
}

/* PCR, digest column and template name; the reader then stands at the fields. */
static bool ascii_header(struct ima_list *l, struct reader *r, struct ima_entry *out, struct list_fault *why)
{
	bool at_end = false;
	struct bytes token = { NULL, 0 };
	struct reader peek = *r;
	uint64_t pcr;
	size_t size;

	*out = (struct ima_entry){ 0 };
	if (read_u8(&peek) == ' ')
		(void)read_u8(r); /* "%2d" */
	if (!next_token(r, &at_end, &token) || !decimal(token, LIMIT_PCR, &pcr)) {
		list_fault_quoted(why, "an entry starts with a PCR number from 0 to 23, not", token);
		return false;
	}
	if (!next_token(r, &at_end, &token) || !list_column_size_is_known(token.n / 2) || token.n % 2) {
		list_fault_quoted(why, "not a template digest of 40, 64, 96 or 128 hex digits:", token);
		return false;
	}
	size = token.n / 2;
	if (l->digest_size && l->digest_size != size) {
		list_fault(why, "a template digest of %zu bytes in a list of %zu", size, l->digest_size);
		return false;
	}
	if (hex_decode(token, l->column, size) < 0) {
		list_fault_quoted(why, "a template digest that is not hex:", token);
		return false;
	}
	if (!next_token(r, &at_end, &token) || token.n == 0 || token.n > LIMIT_TEMPLATE_NAME) {
		list_fault(why, "template name length %zu is not in 1..%u", token.n, LIMIT_TEMPLATE_NAME);
		return false;
	}
	if (at_end) {
		list_fault(why, "the line ends behind the template name");
		return false;
	}
	out->pcr = (uint32_t)pcr;
	out->digest = (struct bytes){ l->column, size };
	out->name = token;
	out->violation = true;
	for (size_t i = 0; i < size; i++)
		if (l->column[i])
			out->violation = false;
	return true;
}

/* One entry from one line. *exact: the digest column proves the rebuilt data, or nothing can (a violation). */
static bool ascii_line(struct ima_list *l, struct bytes line, struct ima_entry *out, bool *exact, struct list_fault *why)
{
	struct reader r = reader_of(line);
	struct ima_template scratch;
	const struct ima_template *t;
	bool empty_names, ignored;

	if (!ascii_header(l, &r, out, why))
		return false;
	t = ima_template_find(out->name, &scratch);
	if (!t->known) {
		list_fault_quoted(why, "an ASCII list cannot carry this unknown template, use the binary list:", out->name);
		return false;
	}
	if (!ascii_fields(l, r, t, false, &empty_names, why))
		return false;
	out->data = writer_view(&l->scratch);
	*exact = ima_digest_matches(out);
	if (*exact || !empty_names)
		return true;
	/* an empty list of names looks the same with and without its NUL */
	if (ascii_fields(l, r, t, true, &ignored, why)) {
		out->data = writer_view(&l->scratch);
		*exact = ima_digest_matches(out);
		if (*exact)
			return true;
	}
	if (!ascii_fields(l, r, t, false, &ignored, why))
		return false;
	out->data = writer_view(&l->scratch);
	return true;
}

/* For the line behind a violation, whose data no digest proves: what does not even start with a PCR belongs to its name. */
static bool starts_like_entry(struct bytes line)
{
	struct reader r = reader_of(line), peek = r;
	struct bytes token;
	bool at_end = false;
	uint64_t pcr;

	if (read_u8(&peek) == ' ')
		(void)read_u8(&r);
	return next_token(&r, &at_end, &token) && decimal(token, LIMIT_PCR, &pcr);
}

static bool looks_like_entry(struct ima_list *l, struct bytes line)
{
	uint8_t column[HASH_MAX_SIZE];
	struct list_fault ignored;
	struct ima_entry e;
	struct reader r = reader_of(line);
	bool yes;

	bytes_copy(column, l->column, sizeof(column));
	yes = ascii_header(l, &r, &e, &ignored);
	bytes_copy(l->column, column, sizeof(column));
	return yes;
}

/* Takes the next line; false when it is not whole yet. The last one needs no line feed once the list is finished. */
static bool take_line(const struct ima_list *l, struct reader *r, struct bytes *line)
{
	struct reader here = *r;

	if (reader_left(r) == 0)
		return false;
	*line = read_until(r, '\n');
	if (reader_ok(r))
		return true;
	*r = here;
	if (!l->finished)
		return false;
	*line = read_rest(r);
	return true;
}

/* The first line alone is no provable entry: a file name with line feeds spreads over several. IMA_LIST_MORE when lines
 * that could belong to it have not arrived; IMA_LIST_BAD when no number of lines helps. */
static enum ima_list_result ascii_joined(struct ima_list *l, struct reader start, struct reader *r, bool violation,
					 struct ima_entry *out)
{
	struct list_fault ignored;

	for (unsigned int i = 0; i < JOIN_MAX; i++) {
		struct bytes next, joined;
		struct reader whole = start;
		bool exact;

		if (!take_line(l, r, &next))
			return l->finished ? IMA_LIST_BAD : IMA_LIST_MORE;
		if (violation && starts_like_entry(next))
			return IMA_LIST_BAD;
		joined = read_bytes(&whole, r->pos - start.pos);
		if (joined.n && joined.p[joined.n - 1] == '\n')
			joined.n--;
		if (!ascii_line(l, joined, out, &exact, &ignored) || !exact)
			continue;
		if (violation) {
			struct reader peek = *r;

			if (take_line(l, &peek, &next)) {
				if (!starts_like_entry(next))
					continue;
			} else if (!l->finished) {
				return IMA_LIST_MORE;
			}
		}
		return IMA_LIST_ENTRY;
	}
	return IMA_LIST_BAD;
}

enum ima_list_result list_ascii_next(struct ima_list *l, struct reader *r, struct ima_entry *out, struct list_fault *why)
{
	struct reader start = *r, longer, peek;
	bool sound, exact = false, violation;
	struct bytes line, next;
	struct ima_entry head;

	if (!take_line(l, r, &line)) {
		if (reader_left(r) > LIMIT_ASCII_LINE) {
			list_fault(why, "a line exceeds %u bytes", LIMIT_ASCII_LINE);
			return IMA_LIST_BAD;
		}
		return IMA_LIST_MORE;
	}
	if (line.n > LIMIT_ASCII_LINE) {
		list_fault(why, "a line exceeds %u bytes", LIMIT_ASCII_LINE);
		return IMA_LIST_BAD;
	}
	sound = ascii_line(l, line, out, &exact, why);
	violation = sound && out->violation;
	peek = *r;
	if (violation && !take_line(l, &peek, &next) && !l->finished)
		return IMA_LIST_MORE; /* whether the next line belongs to it shows when it is there */
	peek = *r;
	if (exact && (!violation || !take_line(l, &peek, &next) || starts_like_entry(next))) {
		l->digest_size = out->digest.n;
		return IMA_LIST_ENTRY;
	}
	if (sound || looks_like_entry(l, line)) {
		longer = *r;
		switch (ascii_joined(l, start, &longer, violation, out)) {
		case IMA_LIST_ENTRY:
			*r = longer;
			l->digest_size = out->digest.n;
			return IMA_LIST_ENTRY;
		case IMA_LIST_MORE:
			return IMA_LIST_MORE;
		case IMA_LIST_BAD:
			break;
		}
	}
	sound = ascii_line(l, line, &head, &exact, why);
	if (!sound)
		return IMA_LIST_BAD;
	*out = head;
	l->digest_size = out->digest.n;
	return IMA_LIST_ENTRY;
}
