# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# The Redis store: its C, and its Lua made into C.
set(lua_dir ${CMAKE_CURRENT_LIST_DIR})
set(lua_out ${CMAKE_CURRENT_BINARY_DIR}/redis_scripts.c)
set(lua_statuses ${lua_dir}/../core/statuses.def)
add_custom_command(OUTPUT ${lua_out}
	COMMAND ${CMAKE_COMMAND} -DSOURCE=${lua_dir} -DSTATUSES=${lua_statuses} -DOUT=${lua_out}
		-P ${lua_dir}/embed_lua.cmake
	DEPENDS ${lua_dir}/embed_lua.cmake ${lua_statuses}
		${lua_dir}/common_1.lua ${lua_dir}/override_1.lua ${lua_dir}/merge_1.lua
		${lua_dir}/register_1.lua
		${lua_dir}/apply_1.lua ${lua_dir}/refresh_1.lua ${lua_dir}/renew_1.lua
		${lua_dir}/sweep_1.lua ${lua_dir}/snapshot_1.lua
	COMMENT "Embedding the Redis scripts"
	VERBATIM)
target_sources(presence_store PRIVATE
	redis.c
	redis_batch.c
	redis_command.c
	redis_contribution.c
	redis_link.c
	redis_out.c
	redis_prepare.c
	redis_problem.c
	redis_quarantine.c
	redis_queue.c
	redis_reader.c
	redis_register.c
	redis_snapshot.c
	redis_sweep.c
	redis_writer.c
	${lua_out})
set_source_files_properties(redis.c PROPERTIES
	COMPILE_DEFINITIONS "PRESENCE_VERSION=\"${PROJECT_VERSION}\"")
