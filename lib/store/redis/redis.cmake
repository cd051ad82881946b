# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# The Redis store: its C, and its Lua made into C.
set(redis_out ${CMAKE_CURRENT_BINARY_DIR}/redis_scripts.c)
set(redis_statuses ${CMAKE_CURRENT_LIST_DIR}/../../core/statuses.def)
set(redis_lua common_1 override_1 merge_1 register_1 apply_1 refresh_1 renew_1 sweep_1 snapshot_1)
list(TRANSFORM redis_lua REPLACE "(.+)" "${CMAKE_CURRENT_LIST_DIR}/\\1.lua")
add_custom_command(OUTPUT ${redis_out}
	COMMAND ${CMAKE_COMMAND} -DSOURCE=${CMAKE_CURRENT_LIST_DIR} -DSTATUSES=${redis_statuses}
		-DOUT=${redis_out} -P ${CMAKE_CURRENT_LIST_DIR}/embed_lua.cmake
	DEPENDS ${CMAKE_CURRENT_LIST_DIR}/embed_lua.cmake ${redis_statuses} ${redis_lua}
	COMMENT "Embedding the Redis scripts"
	VERBATIM)
target_sources(presence_store PRIVATE
	redis/batch.c
	redis/command.c
	redis/contribution.c
	redis/link.c
	redis/out.c
	redis/prepare.c
	redis/problem.c
	redis/quarantine.c
	redis/queue.c
	redis/reader.c
	redis/redis.c
	redis/register.c
	redis/snapshot.c
	redis/sweep.c
	redis/writer.c
	${redis_out})
set_source_files_properties(redis/redis.c PROPERTIES
	COMPILE_DEFINITIONS "PRESENCE_VERSION=\"${PROJECT_VERSION}\"")
