# SPDX-License-Identifier: MIT
#
# What `cmake --install` puts where: headers, library, CMake package, pkg-config file, licence
# (and, from src/cli, the graven command). Components: runtime (command, shared library), development.

include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/graven")

install(TARGETS graven EXPORT graven-targets
  RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT runtime
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT runtime NAMELINK_COMPONENT development
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT development)
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/graven"
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT development
  FILES_MATCHING PATTERN "*.hpp" PATTERN "*.ipp")
install(EXPORT graven-targets NAMESPACE graven:: DESTINATION "${package_dir}" COMPONENT development)

configure_package_config_file(
  "${PROJECT_SOURCE_DIR}/cmake/graven-config.cmake.in"
  "${CMAKE_CURRENT_BINARY_DIR}/graven-config.cmake"
  INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/graven-config-version.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES
  "${CMAKE_CURRENT_BINARY_DIR}/graven-config.cmake"
  "${CMAKE_CURRENT_BINARY_DIR}/graven-config-version.cmake"
  DESTINATION "${package_dir}" COMPONENT development)

# pkg-config: the prefix follows the file, so that an installed tree may be moved.
file(RELATIVE_PATH GRAVEN_PC_PREFIX
  "/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/prefix")
set(GRAVEN_PC_PREFIX "\${pcfiledir}/${GRAVEN_PC_PREFIX}")
string(REGEX REPLACE "/$" "" GRAVEN_PC_PREFIX "${GRAVEN_PC_PREFIX}")
set(GRAVEN_PC_REQUIRES "")
if(GRAVEN_SQLITE STREQUAL "system")
  set(GRAVEN_PC_REQUIRES "sqlite3")
endif()
if(BUILD_SHARED_LIBS)
  set(GRAVEN_PC_PUBLIC "-pthread")
else()
  # A static library's own needs are everybody's: pkg-config --static is rarely remembered.
  set(GRAVEN_PC_PUBLIC "-lstdc++ -lm -pthread")
  if(OpenSSL_FOUND)
    string(PREPEND GRAVEN_PC_PUBLIC "-lssl -lcrypto ")
  endif()
endif()
configure_file("${PROJECT_SOURCE_DIR}/cmake/graven.pc.in" "${CMAKE_CURRENT_BINARY_DIR}/graven.pc" @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/graven.pc"
  DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig" COMPONENT development)

install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}" COMPONENT runtime)
