// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

void write_hex(struct writer *w, const void *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *b = p;
	uint8_t *at;

	if (n > SIZE_MAX / 2) {
		w->bad = -EMSGSIZE;
		return;
	}
	at = write_space(w, 2 * n);
	for (size_t i = 0; at && i < n; i++) {
		at[2 * i] = (uint8_t)digits[b[i] >> 4];
		at[2 * i + 1] = (uint8_t)digits[b[i] & 15];
	}
}

/* A digit's value + 1; 0: not a digit. */
static const uint8_t hex_digit[256] = {
	['0'] = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ['a'] = 11, 12, 13, 14, 15, 16, ['A'] = 11, 12, 13, 14, 15, 16,
};

int hex_decode(struct bytes text, uint8_t *dst, size_t n)
{
	bool bad = false;

	if (text.n % 2 || text.n / 2 != n)
		return -EINVAL;
	for (size_t i = 0; i < text.n; i++)
		bad |= !hex_digit[text.p[i]];
	if (bad)
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		dst[i] = (uint8_t)((hex_digit[text.p[2 * i]] - 1) << 4 | (hex_digit[text.p[2 * i + 1]] - 1));
	return 0;
}

int hex_decode_to(struct writer *w, struct bytes text)
{
	size_t before = w->n;
	uint8_t *at;
	int r;

	if (text.n % 2)
		return -EINVAL;
	at = write_space(w, text.n / 2);
	if (!at)
		return w->bad;
	r = hex_decode(text, at, text.n / 2);
	if (r < 0)
		w->n = before;
	return r;
}

/* Length of the valid UTF-8 sequence at the front of b (RFC 3629), and its code point; 0 when there is none. */
static size_t utf8_sequence(struct bytes b, uint32_t *cp)
{
	uint8_t c = b.p[0];
	size_t n;
	uint32_t min;

	if (c < 0x80) {
		*cp = c;
		return 1;
	}
	if (c >= 0xc2 && c <= 0xdf) {
		n = 2;
		*cp = c & 0x1fu;
		min = 0x80;
	} else if (c >= 0xe0 && c <= 0xef) {
		n = 3;
		*cp = c & 0x0fu;
		min = 0x800;
	} else if (c >= 0xf0 && c <= 0xf4) {
		n = 4;
		*cp = c & 0x07u;
		min = 0x10000;
	} else {
		return 0;
	}
	if (b.n < n)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((b.p[i] & 0xc0) != 0x80)
			return 0;
		*cp = *cp << 6 | (b.p[i] & 0x3fu);
	}
	if (*cp < min || *cp > 0x10ffff || (*cp >= 0xd800 && *cp <= 0xdfff))
		return 0;
	return n;
}

/* What could move the cursor, change colour or direction, or be invisible. */
static bool unsafe_for_terminal(uint32_t cp)
{
	return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == 0x61c || cp == 0xad || (cp >= 0x200b && cp <= 0x200f) ||
	       (cp >= 0x2028 && cp <= 0x202e) || (cp >= 0x2060 && cp <= 0x206f) || cp == 0xfeff ||
	       (cp >= 0xfff9 && cp <= 0xfffb) || (cp >= 0xe0000 && cp <= 0xe0fff);
}

void write_quoted(struct writer *w, struct bytes b, size_t max_bytes)
{
	size_t shown = MIN(b.n, max_bytes);

	write_u8(w, '\'');
	for (size_t i = 0; i < shown;) {
		struct bytes rest = { b.p + i, b.n - i };
		uint32_t cp = 0;
		size_t n = utf8_sequence(rest, &cp);

		if (n == 0 || unsafe_for_terminal(cp)) {
			for (size_t k = 0; k < MAX(n, (size_t)1); k++)
				write_fmt(w, "\\x%02x", rest.p[k]);
			i += MAX(n, (size_t)1);
			continue;
		}
		if (cp == '\'' || cp == '\\')
			write_u8(w, '\\');
		write_bytes(w, rest.p, n);
		i += n;
	}
	write_u8(w, '\'');
	if (shown < b.n)
		write_fmt(w, "…");
}

void write_safe(struct writer *w, struct bytes b)
{
	for (size_t i = 0; i < b.n;) {
		struct bytes rest = { b.p + i, b.n - i };
		uint32_t cp = 0;
		size_t n = utf8_sequence(rest, &cp);

		if (rest.p[0] == '\n' || (n > 0 && !unsafe_for_terminal(cp)))
			write_bytes(w, rest.p, MAX(n, (size_t)1));
		else
			for (size_t k = 0; k < MAX(n, (size_t)1); k++)
				write_fmt(w, "\\x%02x", rest.p[k]);
		i += MAX(n, (size_t)1);
	}
}

