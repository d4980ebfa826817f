# SPDX-License-Identifier: MIT
#
# How graven's own code is compiled: standard, visibility, warnings, sanitizers, ccache.
# Flags are given to graven's targets by graven_compile_options(), never globally, so that
# a project which adds graven as a subdirectory keeps its own; the sanitizers alone are
# global, because one uninstrumented object makes their reports wrong.

set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(PROJECT_IS_TOP_LEVEL)
  set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
  if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
  endif()
  # An installed command finds an installed shared library beside it, wherever both are.
  set(CMAKE_INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
  # All programs in one place: build/<preset>/graven, build/<preset>/bin/<test>.
  set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
endif()

find_program(GRAVEN_CCACHE ccache)
mark_as_advanced(GRAVEN_CCACHE)
if(GRAVEN_CCACHE AND PROJECT_IS_TOP_LEVEL AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # One cache for all build trees of a checkout, whose sources have the same absolute paths.
  set(launcher "${CMAKE_COMMAND}" -E env CCACHE_NOHASHDIR=1 "${GRAVEN_CCACHE}")
  set(CMAKE_C_COMPILER_LAUNCHER "${launcher}")
  set(CMAKE_CXX_COMPILER_LAUNCHER "${launcher}")
endif()

if(GRAVEN_SANITIZE)
  string(REPLACE ";" "," sanitizers "${GRAVEN_SANITIZE}")
  add_compile_options(-fsanitize=${sanitizers} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${sanitizers})
  if("undefined" IN_LIST GRAVEN_SANITIZE)
    add_compile_options(-fno-sanitize-recover=undefined)
  endif()
endif()

find_package(Threads REQUIRED)

# Standard, warnings and visibility for a target of graven's own.
function(graven_compile_options target)
  set_target_properties(${target} PROPERTIES
    CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF
    C_STANDARD 11 C_STANDARD_REQUIRED ON C_EXTENSIONS ON)
  target_compile_options(${target} PRIVATE
    "$<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wshadow;-Woverloaded-virtual;-Wimplicit-fallthrough>")
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # It copies pairs of words with one wide load where they have just been stored one by one (a
    # shared_ptr, a string_view), and a load that two stores must be put together for waits.
    target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:-fno-tree-slp-vectorize>")
  endif()
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:-Wthread-safety>")
  endif()
  if(GRAVEN_WARNINGS_AS_ERRORS)
    target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:-Werror>")
  endif()
endfunction()
