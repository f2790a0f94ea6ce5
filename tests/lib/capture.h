/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a command's function with its output caught, and reads or changes files: for tests of user/cli. */
#pragma once

#include "base/buf.h"

/* Calls run(argc, argv) with standard output (and error, when err is given) going to the writers. argv ends with NULL.
 * Returns what run returned; aborts when the streams cannot be moved. Not thread-safe. */
int capture_command(int (*run)(int argc, char **argv), const char *const argv[], struct writer *out, struct writer *err);

/* A private directory, and a file in it with these bytes. Both abort on failure. */
void scratch_make(char dir[64]);
void scratch_file(const char *dir, const char *name, struct bytes content, char path[192]);
/* Removes the directory and the files in it. */
void scratch_remove(const char *dir);
