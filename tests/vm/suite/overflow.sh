#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 2,000 measured programs in parallel through a ring of one page: nothing lost, nothing doubled.
set -u
cd "$(dirname "$0")/../../.." || exit 1
. tests/lib/tap.sh
tap_run "6.1, ring of 4096 bytes, 2,000 programs" env LOAD=2000 STALL=1 "COLLECTOR_ARGS=--ring-size 4096" STREAM_TIMEOUT=300 \
	tests/vm/e2e --kernel bookworm --disk 256 --mem 768
tap_done
