/* SPDX-License-Identifier: Apache-2.0 */
/* Defaults that more than one program must agree on. */
#pragma once

#define DEFAULT_LISTEN_URL "ipc:///run/imastream/verifier.sock"	  /* evidence */
#define DEFAULT_CONTROL_URL "ipc:///run/imastream/control.sock"	  /* status requests of the operator's command */
#define DEFAULT_PUBLISH_URL "ipc:///run/imastream/events.sock"	  /* events */
#define DEFAULT_STORE "/var/lib/imastream/verifier.db"
#define DEFAULT_TCTI "device:/dev/tpmrm0"
#define DEFAULT_SECURITYFS "/sys/kernel/security"

/* Exit codes of `imastream`: an interface, frozen. */
enum exit_code {
	EXIT_CODE_TRUSTED = 0,
	EXIT_CODE_ERROR = 1,
	EXIT_CODE_USAGE = 2,
	EXIT_CODE_UNTRUSTED = 3,
	EXIT_CODE_UNKNOWN = 4, /* unknown, unproven or stale */
	EXIT_CODE_UNREACHABLE = 5,
	EXIT_CODE_UNSUPPORTED = 77,
};
