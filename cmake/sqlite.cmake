# SPDX-License-Identifier: MIT
#
# SQLite, as the interface target graven_sqlite (headers and definitions) that only
# src/backends/sqlite and tests may use.
#
# bundled (default): the amalgamation, pinned by SHA-256, compiled into the library through
# src/backends/sqlite/vfs/amalgamation.c. Its API is renamed sqlite3_* -> graven_sqlite3_* and hidden, so
# that a program may hold another SQLite beside it. <sqlite3.h> is then a generated wrapper
# that applies the renaming first; nobody can include the API without it.
# system: find_package(SQLite3); releases that can lose committed pages are refused.
#
# Where the amalgamation comes from, first that exists: third_party_sources/sqlite3 (an
# unpacked sdist), the download cache, the npm registry. The same checksums guard all three.

set(GRAVEN_SQLITE bundled CACHE STRING "SQLite to use: bundled or system")
set_property(CACHE GRAVEN_SQLITE PROPERTY STRINGS bundled system)
option(GRAVEN_ALLOW_VULNERABLE_SQLITE "Accept a system SQLite with known data loss" OFF)
set(GRAVEN_NPM_REGISTRY "" CACHE STRING
  "npm registry or mirror that the bundled SQLite comes from (default: $GRAVEN_NPM_REGISTRY, npm's own setting, registry.npmjs.org)")
set(GRAVEN_DOWNLOAD_CACHE "" CACHE PATH
  "Where downloads are kept between build trees (default: $GRAVEN_DOWNLOAD_CACHE, .cache/ in the source tree)")

set(GRAVEN_SQLITE_VERSION 3.54.1)
set(GRAVEN_SQLITE_PACKAGE better-sqlite3)
set(GRAVEN_SQLITE_PACKAGE_VERSION 13.2.0)
set(GRAVEN_SQLITE_PACKAGE_SHA256
  40487589df3496f2ee0079d22b73c63fccebe7db0e8ee9a2c42421861e321e0b)
set(GRAVEN_SQLITE_C_SHA256 75a4760a7b9727a4c4c877aec92eacf39e52a8f2921ce00bd33be6d3a8e8e254)
set(GRAVEN_SQLITE_H_SHA256 d6c84557261893439b341d2e6c35187ae3ea24fbfd843ad94616f72d89242b8c)

# Sets `result` to whether dir holds exactly the pinned amalgamation.
function(graven_sqlite_verified dir result)
  set(${result} FALSE PARENT_SCOPE)
  if(EXISTS "${dir}/sqlite3.c" AND EXISTS "${dir}/sqlite3.h")
    file(SHA256 "${dir}/sqlite3.c" c)
    file(SHA256 "${dir}/sqlite3.h" h)
    if(c STREQUAL GRAVEN_SQLITE_C_SHA256 AND h STREQUAL GRAVEN_SQLITE_H_SHA256)
      set(${result} TRUE PARENT_SCOPE)
    endif()
  endif()
endfunction()

# Sets `result` to the base URL of the npm registry, without a trailing slash.
function(graven_npm_registry result)
  set(registry "${GRAVEN_NPM_REGISTRY}")
  if(NOT registry)
    set(registry "$ENV{GRAVEN_NPM_REGISTRY}")
  endif()
  if(NOT registry)
    find_program(GRAVEN_NPM npm)
    mark_as_advanced(GRAVEN_NPM)
    if(GRAVEN_NPM)
      execute_process(COMMAND "${GRAVEN_NPM}" config get registry
        OUTPUT_VARIABLE registry ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE TIMEOUT 20)
    endif()
  endif()
  if(NOT registry MATCHES "^(https?|file)://")
    set(registry "https://registry.npmjs.org")
  endif()
  string(REGEX REPLACE "/+$" "" registry "${registry}")
  set(${result} "${registry}" PARENT_SCOPE)
endfunction()

