/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands share: colour, output, exit codes. Only user/cli/ includes this. */
#pragma once

#include "base/buf.h"
#include "imastream/options.h"
#include "imastream/reason.h"

enum colour_mode { COLOUR_AUTO, COLOUR_ALWAYS, COLOUR_NEVER };
/* From --color, else IMASTREAM_COLOR (always, never, auto), else a terminal without NO_COLOR. */
void cli_set_colour(enum colour_mode mode);
must_use_ bool cli_colour_mode(const char *text, enum colour_mode *out);

enum cli_style { STYLE_PLAIN, STYLE_GOOD, STYLE_WARN, STYLE_BAD, STYLE_DIM, STYLE_BOLD, STYLE_HEAD };
/* Escape sequence that starts / ends a style on standard output; "" when it has no colour. */
const char *style_on(enum cli_style s);
const char *style_off(void);
enum cli_style style_of_severity(enum severity s);

/* "imastream <command>: <text>" on standard error, then what to do; returns the code, so that: return cli_fail(...). */
int cli_fail(enum exit_code code, const char *command, const char *fmt, ...) printf_(3, 4);
/* A column of a table: foreign text cut to `width` characters, quoted when there is more in it than letters, digits and some
 * signs, padded, and two spaces. */
void cli_cell(struct writer *w, const char *s, size_t width, enum cli_style style);
/* Writes all to standard output; an error of our own when that fails (disk full, closed pipe). */
must_use_ int cli_print(struct writer *w);
