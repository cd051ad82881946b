# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# shellcheck shell=sh
# our_files PATTERN...: the project's files, also where there is no git to ask. To be sourced.
our_files() {
	if git -c safe.directory='*' rev-parse --git-dir >/dev/null 2>&1; then
		git -c safe.directory='*' ls-files --cached -- "$@" | while IFS= read -r file; do
			[ ! -f "$file" ] || echo "$file"
		done
	else
		for pattern; do
			find . -path ./build -prune -o -path ./.cache -prune -o \
				-type f -name "${pattern##*/}" -print | sed 's|^\./||'
		done
	fi
}