# Downloads, checks and unpacks the amalgamation into dir.
function(graven_sqlite_fetch dir)
  graven_npm_registry(registry)
  set(file "${GRAVEN_SQLITE_PACKAGE}-${GRAVEN_SQLITE_PACKAGE_VERSION}.tgz")
  set(url "${registry}/${GRAVEN_SQLITE_PACKAGE}/-/${file}")
  # A private directory, renamed at the end: two build trees may configure at once.
  string(RANDOM LENGTH 8 tag)
  set(work "${dir}.partial-${tag}")
  message(STATUS "SQLite ${GRAVEN_SQLITE_VERSION}: fetching ${url}")
  file(MAKE_DIRECTORY "${work}")
  foreach(attempt RANGE 1 3)
    file(DOWNLOAD "${url}" "${work}/${file}" STATUS status INACTIVITY_TIMEOUT 60)
    list(GET status 0 code)
    if(code EQUAL 0)
      break()
    endif()
  endforeach()
  if(NOT code EQUAL 0)
    list(GET status 1 reason)
    file(REMOVE_RECURSE "${work}")
    message(FATAL_ERROR "SQLite ${GRAVEN_SQLITE_VERSION} could not be fetched from ${url}: "
      "${reason}. Set -DGRAVEN_NPM_REGISTRY=<mirror>, or put sqlite3.c and sqlite3.h of that "
      "package into ${GRAVEN_THIRD_PARTY}/sqlite3, or use -DGRAVEN_SQLITE=system.")
  endif()
  file(SHA256 "${work}/${file}" sum)
  if(NOT sum STREQUAL GRAVEN_SQLITE_PACKAGE_SHA256)
    file(REMOVE_RECURSE "${work}")
    message(FATAL_ERROR "${url} has SHA-256 ${sum}, expected ${GRAVEN_SQLITE_PACKAGE_SHA256}; "
      "nothing was unpacked. Check the registry or mirror.")
  endif()
  file(ARCHIVE_EXTRACT INPUT "${work}/${file}" DESTINATION "${work}"
    PATTERNS "package/deps/sqlite3/sqlite3.c" "package/deps/sqlite3/sqlite3.h")
  graven_sqlite_verified("${work}/package/deps/sqlite3" good)
  if(NOT good)
    file(REMOVE_RECURSE "${work}")
    message(FATAL_ERROR "${url} does not hold the pinned SQLite ${GRAVEN_SQLITE_VERSION}")
  endif()
  file(REMOVE_RECURSE "${dir}")
  file(RENAME "${work}/package/deps/sqlite3" "${dir}" RESULT renamed)
  file(REMOVE_RECURSE "${work}")
  graven_sqlite_verified("${dir}" good)  # another build tree may have been first
  if(NOT good)
    message(FATAL_ERROR "cannot write ${dir}: ${renamed}. Set -DGRAVEN_DOWNLOAD_CACHE=<directory>.")
  endif()
endfunction()

# Sets `result` to a directory that holds the verified amalgamation.
function(graven_sqlite_source result)
  set(bundle "${GRAVEN_THIRD_PARTY}/sqlite3")
  if(EXISTS "${bundle}/sqlite3.c")
    graven_sqlite_verified("${bundle}" good)
    if(NOT good)
      message(FATAL_ERROR "${bundle} does not hold the pinned SQLite ${GRAVEN_SQLITE_VERSION} "
        "(SHA-256 differs): remove the directory to have it fetched")
    endif()
    set(${result} "${bundle}" PARENT_SCOPE)
    return()
  endif()
  set(cache "${GRAVEN_DOWNLOAD_CACHE}")
  if(NOT cache)
    set(cache "$ENV{GRAVEN_DOWNLOAD_CACHE}")
  endif()
  if(NOT cache)
    set(cache "${CMAKE_CURRENT_SOURCE_DIR}/.cache")
  endif()
  set(dir "${cache}/sqlite-${GRAVEN_SQLITE_VERSION}")
  graven_sqlite_verified("${dir}" good)
  if(NOT good)
    graven_sqlite_fetch("${dir}")
  endif()
  set(${result} "${dir}" PARENT_SCOPE)
endfunction()

# Writes `header`: a #define graven_<name> for every API function and variable of SQLite.
function(graven_sqlite_write_renames source header)
  set(names "")
  foreach(file sqlite3.h sqlite3.c)
    file(STRINGS "${source}/${file}" lines REGEX "^SQLITE_API")
    foreach(line IN LISTS lines)
      if(line MATCHES "[ *](sqlite3[a-z0-9_]+) *([(=]|\\[|$|;)")
        list(APPEND names "${CMAKE_MATCH_1}")
      endif()
    endforeach()
  endforeach()
  list(SORT names)
  list(REMOVE_DUPLICATES names)
  list(LENGTH names count)
  if(count LESS 300)
    message(FATAL_ERROR "only ${count} API names found in ${source}/sqlite3.h")
  endif()
  set(text "/* Generated by cmake/sqlite.cmake: graven's copy of SQLite under its own names. */\n")
  string(APPEND text "#pragma once\n#define SQLITE_API __attribute__((visibility(\"hidden\")))\n")
  foreach(name IN LISTS names)
    string(APPEND text "#define ${name} graven_${name}\n")
  endforeach()
  file(CONFIGURE OUTPUT "${header}" CONTENT "${text}" @ONLY)
