// SPDX-License-Identifier: Apache-2.0
#include "policy/exclude.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "imastream/limits.h"

struct exclude_set {
	pcre2_compile_context *compile;
	pcre2_match_context *match; /* only read while matching: shared by threads */
	pcre2_code *codes[LIMIT_POLICY_EXCLUDES];
	struct bytes texts[LIMIT_POLICY_EXCLUDES]; /* owned: the rules as they were given */
	struct bytes starts[LIMIT_POLICY_EXCLUDES]; /* of the texts: what every path that matches begins with; may be empty */
	size_t n;
};

int exclude_set_new(struct exclude_set **out)
{
	cleanup_exclude_set_ struct exclude_set *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->compile = pcre2_compile_context_create(NULL);
	s->match = pcre2_match_context_create(NULL);
	if (!s->compile || !s->match)
		return -ENOMEM;
	/* As in Python: '.' stops at a line feed only. Own limits: a policy must not be able to stop a verifier. */
	if (pcre2_set_newline(s->compile, PCRE2_NEWLINE_LF) != 0 ||
	    pcre2_set_parens_nest_limit(s->compile, 100) != 0 ||
	    pcre2_set_match_limit(s->match, LIMIT_REGEX_STEPS) != 0 ||
	    pcre2_set_depth_limit(s->match, LIMIT_REGEX_STEPS) != 0 ||
	    pcre2_set_heap_limit(s->match, LIMIT_REGEX_HEAP) != 0)
		return -EINVAL;
	*out = TAKE_PTR(s);
	return 0;
}

void exclude_set_free(struct exclude_set **s)
{
	if (!*s)
		return;
	for (size_t i = 0; i < (*s)->n; i++) {
		pcre2_code_free((*s)->codes[i]);
		free((void *)(uintptr_t)(*s)->texts[i].p);
	}
	pcre2_compile_context_free((*s)->compile);
	pcre2_match_context_free((*s)->match);
	free(*s);
	*s = NULL;
}

/* What stands behind a backslash in Python's re, outside and inside of [ ]; other letters are errors there, while PCRE2
 * gives many of them a meaning. */
static const char escapes[] = "AbBdDsSwWZafnrtvx";
static const char class_escapes[] = "bdDsSwWafnrtvx";

static uint8_t peek(const struct reader *r)
{
	struct reader ahead = *r;

	return reader_left(&ahead) ? read_u8(&ahead) : 0;
}

