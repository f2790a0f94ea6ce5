// SPDX-License-Identifier: Apache-2.0
#include "imastream/reason.h"

#include "base/common.h"

static const struct reason_info reasons[] = {
#define X(number, symbol, name, severity, text, remedy) { REASON_##symbol, name, SEVERITY_##severity, text, remedy },
	REASONS(X)
#undef X
};

const struct reason_info *reason_info(unsigned int number)
{
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if ((unsigned int)reasons[i].number == number)
			return &reasons[i];
	return NULL;
}

const struct reason_info *reason_by_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (strcmp(reasons[i].name, name) == 0)
			return &reasons[i];
	return NULL;
}

const struct reason_info *reason_at(unsigned int i)
{
	return i < ARRAY_SIZE(reasons) ? &reasons[i] : NULL;
}

const char *reason_name(unsigned int number)
{
	const struct reason_info *info = reason_info(number);

	return number == REASON_NONE ? "none" : info ? info->name : "unknown";
}

const char *severity_name(enum severity s)
{
	switch (s) {
	case SEVERITY_INFO:
		return "info";
	case SEVERITY_WARNING:
		return "warning";
	case SEVERITY_FAIL:
		return "fail";
	}
	return "fail";
}