void write_utf8_lossy(struct writer *w, struct bytes b)
{
	for (size_t i = 0; i < b.n;) {
		struct bytes rest = { b.p + i, b.n - i };
		uint32_t cp = 0;
		size_t n = utf8_sequence(rest, &cp);

		if (n == 0) {
			write_fmt(w, "\\x%02x", rest.p[0]);
			i++;
		} else {
			write_bytes(w, rest.p, n);
			i += n;
		}
	}
}

int parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (!*s)
		return -EINVAL;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return -ERANGE;
	}
	if (v < min || v > max)
		return -ERANGE;
	*out = v;
	return 0;
}

int parse_duration_us(const char *s, uint64_t *out)
{
	static const struct {
		const char *unit;
		uint64_t us;
	} units[] = { { "us", 1 }, { "ms", 1000 }, { "s", 1000000 }, { "m", 60000000 }, { "h", 3600000000 }, { "", 1000000 } };
	uint64_t whole = 0, fraction = 0, scale = 1;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	for (; *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(whole, 10u, &whole) || __builtin_add_overflow(whole, (uint64_t)(*s - '0'), &whole))
			return -ERANGE;
	if (*s == '.') {
		s++;
		if (*s < '0' || *s > '9')
			return -EINVAL;
		for (; *s >= '0' && *s <= '9'; s++) {
			if (scale >= 1000000000u)
				return -EINVAL;
			scale *= 10;
			fraction = fraction * 10 + (uint64_t)(*s - '0');
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		uint64_t v;

		if (strcmp(s, units[i].unit) != 0)
			continue;
		if (__builtin_mul_overflow(whole, units[i].us, &v))
			return -ERANGE;
		if (__builtin_add_overflow(v, (uint64_t)((unsigned __int128)fraction * units[i].us / scale), &v))
			return -ERANGE;
		*out = v;
		return 0;
	}
	return -EINVAL;
}

int parse_size(const char *s, uint64_t *out)
{
	char digits[24];
	size_t n = strspn(s, "0123456789");
	unsigned int shift = 0;
	uint64_t v;
	int r;

	if (n == 0 || n >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, s, n);
	digits[n] = 0;
	if (s[n]) {
		const char *at = strchr("KMG", s[n]);

		if (!at || s[n + 1])
			return -EINVAL;
		shift = 10u * (unsigned int)(at - "KMG" + 1);
	}
	r = parse_u64(digits, 0, UINT64_MAX >> shift, &v);
	if (r < 0)
		return r;
	*out = v << shift;
	return 0;
}

int read_file(const char *path, struct writer *w)
{
	bool standard_input = strcmp(path, "-") == 0;
	cleanup_fd_ int own = -1;
	int fd = STDIN_FILENO;

	if (!standard_input) {
		own = open(path, O_RDONLY | O_CLOEXEC);
		if (own < 0)
			return -errno;
		fd = own;
	}
	for (;;) {
		size_t room = 65536;
		uint8_t *at;
		ssize_t n;

		if (w->n == w->max) {
			uint8_t extra;

			n = read(fd, &extra, 1);
			if (n < 0 && errno == EINTR)
				continue;
			if (n < 0)
				return -errno;
			return n == 0 ? 0 : -EMSGSIZE;
		}
		room = MIN(room, w->max - w->n);
		at = write_space(w, room);
		if (!at)
			return w->bad;
		n = read(fd, at, room);
		w->n -= room;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		w->n += (size_t)n;
	}
}

int write_file_atomic(const char *path, struct bytes b, unsigned int mode)
{
	cleanup_free_ char *temporary = NULL;
	cleanup_fd_ int fd = -1;
	size_t done = 0;
	int r;

	if (asprintf(&temporary, "%s.XXXXXX", path) < 0) {
		temporary = NULL;
		return -ENOMEM;
	}
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (done < b.n) {
		ssize_t n = write(fd, b.p + done, b.n - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			r = -errno;
			goto fail;
		}
		done += (size_t)n;
	}
	if (fchmod(fd, mode) < 0 || fsync(fd) < 0 || rename(temporary, path) < 0) {
		r = -errno;
		goto fail;
	}
	return 0;
fail:
	unlink(temporary);
	return r;
}
