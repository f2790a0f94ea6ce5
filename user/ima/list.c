// SPDX-License-Identifier: Apache-2.0
/* The stream around the two decoders: bytes in, entries out, errors with their place. */
#include "ima/list.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"
#include "ima/list_internal.h"

#define FAULT_QUOTE_MAX 32u
/* Rebuilt data is not longer than its text but for length words, NULs and one-digit integers: 15 fields of 8 at most. */
#define REBUILT_EXTRA 256u

void list_fault(struct list_fault *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
}

void list_fault_quoted(struct list_fault *f, const char *text, struct bytes foreign)
{
	cleanup_writer_ struct writer w = WRITER(4096);
	const char *quoted;

	write_quoted(&w, foreign, FAULT_QUOTE_MAX);
	quoted = writer_cstr(&w);
	list_fault(f, "%s %s", text, quoted ? quoted : "(not shown)");
}

bool list_column_size_is_known(size_t n)
{
	for (enum hash_alg a = 0; a < HASH_COUNT; a++)
		if (hash_size(a) == n)
			return true;
	return false;
}

int ima_list_new(struct ima_list **out, enum ima_list_format format, size_t digest_size)
{
	struct ima_list *l;

	if (digest_size && !list_column_size_is_known(digest_size))
		return -EINVAL;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->format = format;
	l->digest_size = digest_size;
	l->fed = WRITER(LIMIT_LIST_PENDING);
	l->scratch = WRITER(LIMIT_ENTRY_DATA + REBUILT_EXTRA);
	*out = l;
	return 0;
}

void ima_list_free(struct ima_list **l)
{
	if (!*l)
		return;
	writer_free(&(*l)->fed);
	writer_free(&(*l)->scratch);
	free(*l);
	*l = NULL;
}

/* Room to rebuild the data of any entry within n bytes: then decoding allocates nothing and cannot fail for memory. */
static int reserve_scratch(struct ima_list *l, size_t n)
{
	size_t want = MIN(n, (size_t)LIMIT_ENTRY_DATA) + REBUILT_EXTRA;

	writer_reset(&l->scratch);
	if (!write_space(&l->scratch, want))
		return -ENOMEM;
	writer_reset(&l->scratch);
	return 0;
}

int ima_list_feed(struct ima_list *l, const void *p, size_t n)
{
	size_t left = l->bytes.n - l->pos;

	if (l->finished || l->lent)
		return -EINVAL;
	if (n > LIMIT_LIST_PENDING - left)
		return -EMSGSIZE;
	if (reserve_scratch(l, left + n) < 0)
		return -ENOMEM;
	if (l->pos) {
		if (left)
			memmove(l->fed.p, l->bytes.p + l->pos, left);
		l->fed.n = left;
		l->pos = 0;
	}
	write_bytes(&l->fed, p, n);
	if (writer_status(&l->fed) < 0) {
		l->fed.bad = 0; /* what was fed before is still whole */
		l->bytes = writer_view(&l->fed);
		return -ENOMEM;
	}
	l->bytes = writer_view(&l->fed);
	return 0;
}

int ima_list_lend(struct ima_list *l, struct bytes whole)
{
	if (l->finished || l->lent || l->fed.n)
		return -EINVAL;
	if (reserve_scratch(l, whole.n) < 0)
		return -ENOMEM;
	l->bytes = whole;
	l->lent = true;
	l->finished = true;
	return 0;
}

void ima_list_finish(struct ima_list *l)
{
	l->finished = true;
}

/* The first byte decides: a binary entry starts with its PCR, 0 to 23 as 32 bits, an ASCII one with a digit or, for a
 * one-digit PCR, a space (ima_fs.c: "%2d "). A line feed alone could be PCR 10, so the second byte is looked at too. */
static bool detect_format(struct ima_list *l)
{
	struct reader r = reader_of(l->bytes);
	uint8_t first = read_u8(&r), second = read_u8(&r);

	if (!reader_ok(&r)) {
		if (!l->finished || l->bytes.n == 0)
			return false;
		l->format = IMA_LIST_BINARY; /* one byte in all: torn either way */
		return true;
	}
	l->format = first <= LIMIT_PCR && second == 0 ? IMA_LIST_BINARY : IMA_LIST_ASCII;
	if (first >= 0x80 || (first < ' ' && first != '\n' && first != '\t'))
		l->format = IMA_LIST_BINARY;
	return true;
}

static enum ima_list_result fail(struct ima_list *l, const char *why)
{
	l->failed = true;
	snprintf(l->error, sizeof(l->error), "entry %llu at byte %llu: %s", (unsigned long long)l->count + 1,
		 (unsigned long long)l->offset, why);
	return IMA_LIST_BAD;
}

enum ima_list_result ima_list_next(struct ima_list *l, struct ima_entry *out)
{
	struct reader r = reader_of(l->bytes);
	struct list_fault why = { "" };
	enum ima_list_result result;

	if (l->failed)
		return IMA_LIST_BAD;
	(void)read_bytes(&r, l->pos);
	if (reader_left(&r) == 0)
		return IMA_LIST_MORE;
	if (l->format == IMA_LIST_DETECT && !detect_format(l))
		return IMA_LIST_MORE;
	if (l->format == IMA_LIST_BINARY && l->digest_size == 0) {
		l->digest_size = list_binary_detect(l, r);
		if (l->digest_size == 0)
			return IMA_LIST_MORE;
	}
	result = l->format == IMA_LIST_BINARY ? list_binary_next(l, &r, out, &why) : list_ascii_next(l, &r, out, &why);
	if (result == IMA_LIST_BAD)
		return fail(l, why.text);
	if (result == IMA_LIST_MORE) {
		if (!l->finished)
			return IMA_LIST_MORE;
		list_fault(&why, "the list ends inside this entry, after %zu bytes of it", l->bytes.n - l->pos);
		return fail(l, why.text);
	}
	l->offset += r.pos - l->pos;
	l->pos = r.pos;
	l->count++;
	return IMA_LIST_ENTRY;
}

size_t ima_list_batch(struct ima_list *l, struct ima_entry *out, size_t max, enum ima_list_result *result)
{
	size_t n = 0;

	*result = IMA_LIST_ENTRY;
	while (n < max && *result == IMA_LIST_ENTRY) {
		*result = ima_list_next(l, &out[n]);
		if (*result != IMA_LIST_ENTRY)
			break;
		/* what was put together lies in memory that the next one of its kind takes */
		n++;
		if (l->format == IMA_LIST_ASCII || out[n - 1].data.p == l->scratch.p)
			break;
	}
	return n;
}

const char *ima_list_error(const struct ima_list *l)
{
	return l->error;
}

uint64_t ima_list_count(const struct ima_list *l)
{
	return l->count;
}

uint64_t ima_list_offset(const struct ima_list *l)
{
	return l->offset;
}

size_t ima_list_digest_size(const struct ima_list *l)
{
	return l->digest_size;
}

enum ima_list_format ima_list_format(const struct ima_list *l)
{
	return l->format;
}
