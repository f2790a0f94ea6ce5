/* SPDX-License-Identifier: Apache-2.0 */
/* Which files this process holds open. */
#pragma once

#include "base/common.h"

/* How many of our descriptors are open on this path, which is absolute and without links. Aborts without /proc. */
unsigned int open_files_of(const char *path);
