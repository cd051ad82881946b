# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# Manual pages, into <build>/man and, installed, where man(1) looks. Two are written by
# presence_manual from the tables that the programs use themselves; the others stand in docs/man.
set(man_folder ${CMAKE_BINARY_DIR}/man)
file(MAKE_DIRECTORY ${man_folder})

function(generate_manual page what)
	add_custom_command(OUTPUT ${man_folder}/${page}
		COMMAND presence_manual ${what} > ${man_folder}/${page}
		DEPENDS presence_manual
		VERBATIM)
endfunction()

generate_manual(presencectl.1 presencectl)
generate_manual(mosquitto-presence.conf.5 configuration)
foreach(page mosquitto_presence.7 libpresence.3)
	configure_file(${PROJECT_SOURCE_DIR}/docs/man/${page} ${man_folder}/${page} COPYONLY)
endforeach()

add_custom_target(presence_man ALL
	DEPENDS ${man_folder}/presencectl.1 ${man_folder}/mosquitto-presence.conf.5)
install(FILES ${man_folder}/presencectl.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${man_folder}/mosquitto-presence.conf.5 DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
install(FILES ${man_folder}/mosquitto_presence.7 DESTINATION ${CMAKE_INSTALL_MANDIR}/man7)
install(FILES ${man_folder}/libpresence.3 DESTINATION ${CMAKE_INSTALL_MANDIR}/man3
	COMPONENT client-sdk)
