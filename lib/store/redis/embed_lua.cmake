# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# Writes the Lua scripts into C, each behind what it shares with others. The ranks come from
# core/statuses.def, so that no number is typed twice.
#   cmake -DSOURCE=<lib/store/redis> -DSTATUSES=<statuses.def> -DOUT=<file.c> -P embed_lua.cmake

file(READ ${STATUSES} statuses)
string(REGEX MATCHALL "PRESENCE_STATUS\\([^)]*\\)" rows "${statuses}")
set(words "")
foreach(row ${rows})
	if(NOT row MATCHES "PRESENCE_STATUS\\(([0-9]+), [A-Z]+, \"([a-z]+)\"\\)")
		message(FATAL_ERROR "${STATUSES}: cannot read ${row}")
	endif()
	string(APPEND words "[${CMAKE_MATCH_1}]='${CMAKE_MATCH_2}',")
endforeach()
if(NOT words)
	message(FATAL_ERROR "${STATUSES}: no status found")
endif()
set(table "local WORD = {${words}}\n")

function(embed name)
	set(text "${table}")
	foreach(part common ${ARGN} ${name})
		file(READ ${SOURCE}/${part}_1.lua lua)
		string(APPEND text "${lua}")
	endforeach()
	string(REPLACE "\\" "\\\\" text "${text}")
	string(REPLACE "\"" "\\\"" text "${text}")
	string(REPLACE "\n" "\\n\"\n\t\"" text "${text}")
	string(TOUPPER ${name} place)
	set(scripts "${scripts}\t[REDIS_SCRIPT_${place}] = \"${text}\",\n" PARENT_SCOPE)
endfunction()

set(scripts "")
embed(register)
embed(apply override merge)
embed(refresh)
embed(renew)
embed(sweep override merge)
embed(snapshot override)
file(WRITE ${OUT} "/* Written by embed_lua.cmake. */\n#include \"store/redis/scripts.h\"\n\n"
	"const char *const redis_scripts[REDIS_SCRIPTS] = {\n${scripts}};\n")
