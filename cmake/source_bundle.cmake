# SPDX-License-Identifier: MIT
#
# Run when scikit-build-core makes the sdist (sdist.cmake in pyproject.toml): fills
# third_party_sources/ with all that a wheel build needs besides graven, so that it needs no
# network and no -dev packages. Every file is checked against the pins of sqlite.cmake,
# libvalkey.cmake and dependencies.cmake, here and again when it is used.

# Copies the pinned headers of a library into the bundle.
function(graven_bundle name package)
  graven_check_pins("${GRAVEN_THIRD_PARTY}/${name}" wrong ${ARGN})
  if(NOT wrong)
    return()
  endif()
  list(GET ARGN 0 header)
  find_path(GRAVEN_BUNDLE_${name} "${header}" REQUIRED)
  set(dir "${GRAVEN_BUNDLE_${name}}")
  graven_check_pins("${dir}" wrong ${ARGN})
  if(wrong)
    message(FATAL_ERROR "an sdist carries ${name} as Debian 12's ${package} has it; these files "
      "in ${dir} differ from the pins in cmake/dependencies.cmake: ${wrong}")
  endif()
  graven_copy_pinned("${dir}" "${GRAVEN_THIRD_PARTY}/${name}" ${ARGN})
endfunction()

graven_bundle(fmt libfmt-dev ${GRAVEN_FMT_PINS})
graven_bundle(xxhash libxxhash-dev ${GRAVEN_XXHASH_PINS})

graven_sqlite_source(source)
if(NOT source STREQUAL "${GRAVEN_THIRD_PARTY}/sqlite3")
  graven_copy_pinned("${source}" "${GRAVEN_THIRD_PARTY}/sqlite3" ${GRAVEN_SQLITE_PINS})
endif()
graven_libvalkey_source(source)
if(NOT source STREQUAL "${GRAVEN_THIRD_PARTY}/libvalkey")
  graven_copy_pinned("${source}" "${GRAVEN_THIRD_PARTY}/libvalkey" ${GRAVEN_LIBVALKEY_PINS})
endif()
