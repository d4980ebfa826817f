# SPDX-License-Identifier: MIT
#
# The two libraries the core compiles in from their headers: fmt (formatting) and xxHash (hashing).
# Both are private: nothing of them is in the public headers or needed to use an installed
# graven. An unpacked sdist carries them under third_party_sources/, pinned by SHA-256;
# everywhere else they are the system's (Debian: libfmt-dev, libxxhash-dev).
#
# Defines the interface targets graven_fmt and graven_xxhash.

# What an sdist carries of them, as Debian 12 has it: fmt 9.1.0, xxHash 0.8.1.
set(GRAVEN_FMT_PINS
  fmt/core.h 9499dc187c78f4f88c55f878afd375662912439b0cff69c8299a6054350432f7
  fmt/format.h bf68a9fb87c98e49258cccf6ca3d6e7c9cc1ee358e642cc535ee80579623b724
  fmt/format-inl.h ba707e9533a864c47261edaac1d32ede71dee91eb793fc05ab0eab0f4210dfc4)
set(GRAVEN_XXHASH_PINS
  xxhash.h d4f2b91b547c79061649186721a6b331609f2bf8595485a21ea631c82ec3ef93)

# Defines the interface target graven_<name> for the headers that `pins` lists.
function(graven_header_library name package)
  set(pins ${ARGN})
  list(GET pins 0 header)
  string(TOUPPER "GRAVEN_${name}_INCLUDE_DIR" variable)
  set(bundle "${GRAVEN_THIRD_PARTY}/${name}")
  if(EXISTS "${bundle}/${header}")
    graven_check_pins("${bundle}" wrong ${pins})
    if(wrong)
      message(FATAL_ERROR "${bundle}: not what this release of graven was made with: ${wrong}")
    endif()
    set(dir "${bundle}")
  else()
    find_path(${variable} "${header}" DOC "Directory of <${header}>")
    mark_as_advanced(${variable})
    set(dir "${${variable}}")
    if(NOT dir)
      message(FATAL_ERROR "<${header}> not found: install ${package} (or run scripts/setup), "
        "or set ${variable} to the directory that holds it")
    endif()
  endif()
  add_library(graven_${name} INTERFACE)
  target_include_directories(graven_${name} SYSTEM INTERFACE "${dir}")
endfunction()

graven_header_library(fmt libfmt-dev ${GRAVEN_FMT_PINS})
get_target_property(dir graven_fmt INTERFACE_INCLUDE_DIRECTORIES)
file(STRINGS "${dir}/fmt/core.h" version REGEX "^#define FMT_VERSION")
if(NOT version MATCHES "FMT_VERSION 9[0-9][0-9][0-9][0-9]$")
  message(FATAL_ERROR "${dir}/fmt is not fmt 9 (${version}): set GRAVEN_FMT_INCLUDE_DIR to one, "
    "or build from the sdist, which carries it")
endif()
# Compiled once, in src/base/fmt.cpp, under a namespace of our own.
target_compile_definitions(graven_fmt INTERFACE
  "FMT_BEGIN_NAMESPACE=namespace fmt { inline namespace graven_v9 {" "FMT_END_NAMESPACE=}}")
if(BUILD_SHARED_LIBS)
  # The shared library exports nothing of fmt; the command then has it in its own files.
  target_compile_definitions(graven_fmt INTERFACE FMT_HEADER_ONLY=1)
endif()
graven_header_library(xxhash libxxhash-dev ${GRAVEN_XXHASH_PINS})
