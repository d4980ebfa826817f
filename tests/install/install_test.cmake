# SPDX-License-Identifier: MIT
#
# See CMakeLists.txt. Every step fails the test with the output of the command that failed.

function(step what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE code OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT code EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${what} failed (${code}): ${command}\n${output}")
  endif()
  message(STATUS "${what}: passed")
  set(output "${output}" PARENT_SCOPE)
endfunction()

set(consumer "${CMAKE_CURRENT_LIST_DIR}/consumer")
file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}/run")

step("install" "${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${WORK}/first")
# Nothing installed may name the place it was installed to, or the build.
file(RENAME "${WORK}/first" "${WORK}/prefix")
file(GLOB_RECURSE texts "${WORK}/prefix/*.cmake" "${WORK}/prefix/*.pc" "${WORK}/prefix/*.hpp")
foreach(text IN LISTS texts)
  file(READ "${text}" content)
  foreach(path "${WORK}" "${BUILD}" "${SOURCE}")
    string(FIND "${content}" "${path}" found)
    if(NOT found EQUAL -1)
      message(FATAL_ERROR "${text} names ${path}")
    endif()
  endforeach()
  if(content MATCHES "include *[<\"](sqlite3|fmt/|xxhash|simdjson|CLI/)")
    message(FATAL_ERROR "${text} includes a library that graven keeps private: ${CMAKE_MATCH_0}")
  endif()
endforeach()

# What the command says of itself lies where man and the shells look.
if(EXISTS "${WORK}/prefix/bin/graven")
  foreach(page man/man1/graven.1 bash-completion/completions/graven zsh/site-functions/_graven)
    if(NOT EXISTS "${WORK}/prefix/share/${page}")
      message(FATAL_ERROR "share/${page} is not installed")
    endif()
  endforeach()
endif()

# find_package
step("find_package: configure" "${CMAKE_COMMAND}" -S "${consumer}" -B "${WORK}/package" -G Ninja
  "-DCMAKE_PREFIX_PATH=${WORK}/prefix" "-DCMAKE_CXX_COMPILER=${COMPILER}"
  "-DCMAKE_BUILD_TYPE=${BUILD_TYPE}" "-DWANTED=${VERSION}")
step("find_package: build" "${CMAKE_COMMAND}" --build "${WORK}/package")
step("find_package: run" "${CMAKE_COMMAND}" -E chdir "${WORK}/run" "${WORK}/package/consumer" "${VERSION}")
if(EXISTS "${WORK}/package/json_consumer")
  step("component nlohmann: run" "${CMAKE_COMMAND}" -E chdir "${WORK}/run" "${WORK}/package/json_consumer")
endif()
execute_process(COMMAND "${CMAKE_COMMAND}" -S "${consumer}" -B "${WORK}/newer" -G Ninja
  "-DCMAKE_PREFIX_PATH=${WORK}/prefix" "-DCMAKE_CXX_COMPILER=${COMPILER}" -DWANTED=99.0
  RESULT_VARIABLE code OUTPUT_QUIET ERROR_QUIET)
if(code EQUAL 0)
  message(FATAL_ERROR "find_package(graven 99.0) was satisfied by ${VERSION}")
endif()

# pkg-config
if(PKG_CONFIG)
  file(GLOB_RECURSE pc "${WORK}/prefix/graven.pc")
  cmake_path(GET pc PARENT_PATH pc_dir)
  set(ENV{PKG_CONFIG_PATH} "${pc_dir}")
  step("pkg-config: flags" "${PKG_CONFIG}" --cflags --libs graven)
  string(STRIP "${output}" flags)
  separate_arguments(flags UNIX_COMMAND "${flags}")
  step("pkg-config: build" "${COMPILER}" -std=c++20 "${consumer}/main.cpp" -o "${WORK}/plain" ${flags}
    "-Wl,-rpath,${WORK}/prefix/lib")
  step("pkg-config: run" "${CMAKE_COMMAND}" -E chdir "${WORK}/run" "${WORK}/plain" "${VERSION}")
  step("pkg-config: version" "${PKG_CONFIG}" --exact-version=${VERSION} graven)
endif()

# The command is installed too, and runs from where it was moved to.
if(WITH_CLI)
  step("command" "${WORK}/prefix/bin/graven" --version)
  string(FIND "${output}" "${VERSION}" found)
  if(found EQUAL -1)
    message(FATAL_ERROR "graven --version says '${output}', not ${VERSION}")
  endif()
endif()

# add_subdirectory: a consumer gets the library without tests, programs or install rules.
step("add_subdirectory: configure" "${CMAKE_COMMAND}" -S "${consumer}" -B "${WORK}/subdirectory" -G Ninja
  "-DCMAKE_CXX_COMPILER=${COMPILER}" "-DGRAVEN_SOURCE=${SOURCE}")
step("add_subdirectory: targets" "${CMAKE_COMMAND}" --build "${WORK}/subdirectory" --target help)
if(output MATCHES "(graven_cli|_test|_graven)[:.]")
  message(FATAL_ERROR "a consumer build has developer targets:\n${output}")
endif()
file(REMOVE_RECURSE "${WORK}")
