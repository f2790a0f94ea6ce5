/* SPDX-License-Identifier: Apache-2.0 */
/* The zstd dictionary of block formats 3 and 4 (docs/WIRE.md, "Dictionary"): pieces of paths, and entropy tables. Private to user/wire. */
#pragma once

#include <stdint.h>

#define WIRE_DICTIONARY_SIZE 4096u

extern const uint8_t wire_dictionary[WIRE_DICTIONARY_SIZE];
