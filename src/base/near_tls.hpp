// SPDX-License-Identifier: MIT
//
// GRAVEN_NEAR_TLS is for a thread_local word that every read uses. It puts the word into the
// thread's static TLS block, where it is reached without a call, also from a shared library that
// was loaded late (a Python extension). glibc reserves only some hundred bytes for all such
// libraries, so use it for few words, and of_thread.hpp for the rest.
#pragma once

#if defined(__linux__) && __has_include(<gnu/libc-version.h>)
#define GRAVEN_NEAR_TLS [[gnu::tls_model("initial-exec")]]
#else
#define GRAVEN_NEAR_TLS
#endif
