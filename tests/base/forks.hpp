// SPDX-License-Identifier: MIT
//
// What AddressSanitizer cannot do in a child of fork().
#pragma once

#include <gtest/gtest.h>

/// Skips a test whose child allocates while threads of its parent do so at the fork: gcc's
/// AddressSanitizer may leave its allocator locked in that child.
#if defined(__SANITIZE_ADDRESS__)
#define GRAVEN_FORKS_AMID_THREADS() GTEST_SKIP() << "forks while threads allocate"
#else
#define GRAVEN_FORKS_AMID_THREADS() static_cast<void>(0)
#endif
