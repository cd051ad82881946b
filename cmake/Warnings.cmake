# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# Warnings are errors, here and in every subdirectory.
add_compile_options(-Wall -Wextra -Werror -Wshadow -Wconversion -Wsign-conversion -Wformat=2
	-Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wpointer-arith
	-Wcast-qual -Wwrite-strings -Wswitch -Wundef -Wvla -Wnull-dereference)