endfunction()

add_library(graven_sqlite INTERFACE)

if(GRAVEN_SQLITE STREQUAL "bundled")
  graven_sqlite_source(GRAVEN_SQLITE_SOURCE)
  set(GRAVEN_SQLITE_GENERATED "${CMAKE_CURRENT_BINARY_DIR}/sqlite3")
  graven_sqlite_write_renames("${GRAVEN_SQLITE_SOURCE}" "${GRAVEN_SQLITE_GENERATED}/sqlite3_names.h")
  file(CONFIGURE OUTPUT "${GRAVEN_SQLITE_GENERATED}/sqlite3.h" @ONLY CONTENT
"/* Generated by cmake/sqlite.cmake: SQLite ${GRAVEN_SQLITE_VERSION}'s API under graven's names. */
#include \"sqlite3_names.h\"
#include \"${GRAVEN_SQLITE_SOURCE}/sqlite3.h\"
")
  target_include_directories(graven_sqlite SYSTEM INTERFACE "${GRAVEN_SQLITE_GENERATED}")
  set(GRAVEN_SQLITE_DEFINITIONS
    SQLITE_THREADSAFE=2
    SQLITE_DEFAULT_MEMSTATUS=0
    SQLITE_DEFAULT_WAL_SYNCHRONOUS=1
    SQLITE_DQS=0
    SQLITE_ENABLE_DBSTAT_VTAB=1
    SQLITE_LIKE_DOESNT_MATCH_BLOBS=1
    SQLITE_MAX_EXPR_DEPTH=0
    SQLITE_OMIT_DEPRECATED=1
    SQLITE_OMIT_LOAD_EXTENSION=1
    SQLITE_OMIT_SHARED_CACHE=1
    SQLITE_USE_ALLOCA=1
    HAVE_FDATASYNC=1)
elseif(GRAVEN_SQLITE STREQUAL "system")
  find_package(SQLite3 REQUIRED)
  set(version "${SQLite3_VERSION}")
  # "WAL-reset bug": a checkpoint racing a writer loses committed pages.
  if(version VERSION_LESS 3.51.3 AND NOT version VERSION_EQUAL 3.50.7
     AND NOT version VERSION_EQUAL 3.44.6)
    set(reason "it can lose committed data when a checkpoint races a writer (fixed in 3.51.3, 3.50.7 and 3.44.6)")
  elseif(version VERSION_LESS 3.45)
    set(reason "it is older than 3.45 and does not know JSONB")
  else()
    set(reason "")
  endif()
  if(reason AND NOT GRAVEN_ALLOW_VULNERABLE_SQLITE)
    message(FATAL_ERROR "the system's SQLite ${version} is refused: ${reason}. "
      "Use -DGRAVEN_SQLITE=bundled, or -DGRAVEN_ALLOW_VULNERABLE_SQLITE=ON to take the risk.")
  elseif(reason)
    message(WARNING "using the system's SQLite ${version} although ${reason}")
  endif()
  target_link_libraries(graven_sqlite INTERFACE SQLite::SQLite3)
  target_compile_definitions(graven_sqlite INTERFACE GRAVEN_SQLITE_SYSTEM=1)
else()
  message(FATAL_ERROR "GRAVEN_SQLITE is '${GRAVEN_SQLITE}'; it must be bundled or system")
endif()

# Adds the amalgamation to the library: optimised even where graven is not, never warned
# about, and not instrumented where a sanitizer would only report SQLite's own idioms.
function(graven_sqlite_amalgamation target file)
  if(NOT GRAVEN_SQLITE STREQUAL "bundled")
    return()
  endif()
  target_sources(${target} PRIVATE "${file}")
  set(options -w -O2 -include "${GRAVEN_SQLITE_GENERATED}/sqlite3_names.h")
  if("thread" IN_LIST GRAVEN_SANITIZE)
    list(APPEND options -fno-sanitize=thread)
  endif()
  if("undefined" IN_LIST GRAVEN_SANITIZE)
    list(APPEND options -fno-sanitize=undefined)
  endif()
  set_source_files_properties("${file}" TARGET_DIRECTORY ${target} PROPERTIES
    COMPILE_OPTIONS "${options}"
    COMPILE_DEFINITIONS "${GRAVEN_SQLITE_DEFINITIONS}"
    INCLUDE_DIRECTORIES "${GRAVEN_SQLITE_SOURCE}"
    OBJECT_DEPENDS "${GRAVEN_SQLITE_SOURCE}/sqlite3.c;${GRAVEN_SQLITE_GENERATED}/sqlite3_names.h"
    SKIP_LINTING ON)
endfunction()
