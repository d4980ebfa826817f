// SPDX-License-Identifier: MIT
//
// A lazy store and fork(): it stays the parent's, with what is pending and with its claim.
#include <functional>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include <graven/error.hpp>

#include "backends/lazy/backend.hpp"
#include "backends/sqlite/backend.hpp"
#include "backends/sqlite/child.hpp"
#include "backends/sqlite/temporary_folder.hpp"

namespace graven::test {
namespace {

bool refused(const std::function<void()>& call) {
  try {
    call();
  } catch (const UsageError& error) {
    return std::string(error.what()).find("parent") != std::string::npos;
  }
  return false;
}

TEST(LazyFork, ItStaysTheParents) {
  const TemporaryFolder folder;
  const std::string path = folder / "store.db";
  Opened lazy = lazy::over(sqlite::open(path), {.flush_interval = std::chrono::hours(1)});
  write(*lazy, {{node_key(1), node_record(0, "flushed")}});
  lazy->flush();
  write(*lazy, {{node_key(1), node_record(0, "pending")}});
  auto view = lazy->view();
  EXPECT_EQ(view->load(node_key(1))->body, "pending");
  auto transaction = lazy->begin(soon());
  EXPECT_EQ(transaction->scan({.space = port::Space::kNode}, 5).size(), 1U);
  {
    Child child([&] {
      bool right = refused([&] { lazy->load(node_key(1)); }) && refused([&] { lazy->view(); }) &&
                   refused([&] { lazy->begin(soon()); }) && refused([&] { lazy->flush(); }) &&
                   refused([&] { lazy->sync(); }) && refused([&] { lazy->live_mark(); }) &&
                   refused([&] { lazy->leases().announce(3); }) &&
                   refused([&] { lazy->maintain(); }) &&
                   refused([&] { view->load(node_key(1)); }) &&
                   refused([&] { transaction->load(node_key(1)); });
      view.reset();
      transaction.reset();
      lazy.reset();  // flushes nothing, lets nobody write
      const Opened own = sqlite::open(path);
      right = right && own->load(node_key(1))->body == "flushed";
      try {
        own->begin(soon());
        return false;
      } catch (const BusyError&) {
      }
      return right;
    });
    EXPECT_TRUE(child.succeeded());
  }
  write(*transaction, {{node_key(2), node_record(0, "after")}});
  transaction.reset();
  EXPECT_EQ(view->load(node_key(1))->body, "pending");
  EXPECT_THROW(Opened(sqlite::open(path))->begin(soon()), BusyError);
  view.reset();
  lazy.reset();
  const Opened after = sqlite::open(path);
  EXPECT_EQ(after->load(node_key(1))->body, "pending");
  EXPECT_EQ(after->load(node_key(2))->body, "after");
  write(*after, {{node_key(1), node_record(0, "anybody")}});
}

TEST(LazyFork, AChildThatOutlivesItsParentHoldsNothing) {
  const TemporaryFolder folder;
  const std::string path = folder / "store.db";
  sqlite::open(path);
  Child parent([&](const Reporter& reporter) {
    const Opened lazy = lazy::over(sqlite::open(path));
    write(*lazy, {{node_key(1), node_record(0, "x")}});
    Child child([&](const Reporter& inner) {
      inner.say("alive");
      ::pause();
      return true;
    });
    if (child.line() != "alive") return false;
    reporter.say(std::to_string(child.pid()));
    ::pause();
    return true;
  });
  const auto grandchild = static_cast<pid_t>(std::stol(parent.line()));
  EXPECT_THROW(lazy::over(sqlite::open(path)), BusyError);
  parent.kill();
  EXPECT_EQ(::kill(grandchild, 0), 0);
  EXPECT_NO_THROW(lazy::over(sqlite::open(path)));
  ::kill(grandchild, SIGKILL);
}

}  // namespace
}  // namespace graven::test
