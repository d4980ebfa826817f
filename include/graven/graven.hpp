// SPDX-License-Identifier: MIT
//
// graven keeps a program's dicts and lists in a file. This header includes all others.
#pragma once

#include <graven/argument.hpp>       // IWYU pragma: export
#include <graven/backup.hpp>         // IWYU pragma: export
#include <graven/bulk_import.hpp>    // IWYU pragma: export
#include <graven/copy.hpp>           // IWYU pragma: export
#include <graven/data.hpp>           // IWYU pragma: export
#include <graven/database.hpp>       // IWYU pragma: export
#include <graven/doctor.hpp>         // IWYU pragma: export
#include <graven/error.hpp>          // IWYU pragma: export
#include <graven/integer.hpp>        // IWYU pragma: export
#include <graven/interrupt.hpp>      // IWYU pragma: export
#include <graven/log.hpp>            // IWYU pragma: export
#include <graven/map.hpp>            // IWYU pragma: export
#include <graven/option_fields.hpp>  // IWYU pragma: export
#include <graven/path.hpp>           // IWYU pragma: export
#include <graven/query.hpp>          // IWYU pragma: export
#include <graven/repair.hpp>         // IWYU pragma: export
#include <graven/sql.hpp>            // IWYU pragma: export
#include <graven/stats.hpp>          // IWYU pragma: export
#include <graven/stats_fields.hpp>   // IWYU pragma: export
#include <graven/value.hpp>          // IWYU pragma: export
#include <graven/version.hpp>        // IWYU pragma: export
#include <graven/watch.hpp>          // IWYU pragma: export
