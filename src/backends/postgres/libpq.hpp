// SPDX-License-Identifier: MIT
//
// libpq, loaded at run time: graven does not link it, so that who uses no PostgreSQL need not have
// it. The only file that includes its header, for types and prototypes.
//
// Always holds: once loaded, it stays. Any thread.
#pragma once

#include <libpq-fe.h>

#define GRAVEN_LIBPQ_FUNCTIONS(each)                                                               \
  each(PQcancel) each(PQclear) each(PQconnectPoll) each(PQconnectStartParams) each(PQconninfoFree) \
      each(PQconninfoParse) each(PQconnectionNeedsPassword) each(PQconsumeInput) each(PQdb)        \
          each(PQerrorMessage) each(PQfinish) each(PQflush) each(PQfreeCancel) each(PQfreemem)     \
              each(PQgetCancel) each(PQgetisnull) each(PQgetlength) each(PQgetResult)              \
                  each(PQgetvalue) each(PQhost) each(PQisBusy) each(PQntuples) each(PQnotifies)    \
                      each(PQport) each(PQresultErrorField) each(PQresultStatus)                   \
                          each(PQsendPrepare) each(PQsendQuery) each(PQsendQueryParams)            \
                              each(PQsendQueryPrepared) each(PQserverVersion)                      \
                                  each(PQsetErrorVerbosity) each(PQsetNoticeProcessor)             \
                                      each(PQsetnonblocking) each(PQsocket) each(PQstatus)         \
                                          each(PQtransactionStatus)

namespace graven::postgres {

struct Libpq {
#define GRAVEN_LIBPQ_MEMBER(function) decltype(&::function) function;
  GRAVEN_LIBPQ_FUNCTIONS(GRAVEN_LIBPQ_MEMBER)
#undef GRAVEN_LIBPQ_MEMBER
};

/// UsageError, which says what to install, if there is no libpq.
const Libpq& libpq();

}  // namespace graven::postgres
