// SPDX-License-Identifier: MIT
//
// GRAVEN_NEAR_TLS, for a thread_local word that every read looks at: it lies in the thread's static
// block, found without a call also from a shared library that was loaded late (a Python extension).
// glibc keeps some hundred bytes for all of those: so few words, and for the rest of_thread.hpp.
#pragma once

#if defined(__linux__) && __has_include(<gnu/libc-version.h>)
#define GRAVEN_NEAR_TLS [[gnu::tls_model("initial-exec")]]
#else
#define GRAVEN_NEAR_TLS
#endif
