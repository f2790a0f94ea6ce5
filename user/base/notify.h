/* SPDX-License-Identifier: Apache-2.0 */
/* Tells the service manager how the program is doing: the datagram protocol of sd_notify(3), section "Notes", without
 * linking libsystemd into a privileged program. */
#pragma once

#include "base/common.h"

/* Sends `state` ("READY=1", "STOPPING=1", "STATUS=..."; several lines are allowed) to the socket named by the
 * environment variable NOTIFY_SOCKET: a path, or @name for an abstract socket. Never blocks.
 * 1: sent. 0: nobody asked (the variable is not set). Negative errno: -EINVAL (no usable address), or of the socket.
 * Thread-safe as long as nobody changes the environment. */
int notify_state(const char *state);
