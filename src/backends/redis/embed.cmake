# SPDX-License-Identifier: MIT
#
# Writes the C++ file TO, which holds the texts of the Lua scripts in the folder FROM. By hand:
# cmake -D FROM=<folder> -D TO=<file> -P embed.cmake
set(GRAVEN_REDIS_SCRIPTS commit read resolve hold beat lease create restamp)
string(CONCAT text
  "// Made by embed.cmake.\n#include \"backends/redis/scripts.hpp\"\n\n"
  "namespace graven::redis::lua {\n")
foreach(name IN LISTS GRAVEN_REDIS_SCRIPTS)
  file(READ "${FROM}/${name}.lua" script)
  string(APPEND text "const char* const ${name} = R\"lua(${script})lua\";\n")
endforeach()
string(APPEND text "}  // namespace graven::redis::lua\n")
set(before "")
if(EXISTS "${TO}")
  file(READ "${TO}" before)
endif()
if(NOT text STREQUAL before)
  file(WRITE "${TO}" "${text}")
endif()
