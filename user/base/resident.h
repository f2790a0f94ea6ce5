/* SPDX-License-Identifier: Apache-2.0 */
/* What a program needed only to start: code of libraries that ran once. */
#pragma once

/* Takes the pages of code and constants of the program and of its libraries out of this process. They stay in the kernel's page cache,
 * and those that are used again come back one fault each; so resident memory is what is in use, not what starting took.
 * Changes nothing else: pages that can be written are left alone. Other threads may run. */
void resident_trim(void);
