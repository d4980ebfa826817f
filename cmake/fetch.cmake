# SPDX-License-Identifier: MIT
#
# Sources that graven compiles in and does not carry: from third_party_sources/ (an unpacked
# sdist), from the download cache, or from a package registry. The same SHA-256 pins guard all three.

set(GRAVEN_THIRD_PARTY "${CMAKE_CURRENT_SOURCE_DIR}/third_party_sources")
set(GRAVEN_DOWNLOAD_CACHE "" CACHE PATH
  "Where downloads are kept between build trees (default: $GRAVEN_DOWNLOAD_CACHE, .cache/ in the source tree)")

# Sets `result` to the files among pins (path, SHA-256, ...) that dir does not hold as pinned.
function(graven_check_pins dir result)
  set(wrong "")
  set(pins ${ARGN})
  while(pins)
    list(POP_FRONT pins file wanted)
    set(sum "")
    if(EXISTS "${dir}/${file}")
      file(SHA256 "${dir}/${file}" sum)
    endif()
    if(NOT sum STREQUAL wanted)
      list(APPEND wrong "${file}")
    endif()
  endwhile()
  set(${result} "${wrong}" PARENT_SCOPE)
endfunction()

# Copies the files that pins list from dir to `to`.
function(graven_copy_pinned dir to)
  set(pins ${ARGN})
  while(pins)
    list(POP_FRONT pins file sum)
    cmake_path(GET file PARENT_PATH folder)
    file(COPY "${dir}/${file}" DESTINATION "${to}/${folder}")
  endwhile()
endfunction()

# Downloads a URL, with three attempts; sets `result` to what went wrong, if anything.
function(graven_download url file result)
  foreach(attempt RANGE 1 3)
    file(DOWNLOAD "${url}" "${file}" STATUS status INACTIVITY_TIMEOUT 60)
    list(POP_FRONT status code)
    if(code EQUAL 0)
      set(${result} "" PARENT_SCOPE)
      return()
    endif()
  endforeach()
  set(${result} "${status}" PARENT_SCOPE)
endfunction()

# The URL as messages show it: without a password.
function(graven_shown url result)
  string(REGEX REPLACE "://[^/]*@" "://***@" url "${url}")
  set(${result} "${url}" PARENT_SCOPE)
endfunction()

# Downloads an archive, checks it, and unpacks the pinned files of its folder `inner` into dir.
function(graven_fetch what url sha256 dir inner remedy)
  graven_shown("${url}" shown)
  # A private directory, renamed at the end: two build trees may configure at once.
  string(RANDOM LENGTH 8 tag)
  set(work "${dir}.partial-${tag}")
  set(archive "${work}/archive")
  message(STATUS "${what}: fetching ${shown}")
  file(MAKE_DIRECTORY "${work}")
  graven_download("${url}" "${archive}" failure)
  if(failure)
    file(REMOVE_RECURSE "${work}")
    message(FATAL_ERROR "${what} could not be fetched from ${shown}: ${failure}. ${remedy}")
  endif()
  file(SHA256 "${archive}" sum)
  if(NOT sum STREQUAL sha256)
    file(REMOVE_RECURSE "${work}")
    message(FATAL_ERROR "${shown} has SHA-256 ${sum}, expected ${sha256}; nothing was unpacked. "
      "Check the registry or mirror.")
  endif()
  file(ARCHIVE_EXTRACT INPUT "${archive}" DESTINATION "${work}/all" PATTERNS "${inner}/*")
  graven_check_pins("${work}/all/${inner}" wrong ${ARGN})
  if(wrong)
    file(REMOVE_RECURSE "${work}")
    message(FATAL_ERROR "${shown} does not hold the pinned ${what}: ${wrong}")
  endif()
  graven_copy_pinned("${work}/all/${inner}" "${work}/pinned" ${ARGN})
  file(REMOVE_RECURSE "${dir}")
  file(RENAME "${work}/pinned" "${dir}" RESULT renamed)
  file(REMOVE_RECURSE "${work}")
  graven_check_pins("${dir}" wrong ${ARGN})  # another build tree may have been first
  if(wrong)
    message(FATAL_ERROR "cannot write ${dir}: ${renamed}. Set -DGRAVEN_DOWNLOAD_CACHE=<directory>.")
  endif()
endfunction()

# graven_pinned_source(result WHAT text BUNDLE folder CACHED folder LOCATE function SHA256 sum
#                      INNER folder REMEDY text PINS file sum ...)
#
# Sets `result` to a directory that holds the pinned files. LOCATE is called with the name of a
# variable, which it sets to the URL of the archive, if there is a need to fetch it.
function(graven_pinned_source result)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "WHAT;BUNDLE;CACHED;LOCATE;SHA256;INNER;REMEDY" "PINS")
  set(bundle "${GRAVEN_THIRD_PARTY}/${arg_BUNDLE}")
  if(EXISTS "${bundle}")
    graven_check_pins("${bundle}" wrong ${arg_PINS})
    if(wrong)
      message(FATAL_ERROR "${bundle} does not hold the pinned ${arg_WHAT} (${wrong}): remove the "
        "directory to have it fetched")
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
  set(dir "${cache}/${arg_CACHED}")
  graven_check_pins("${dir}" wrong ${arg_PINS})
  if(wrong)
    cmake_language(CALL ${arg_LOCATE} url)
    graven_fetch("${arg_WHAT}" "${url}" ${arg_SHA256} "${dir}" "${arg_INNER}" "${arg_REMEDY}"
      ${arg_PINS})
  endif()
  set(${result} "${dir}" PARENT_SCOPE)
endfunction()