static bool is_letter(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool is_hex(uint8_t c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Behind a backslash. NULL or why not. */
static const char *translate_escape(struct reader *r, bool in_class, struct writer *out)
{
	uint8_t c;

	if (!reader_left(r))
		return "a backslash at the end";
	c = read_u8(r);
	if (is_letter(c) && !strchr(in_class ? class_escapes : escapes, c))
		return "an escape that Python's re does not have, or that is not taken here";
	if (c == 'v') { /* one character in Python, a class in PCRE2 */
		write_fmt(out, "\\x0b");
		return NULL;
	}
	write_u8(out, '\\');
	write_u8(out, c == 'Z' ? 'z' : c); /* Python's \Z is the very end */
	for (int i = 0; c == 'x' && i < 2; i++) {
		if (!is_hex(peek(r)))
			return "\\x without two hexadecimal digits";
		write_u8(out, read_u8(r));
	}
	return NULL;
}

/* Behind "[". */
static const char *translate_class(struct reader *r, struct writer *out)
{
	const char *why;
	bool first = true;

	write_u8(out, '[');
	if (peek(r) == '^')
		write_u8(out, read_u8(r));
	while (reader_left(r)) {
		uint8_t c = read_u8(r);

		if (c == '\\') {
			if ((why = translate_escape(r, true, out)))
				return why;
		} else if (c == '[' || (c == ']' && first)) {
			write_u8(out, '\\'); /* Python has no [:alpha:] inside of [ ]: plain characters */
			write_u8(out, c);
		} else {
			write_u8(out, c);
			if (c == ']')
				return NULL;
		}
		first = false;
	}
	return "missing ]";
}

/* Behind "(". */
static const char *translate_group(struct reader *r, struct writer *out)
{
	uint8_t c;

	write_u8(out, '(');
	if (peek(r) == '*')
		return "nothing to repeat";
	if (peek(r) != '?')
		return NULL;
	write_u8(out, read_u8(r));
	c = reader_left(r) ? read_u8(r) : 0;
	write_u8(out, c);
	switch (c) {
	case ':':
	case '=':
	case '!':
	case '>':
		return NULL;
	case '<': /* look-behind */
		return peek(r) == '=' || peek(r) == '!' ? NULL : "unknown extension ?<";
	case 'P': /* a named group, or a reference to one */
		return peek(r) == '<' || peek(r) == '=' ? NULL : "unknown extension ?P";
	case '(': /* by the number of a group, or its name */
		return is_digit(peek(r)) ? NULL : "only a group's number may be a condition";
	case '#': /* comment */
		while (reader_left(r)) {
			c = read_u8(r);
			write_u8(out, c);
			if (c == ')')
				return NULL;
		}
		return "missing ), unterminated comment";
	default:
		break;
	}
	while (c == 'i' || c == 'm' || c == 's' || c == '-') {
		c = reader_left(r) ? read_u8(r) : 0;
		write_u8(out, c);
	}
	return c == ':' || c == ')' ? NULL : "a group extension or flag that is not taken here (taken: i, m, s)";
}

/* Behind "{": Python reads {,n} as {0,n}, PCRE2 up to 10.42 as plain text. */
static void translate_brace(const struct reader *r, struct writer *out)
{
	struct reader ahead = *r;
	uint8_t c;

	write_u8(out, '{');
	if (!reader_left(&ahead) || read_u8(&ahead) != ',')
		return;
	do
		c = reader_left(&ahead) ? read_u8(&ahead) : 0;
	while (is_digit(c));
	if (c == '}')
		write_u8(out, '0');
}

/* The same rule in PCRE2's words. Rewrites what the two read differently and refuses what Python refuses but PCRE2 takes.
 * NULL, or why the rule is refused. Source: Python library reference, "re - Regular expression operations"; pcre2pattern(3). */
static const char *from_python(struct bytes pattern, struct writer *out)
{
	struct reader r = reader_of(pattern);
	const char *why = NULL;

	while (!why && reader_left(&r)) {
		uint8_t c = read_u8(&r);

		if (c == '\\')
			why = translate_escape(&r, false, out);
		else if (c == '[')
			why = translate_class(&r, out);
		else if (c == '(')
			why = translate_group(&r, out);
		else if (c == '{')
			translate_brace(&r, out);
		else
			write_u8(out, c);
	}
	return why;
}

/* Bytes of the UTF-8 sequence at the reader (RFC 3629, section 4); 0 when there is none. */
static size_t utf8_length(struct reader r)
{
	uint8_t first = read_u8(&r), second = reader_left(&r) ? peek(&r) : 0, low = 0x80, high = 0xbf;
	size_t n;

	if (first < 0x80)
		return 1;
	if (first >= 0xc2 && first <= 0xdf)
		n = 2;
	else if (first >= 0xe0 && first <= 0xef)
		n = 3;
	else if (first >= 0xf0 && first <= 0xf4)
		n = 4;
	else
		return 0;
	if (first == 0xe0)
		low = 0xa0; /* shorter form exists */
	else if (first == 0xed)
		high = 0x9f; /* surrogates */
	else if (first == 0xf0)
		low = 0x90; /* shorter form exists */
	else if (first == 0xf4)
		high = 0x8f; /* past U+10FFFF */
	if (second < low || second > high)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((read_u8(&r) & 0xc0) != 0x80)
			return 0;
	return n;
}

static bool is_ascii(struct bytes b)
{
	uint8_t all = 0;

	for (size_t i = 0; i < b.n; i++)
		all |= b.p[i];
	return all < 0x80;
}

/* The path as text: U+FFFD for each byte that is no UTF-8. PCRE2's own way with such bytes (PCRE2_MATCH_INVALID_UTF) is
 * not used: without JIT it takes them for an end and what follows for a start, and they are the attacker's choice. */
static bool as_text(struct bytes path, struct writer *w, struct bytes *out)
{
	struct reader r = reader_of(path);

	if (is_ascii(path)) {
		*out = path;
		return true;
	}
	while (reader_left(&r)) {
		size_t n = utf8_length(r);
		struct bytes b = read_bytes(&r, n ? n : 1);

		if (n)
			write_bytes(w, b.p, b.n);
		else
			write_bytes(w, "\xef\xbf\xbd", 3);
	}
	*out = writer_view(w);
	return writer_status(w) == 0;
}

/* No meaning in a regular expression. */
static bool is_plain(uint8_t c)
{
	return is_letter(c) || is_digit(c) || (c && strchr("/_-,:@=~%", c));
}

/* What each path begins with that the rule can match: most rules name a folder, and most paths are elsewhere. Nothing where
 * alternatives could begin otherwise, or options change what letters mean. */
static struct bytes plain_start(struct bytes pattern)
{
	struct reader r = reader_of(pattern), start;
	size_t n = 0;

	if (pattern.n == 0 || memchr(pattern.p, '|', pattern.n) || memmem(pattern.p, pattern.n, "(?", 2))
		return (struct bytes){ NULL, 0 };
	if (peek(&r) == '^')
		(void)read_u8(&r);
	start = r;
	for (; reader_left(&r) && is_plain(peek(&r)); n++)
		(void)read_u8(&r);
	if (n && reader_left(&r) && strchr("*?+{", peek(&r)))
		n--; /* may be missing */
	return read_bytes(&start, n);
}

static bool begins_with(struct bytes text, struct bytes start)
{
	return start.n <= text.n && (start.n == 0 || bytes_equal(text.p, start.p, start.n));
}

/* text: valid UTF-8. */
static bool code_matches(const struct exclude_set *s, const pcre2_code *code, pcre2_match_data *data, struct bytes text)
{
	static const uint8_t nothing[1];

	/* Any negative result is "no": no match, or a limit was reached. */
	return pcre2_match(code, text.n ? text.p : nothing, text.n, 0, PCRE2_NO_UTF_CHECK, data, s->match) >= 0;
}

int exclude_add(struct exclude_set *s, struct bytes pattern, struct writer *why)
{
	cleanup_writer_ struct writer translated = WRITER(8u * LIMIT_REGEX + 16);
	cleanup_free_ uint8_t *text = NULL;
	const char *refused;
	pcre2_code *code;
	PCRE2_SIZE at = 0;
	int error = 0;

	if (s->n == LIMIT_POLICY_EXCLUDES) {
		write_fmt(why, "more than %u rules", LIMIT_POLICY_EXCLUDES);
		return 1;
	}
	if (pattern.n > LIMIT_REGEX) {
		write_fmt(why, "longer than %u bytes", LIMIT_REGEX);
		return 1;
	}
	refused = from_python(pattern, &translated);
	if (refused) {
		write_fmt(why, "%s", refused);
		return 1;
	}
	if (!writer_cstr(&translated))
		return writer_status(&translated);
	text = alloc_bytes(pattern.n);
	if (!text)
		return -ENOMEM;
	bytes_copy(text, pattern.p, pattern.n);
	code = pcre2_compile(translated.p, translated.n,
			     PCRE2_ANCHORED | PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error,
			     &at, s->compile);
	if (!code) {
		PCRE2_UCHAR message[128] = "";

		if (error == PCRE2_ERROR_HEAP_FAILED)
			return -ENOMEM;
		(void)pcre2_get_error_message(error, message, sizeof(message));
		write_fmt(why, "%s at offset %zu", (const char *)message, (size_t)at);
		return 1;
	}
	/* Without JIT (not built in, no executable memory) the interpreter does the same, slower. */
	(void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
	s->texts[s->n] = (struct bytes){ TAKE_PTR(text), pattern.n };
	s->starts[s->n] = plain_start(s->texts[s->n]);
	s->codes[s->n++] = code;
	return 0;
}

size_t exclude_count(const struct exclude_set *s)
{
	return s->n;
}

bool exclude_last_covers_all(const struct exclude_set *s)
{
	static const char *const probes[] = { "", "x", "/x/y z" };
	pcre2_match_data *data;
	bool all = s->n > 0;

	data = pcre2_match_data_create(1, NULL);
	for (size_t i = 0; data && all && i < ARRAY_SIZE(probes); i++)
		all = code_matches(s, s->codes[s->n - 1], data,
				   (struct bytes){ (const uint8_t *)probes[i], strlen(probes[i]) });
	if (!data)
		return false;
	pcre2_match_data_free(data);
	return all;
}

/* From this rule on, which may match. */
static bool which_from(const struct exclude_set *s, size_t first, struct bytes path, size_t *rule)
{
	cleanup_writer_ struct writer w = WRITER(3u * LIMIT_EXCLUDE_PATH);
	pcre2_match_data *data = NULL; /* one for each call: the set is shared by threads */
	struct bytes text;
	bool hit = false;

	for (size_t i = first; i < s->n && !hit; i++) {
		if (!begins_with(path, s->starts[i])) /* which is ASCII: the same in the text */
			continue;
		if (!data && as_text(path, &w, &text))
			data = pcre2_match_data_create(1, NULL);
		if (!data)
			return false;
		hit = code_matches(s, s->codes[i], data, text);
		if (hit)
			*rule = i;
	}
	pcre2_match_data_free(data);
	return hit;
}

bool exclude_which(const struct exclude_set *s, struct bytes path, size_t *rule)
{
	if (path.n > LIMIT_EXCLUDE_PATH)
		return false;
	for (size_t i = 0; i < s->n; i++)
		if (begins_with(path, s->starts[i])) /* few do: no text is made of the others */
			return which_from(s, i, path, rule);
	return false;
}

bool exclude_matches(const struct exclude_set *s, struct bytes path)
{
	size_t rule;

	return exclude_which(s, path, &rule);
}

struct bytes exclude_text(const struct exclude_set *s, size_t i)
{
	return s->texts[i];
}
