#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The BPF program alone against the kernel's own list, on 6.1 (tests/vm/guest/ring.sh says what is compared).
set -u
cd "$(dirname "$0")/../../.." || exit 1
. tests/lib/tap.sh
tap_run "6.1, records equal the list" tests/vm/run --kernel bookworm --bin "build/${VARIANT:-default}/tests/vm/ring_probe" -- tests/vm/guest/ring.sh
tap_done
