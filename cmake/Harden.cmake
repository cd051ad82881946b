# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# Flags that make mistakes harder to exploit; sanitized builds have their own ways.
if(NOT PRESENCE_SANITIZE AND NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
	add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong
		-fstack-clash-protection -ftrivial-auto-var-init=zero)
	if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|i.86")
		add_compile_options(-fcf-protection=full)
	endif()
	add_link_options(-Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
endif()
