# SPDX-License-Identifier: MIT
#
# graven_add_test(name SOURCES file... [LABELS label...] [LIBRARIES target...] [TIMEOUT seconds]
#                 [SHARDS n] [PROGRAM])
#
# A GoogleTest program that sees graven's internals, as one ctest entry. SHARDS splits it into
# n entries that ctest may run side by side; PROGRAM brings its own main(). Labels in use:
# unit, model, crash, race, install, python, layers, examples.

# gcc 12's ThreadSanitizer cannot map its shadow where the kernel randomises more than 28 bits.
set(GRAVEN_TEST_LAUNCHER "")
if("thread" IN_LIST GRAVEN_SANITIZE AND EXISTS /proc/sys/vm/mmap_rnd_bits)
  file(STRINGS /proc/sys/vm/mmap_rnd_bits bits LIMIT_COUNT 1)
  if(bits GREATER 28)
    set(GRAVEN_TEST_LAUNCHER setarch --addr-no-randomize)
  endif()
endif()

function(graven_add_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "PROGRAM" "TIMEOUT;SHARDS" "SOURCES;LABELS;LIBRARIES")
  if(arg_UNPARSED_ARGUMENTS OR NOT arg_SOURCES)
    message(FATAL_ERROR "graven_add_test(${name}): SOURCES missing or unknown '${arg_UNPARSED_ARGUMENTS}'")
  endif()
  if(NOT arg_LABELS)
    set(arg_LABELS unit)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 600)
  endif()
  add_executable(${name} ${arg_SOURCES})
  graven_compile_options(${name})
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}/tests")
  target_link_libraries(${name} PRIVATE
    $<TARGET_NAME_IF_EXISTS:graven_test_stores> $<TARGET_NAME_IF_EXISTS:graven_test_servers>
    graven::graven graven_internals ${arg_LIBRARIES})
  if(arg_PROGRAM)
    target_link_libraries(${name} PRIVATE GTest::gtest)
  else()
    target_link_libraries(${name} PRIVATE GTest::gtest_main)
  endif()
  set(common
    LABELS "${arg_LABELS}"
    TIMEOUT ${arg_TIMEOUT}
    ENVIRONMENT "ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1;UBSAN_OPTIONS=print_stacktrace=1;TSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/cmake/tsan.supp:second_deadlock_stack=1")
  if(arg_SHARDS)
    math(EXPR last "${arg_SHARDS} - 1")
    foreach(shard RANGE ${last})
      add_test(NAME ${name}.${shard} COMMAND ${GRAVEN_TEST_LAUNCHER} $<TARGET_FILE:${name}>)
      set_tests_properties(${name}.${shard} PROPERTIES ${common})
      set_property(TEST ${name}.${shard} APPEND PROPERTY ENVIRONMENT
        GTEST_TOTAL_SHARDS=${arg_SHARDS} GTEST_SHARD_INDEX=${shard})
    endforeach()
  else()
    add_test(NAME ${name} COMMAND ${GRAVEN_TEST_LAUNCHER} $<TARGET_FILE:${name}>)
    set_tests_properties(${name} PROPERTIES ${common})
  endif()
endfunction()
