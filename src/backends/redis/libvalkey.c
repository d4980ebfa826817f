// SPDX-License-Identifier: MIT
//
// libvalkey's parser of the Redis protocol, compiled as a part of graven under names of its own:
// see cmake/libvalkey.cmake.
#include <alloc.c>
#include <read.c>
#include <sds.c>
