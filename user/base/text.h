/* SPDX-License-Identifier: Apache-2.0 */
/* Text for people and machines: hex, escaping of foreign bytes, strict numbers. */
#pragma once

#include "base/buf.h"

/* Lower-case hex of n bytes. */
void write_hex(struct writer *w, const void *p, size_t n);
/* Decodes exactly n bytes of hex (2 n digits, either case) into dst. 0, or -EINVAL; dst untouched on failure. */
must_use_ int hex_decode(struct bytes text, uint8_t *dst, size_t n);
/* Same, any length: appends to w. 0, -EINVAL (odd length, not hex) or the writer's failure. */
must_use_ int hex_decode_to(struct writer *w, struct bytes text);

/* Foreign bytes between single quotes for a terminal: printable UTF-8 stays, the rest becomes \xNN, a quote \', a
 * backslash \\. Control characters, C1 and bidirectional overrides never reach the terminal. At most `max_bytes` input
 * bytes are shown, then "…". */
void write_quoted(struct writer *w, struct bytes b, size_t max_bytes);

/* The same bytes as valid UTF-8 text without quotes, for JSON strings: invalid bytes become U+FFFD escapes as \xNN text. */
void write_utf8_lossy(struct writer *w, struct bytes b);
/* A message of ours with foreign text in it: as it is, line feeds too, but what write_quoted() escapes is escaped. */
void write_safe(struct writer *w, struct bytes b);

/* Strict unsigned decimal in [min, max]: no sign, no space, nothing behind it. 0 or -EINVAL / -ERANGE. */
must_use_ int parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *out);
/* A duration: number with optional fraction and unit us, ms, s, m, h (no unit = seconds) to microseconds. */
must_use_ int parse_duration_us(const char *s, uint64_t *out);
/* A size: number with optional K, M, G (1024). */
must_use_ int parse_size(const char *s, uint64_t *out);

/* Whole file into w (stops at w->max with -EMSGSIZE). "-" is standard input. 0 or negative errno. */
must_use_ int read_file(const char *path, struct writer *w);
/* Writes via a temporary name beside it, fsync, rename. Mode as given. */
must_use_ int write_file_atomic(const char *path, struct bytes b, unsigned int mode);
