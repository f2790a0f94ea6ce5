/* SPDX-License-Identifier: Apache-2.0 */
/* What every cmocka program includes, in the order that cmocka wants. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/allocator.h"
#include "base/buf.h"
#include "base/common.h"

#define BYTES(literal) ((struct bytes){ (const uint8_t *)(literal), sizeof(literal) - 1 })
#define assert_bytes(view, literal)                                       \
	do {                                                              \
		struct bytes _v = (view);                                 \
		assert_int_equal(_v.n, sizeof(literal) - 1);              \
		assert_memory_equal(_v.p ? _v.p : (const uint8_t *)"", literal, _v.n); \
	} while (0)
