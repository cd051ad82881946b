#!/bin/sh
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# Every C file is as .clang-format wants it. Other versions than Debian 12's differ in details.
set -eu
. "$(dirname "$0")/files.sh"
command -v clang-format >/dev/null || { echo "no clang-format"; exit 77; }
case $(clang-format --version) in
*"version 14."*) ;;
*) echo "not clang-format 14"; exit 77 ;;
esac
files=$(our_files '*.c' '*.h')
[ -n "$files" ]
# shellcheck disable=SC2086 # none of our files has a blank in its name
clang-format --dry-run -Werror $files
