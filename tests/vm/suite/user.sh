#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The collector confined as another user on 6.1 (Landlock ABI 2): tests/vm/guest/user says what is looked at.
set -u
cd "$(dirname "$0")/../../.." || exit 1
. tests/lib/tap.sh
tap_run "6.1, collector as another user" tests/vm/run --kernel bookworm --bin "${IMASTREAM_BIN:-build/bin}/imastream-collector" -- \
	tests/vm/guest/user
tap_done
