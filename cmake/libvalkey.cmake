# SPDX-License-Identifier: MIT
#
# libvalkey's parser of the Redis protocol, as the interface target graven_libvalkey that only
# src/backends/redis may use: three C files of the sdist libvalkey on PyPI, pinned by SHA-256,
# compiled into the library through src/backends/redis/libvalkey.c. What they define is renamed
# graven_* and hidden, so that a program may hold another libvalkey, hiredis or Redis beside it:
# all have the same sds*. <valkey/read.h> is a generated wrapper that applies the renaming first.
#
# TLS is OpenSSL's, where its headers are.

set(GRAVEN_PYPI_INDEX "" CACHE STRING
  "Python package index or mirror, such as https://pypi.org/simple, that libvalkey comes from (default: $GRAVEN_PYPI_INDEX, pip's own setting, pypi.org)")

set(GRAVEN_LIBVALKEY_VERSION 4.2.1)
set(GRAVEN_LIBVALKEY_SHA256 7f0ffb6dfa9c01cde7f398d8bab93d2566597cbad17f4068d019bb5cf335bd47)
set(GRAVEN_LIBVALKEY_PINS
  COPYING 0efc9de6403982e1794b5e4c932b94f809f875c24c00e4a4473fe325abe71c7a
  include/valkey/alloc.h ce371f33fefb82f370347e35a9e64d0209ec071d534bb9fd1e9b39b401ca9f33
  include/valkey/read.h c676a6494aa214af9660a1995a5c168a934cc8a733e1afb5786799ee8e3afa49
  include/valkey/visibility.h 5a824180d94ffdd91e713ab0f4492d716fd96478a208bc7fd1986f72f3313719
  src/alloc.c d8b11818b683c783d67e9f68322595c4dfde5e757843efaee36942661b77d1ce
  src/ffc.h 0ae94bc6118e8f83c2eca9a0ea95e3d2af6c62ef7545e5940d2445414075343f
  src/fmacros.h 1847ac412737063d17739df2866809394f6af6cd305a666f00033347412f4eca
  src/read.c fe3bb84ba0f5ccf6c0a868a2d9825e3f4a4184e64eebce738828d73130b1a52e
  src/sds.c 05604231fe5c85f0271438cfbd91ef3c98da12a250556fdda81953354edd89c5
  src/sds.h d6ceb81c112ff243b75c8067f937ebbc5d28479623b1efa8cab5b8836f894074
  src/sdsalloc.h 085594152a59f5fb65308dacfb5b6b54635a4f7eefb387f5473066ab011ce815
  src/win32.h 3f9cc4d4c3f0d728d940daf55f3de74d9941d538d026245307b35e059eeb6830)

# Sets `result` to the base URL of the Python package index, without a trailing slash.
function(graven_pypi_index result)
  set(index "${GRAVEN_PYPI_INDEX}")
  foreach(variable GRAVEN_PYPI_INDEX PIP_INDEX_URL)
    if(NOT index)
      set(index "$ENV{${variable}}")
    endif()
  endforeach()
  if(NOT index)
    find_program(GRAVEN_PIP NAMES pip3 pip)
    mark_as_advanced(GRAVEN_PIP)
    if(GRAVEN_PIP)
      execute_process(COMMAND "${GRAVEN_PIP}" config get global.index-url
        OUTPUT_VARIABLE index ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE TIMEOUT 20)
    endif()
  endif()
  if(NOT index MATCHES "^(https?|file)://")
    set(index "https://pypi.org/simple")
  endif()
  string(REGEX REPLACE "/+$" "" index "${index}")
  set(${result} "${index}" PARENT_SCOPE)
endfunction()

# Sets `result` to the URL of the sdist, which the index's page (HTML or JSON) links.
function(graven_libvalkey_url result)
  graven_pypi_index(index)
  set(page "${index}/libvalkey/")
  if(page MATCHES "^file:")
    string(APPEND page "index.html")
  endif()
  graven_shown("${page}" shown)
  string(RANDOM LENGTH 8 tag)
  set(file "${CMAKE_CURRENT_BINARY_DIR}/libvalkey-index-${tag}")
  graven_download("${page}" "${file}" failure)
  set(text "")
  if(NOT failure)
    file(READ "${file}" text)
  endif()
  file(REMOVE "${file}")
  set(name "libvalkey-${GRAVEN_LIBVALKEY_VERSION}.tar.gz")
  string(REPLACE "." "[.]" pattern "${name}")
  if(NOT failure AND NOT text MATCHES "(href=|\"url\" *: *)\"([^\"]*/)?${pattern}[\"#?]")
    set(failure "it does not link ${name}")
  endif()
  if(failure)
    message(FATAL_ERROR "${shown} is of no use: ${failure}. Set -DGRAVEN_PYPI_INDEX=<mirror>, such "
      "as https://pypi.org/simple, or unpack vendor/libvalkey of the PyPI package libvalkey "
      "${GRAVEN_LIBVALKEY_VERSION} into ${GRAVEN_THIRD_PARTY}/libvalkey.")
  endif()
  set(url "${CMAKE_MATCH_2}${name}")
  string(REGEX MATCH "^[a-z]+://[^/]*" host "${page}")
  string(REGEX REPLACE "/[^/]*$" "" folder "${page}")
  if(url MATCHES "^//")
    string(REGEX MATCH "^[a-z]+:" scheme "${page}")
    string(PREPEND url "${scheme}")
  elseif(url MATCHES "^/")
    string(PREPEND url "${host}")
  elseif(NOT url MATCHES "^[a-z]+://")
    while(url MATCHES "^[.][.]/(.*)$")
      set(url "${CMAKE_MATCH_1}")
      string(REGEX REPLACE "/[^/]*$" "" folder "${folder}")
    endwhile()
    string(PREPEND url "${folder}/")
  endif()
  set(${result} "${url}" PARENT_SCOPE)
