// SPDX-License-Identifier: Apache-2.0
/* imastream explain [REASON] [--json] */
#include <stdio.h>

#include "base/json.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/commands.h"

static void explain_json(struct json *j, const struct reason_info *info)
{
	jw_object(j, NULL);
	jw_u64(j, "number", info->number);
	jw_string(j, "name", info->name);
	jw_string(j, "severity", severity_name(info->severity));
	jw_string(j, "text", info->text);
	jw_string(j, "remedy", info->remedy);
	jw_object_end(j);
}

static void explain_text(struct writer *w, const struct reason_info *info)
{
	write_fmt(w, "%s%s%s  (%s, number %u)\n\n  %s.\n  %sWhat to do:%s %s.\n", style_on(STYLE_BOLD), info->name,
		  style_off(), severity_name(info->severity), (unsigned int)info->number, info->text, style_on(STYLE_HEAD),
		  style_off(), info->remedy);
}

static int list_all(bool as_json)
{
	cleanup_writer_ struct writer w = WRITER(1u << 20);
	const struct reason_info *info;
	struct json j;

	jw_begin(&j, &w, true);
	if (as_json)
		jw_array(&j, NULL);
	for (unsigned int i = 0; (info = reason_at(i)); i++) {
		if (as_json)
			explain_json(&j, info);
		else
			write_fmt(&w, "%4u  %s%-22s%s %-8s %s\n", (unsigned int)info->number,
				  style_on(style_of_severity(info->severity)), info->name, style_off(),
				  severity_name(info->severity), info->text);
	}
	if (as_json) {
		jw_array_end(&j);
		write_u8(&w, '\n');
	}
	return cli_print(&w) < 0 ? EXIT_CODE_ERROR : EXIT_CODE_TRUSTED;
}

int cmd_explain(int argc, char **argv)
{
	cleanup_writer_ struct writer w = WRITER(1u << 20);
	const struct reason_info *info;
	const char *name = NULL;
	bool as_json = false;
	struct json j;
	uint64_t number;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0) {
			as_json = true;
		} else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			printf("usage: imastream explain [REASON|NUMBER] [--json]\n\nWithout a reason: all of them.\n");
			return EXIT_CODE_TRUSTED;
		} else if (argv[i][0] == '-' || name) {
			return cli_fail(EXIT_CODE_USAGE, "explain", "unexpected argument '%s'", argv[i]);
		} else {
			name = argv[i];
		}
	}
	if (!name)
		return list_all(as_json);
	info = parse_u64(name, 1, 65535, &number) == 0 ? reason_info((unsigned int)number) : reason_by_name(name);
	if (!info)
		return cli_fail(EXIT_CODE_USAGE, "explain", "there is no reason '%s'; 'imastream explain' lists them all", name);
	if (as_json) {
		jw_begin(&j, &w, true);
		explain_json(&j, info);
		write_u8(&w, '\n');
	} else {
		explain_text(&w, info);
	}
	return cli_print(&w) < 0 ? EXIT_CODE_ERROR : EXIT_CODE_TRUSTED;
}
