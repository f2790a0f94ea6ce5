#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The stream end to end on the other two kernels, with another template and hash algorithm each.
set -u
cd "$(dirname "$0")/../../.." || exit 1
. tests/lib/tap.sh
tap_run "6.12, ima-sig" tests/vm/e2e --kernel trixie --append "ima_template=ima-sig"
tap_run "7.2, ima-ngv2, sha512" tests/vm/e2e --kernel sid --append "ima_template=ima-ngv2 ima_hash=sha512"
tap_done