endfunction()

# Sets `result` to a directory that holds the verified sources.
function(graven_libvalkey_source result)
  graven_pinned_source(source
    WHAT "libvalkey ${GRAVEN_LIBVALKEY_VERSION}" BUNDLE libvalkey
    CACHED "libvalkey-${GRAVEN_LIBVALKEY_VERSION}" LOCATE graven_libvalkey_url
    SHA256 ${GRAVEN_LIBVALKEY_SHA256}
    INNER "libvalkey-${GRAVEN_LIBVALKEY_VERSION}/vendor/libvalkey" PINS ${GRAVEN_LIBVALKEY_PINS}
    REMEDY "Set -DGRAVEN_PYPI_INDEX=<mirror>, such as https://pypi.org/simple.")
  set(${result} "${source}" PARENT_SCOPE)
endfunction()

# Writes `header`: a #define graven_<name> for everything global that the files define.
function(graven_libvalkey_write_renames source header)
  set(names valkeyAllocFns)
  foreach(file include/valkey/alloc.h include/valkey/read.h src/sds.c src/ffc.h)
    file(READ "${source}/${file}" text)
    string(REGEX MATCHALL "[ *](valkey|sds|ffc_|hex_digit)[A-Za-z0-9_]*[(]" found "${text}")
    list(TRANSFORM found REPLACE "^[ *]|[(]$" "")
    list(APPEND names ${found})
  endforeach()
  list(SORT names)
  list(REMOVE_DUPLICATES names)
  set(text "/* Generated by cmake/libvalkey.cmake: graven's copy of libvalkey under its own names. */\n")
  string(APPEND text "#pragma once\n#define VALKEY_VISIBILITY_H\n"
    "#define LIBVALKEY_API __attribute__((visibility(\"hidden\")))\n")
  foreach(name IN LISTS names)
    string(APPEND text "#define ${name} graven_${name}\n")
  endforeach()
  file(CONFIGURE OUTPUT "${header}" CONTENT "${text}" @ONLY)
endfunction()

graven_libvalkey_source(GRAVEN_LIBVALKEY_SOURCE)
set(GRAVEN_LIBVALKEY_GENERATED "${CMAKE_CURRENT_BINARY_DIR}/libvalkey")
graven_libvalkey_write_renames("${GRAVEN_LIBVALKEY_SOURCE}"
  "${GRAVEN_LIBVALKEY_GENERATED}/valkey/names.h")
file(CONFIGURE OUTPUT "${GRAVEN_LIBVALKEY_GENERATED}/valkey/read.h" @ONLY CONTENT
"/* Generated by cmake/libvalkey.cmake: libvalkey ${GRAVEN_LIBVALKEY_VERSION}'s parser under graven's names. */
#include \"names.h\"
#include \"${GRAVEN_LIBVALKEY_SOURCE}/include/valkey/read.h\"
")
add_library(graven_libvalkey INTERFACE)
target_include_directories(graven_libvalkey SYSTEM INTERFACE "${GRAVEN_LIBVALKEY_GENERATED}")

find_package(OpenSSL 3 QUIET)
if(NOT OpenSSL_FOUND)
  message(STATUS "no OpenSSL 3 (libssl-dev): graven is built without TLS for Redis")
endif()

# Adds the parser to the library; its warnings are nobody's.
function(graven_libvalkey_parser target file)
  target_sources(${target} PRIVATE "${file}")
  set_source_files_properties("${file}" TARGET_DIRECTORY ${target} PROPERTIES
    COMPILE_OPTIONS "-w;-O2;-fvisibility=hidden;-include;${GRAVEN_LIBVALKEY_GENERATED}/valkey/names.h"
    INCLUDE_DIRECTORIES "${GRAVEN_LIBVALKEY_SOURCE}/src;${GRAVEN_LIBVALKEY_SOURCE}/include/valkey"
    OBJECT_DEPENDS "${GRAVEN_LIBVALKEY_SOURCE}/src/read.c;${GRAVEN_LIBVALKEY_GENERATED}/valkey/names.h"
    SKIP_LINTING ON)
  if(OpenSSL_FOUND)
    target_link_libraries(${target} PRIVATE OpenSSL::SSL OpenSSL::Crypto)
    target_compile_definitions(${target} PRIVATE GRAVEN_WITH_OPENSSL=1)
  endif()
endfunction()
