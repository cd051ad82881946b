# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
if(PRESENCE_SANITIZE)
	add_compile_options(-fsanitize=${PRESENCE_SANITIZE} -fno-sanitize-recover=all)
	add_link_options(-fsanitize=${PRESENCE_SANITIZE})
endif()
