/* SPDX-License-Identifier: Apache-2.0 */
/* Resident memory is what is in use: not what starting took, and not what was needed once. */
#pragma once

/* Takes the pages of code and constants of the program and of its libraries out of this process. They stay in the kernel's page cache,
 * and those that are used again come back one fault each; so resident memory is what is in use, not what starting took.
 * Changes nothing else: pages that can be written are left alone. Other threads may run. */
void resident_trim(void);

/* Blocks of 256 KiB and more are mappings of their own, and go back to the kernel when they are freed. glibc otherwise takes the
 * largest block that was ever freed (to 32 MiB) as the bound below which memory stays with the process (mallopt(3),
 * M_MMAP_THRESHOLD: "dynamic"). For a program that is small most of the time; once, at the start. */
void resident_give_back(void);
