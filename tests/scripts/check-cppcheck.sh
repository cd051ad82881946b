#!/bin/sh
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# cppcheck has nothing to say, but for what it gets wrong. What owns memory here often does so
# through a pointer in a struct that was just copied into place, which it does not follow; real
# leaks are LeakSanitizer's to find, in every test.
set -eu
command -v cppcheck >/dev/null || { echo "no cppcheck"; exit 77; }
cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
	--suppress=memleak:ctl/board.c --suppress=memleak:ctl/conf.c \
	--error-exitcode=1 -I lib -I . lib plugin ctl
