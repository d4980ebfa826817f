// SPDX-License-Identifier: MIT
//
// The backends the conformance suite runs on: how each is opened, and what reopening means
// for it. A backend is added by one line in store_under_test.cpp's table.
#pragma once

#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "backends/sqlite/temporary_folder.hpp"
#include "port/backend.hpp"

namespace graven::test {

struct BackendKind {
  const char* name;
  std::unique_ptr<port::Backend> (*open)(const TemporaryFolder& folder);
  bool persistent;  // whether a reopened store is the same store
};

inline std::ostream& operator<<(std::ostream& out, const BackendKind& kind) {
  return out << kind.name;
}

/// Every backend, for INSTANTIATE_TEST_SUITE_P.
std::vector<BackendKind> every_backend();

class Conformance : public ::testing::TestWithParam<BackendKind> {
 protected:
  Conformance() : backend_(GetParam().open(folder_)) {}

  /// Closes the store and opens it again, where it outlives that.
  void reopen() {
    if (!GetParam().persistent) return;
    backend_.reset();
    backend_ = GetParam().open(folder_);
  }

  TemporaryFolder folder_;
  Opened backend_;
};

inline std::string backend_name(const ::testing::TestParamInfo<BackendKind>& info) {
  return info.param.name;
}

}  // namespace graven::test
