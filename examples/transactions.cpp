// SPDX-License-Identifier: MIT
//
// Several steps as one: transaction() for "all or nothing", transactor() for "unless someone
// else changed what I read", snapshot() for reading one state.
#include <graven/graven.hpp>

#include <stdexcept>

#include "scratch.hpp"

namespace {

void transfer(const graven::Database& db, const char* from, const char* to, int amount) {
  db.transaction([&] {
    const auto accounts = db["accounts"].as_dict();
    accounts[from] = accounts.at(from).get<int>() - amount;
    accounts[to] = accounts.at(to).get<int>() + amount;
    if (accounts.at(from).get<int>() < 0) throw std::runtime_error("not enough");
  });
}

int balance(const graven::Database& db, const char* name) {
  return db["accounts"][name].get<int>();
}

}  // namespace

int main() {
  const Scratch scratch;
  const graven::Database db(scratch.file("bank.db"));
  db["accounts"] = {{"ada", 100}, {"bob", 20}};

  transfer(db, "ada", "bob", 30);
  expect(balance(db, "ada") == 70 && balance(db, "bob") == 50, "both sides or neither");

  // An exception rolls everything back, and passes through.
  try {
    transfer(db, "ada", "bob", 1000);
    expect(false, "the transfer is refused");
  } catch (const std::runtime_error&) {
    expect(balance(db, "ada") == 70 && balance(db, "bob") == 50, "as before");
  }

  // Inside a transaction, another is a savepoint.
  db.transaction([&] {
    db["log"] = {"started"};
    try {
      transfer(db, "bob", "ada", 1000);
    } catch (const std::runtime_error&) {
      db["log"].as_list().push_back("refused");
    }
  });
  expect(db["log"].as_list().size() == 2 && balance(db, "bob") == 50, "only the inner part undone");

  // By hand: what is not committed when it goes is rolled back.
  {
    const graven::Transaction given_up = db.begin();
    db["accounts"]["bob"] = 0;
  }
  graven::Transaction kept = db.begin();
  db["log"].as_list().push_back("by hand");
  kept.commit();
  expect(db["log"].as_list().size() == 3 && balance(db, "bob") == 50, "committed, or nothing");

  // Optimistic: no lock while it thinks; execute() says whether the world stood still.
  const graven::Transactor change = db.transactor();
  const int seen = change["accounts"]["bob"].get<int>();
  db["accounts"]["bob"] = 51;  // someone else
  change["accounts"]["bob"] = seen * 2;
  expect(!change.execute(), "a conflict: nothing was changed");
  expect(balance(db, "bob") == 51, "the other's value stands");
  change.transact([&] { change["accounts"]["bob"] = change["accounts"]["bob"].get<int>() * 2; });
  expect(balance(db, "bob") == 102, "transact() tries again until it works");

  // A snapshot does not see what happens after it.
  const graven::Snapshot before = db.snapshot();
  db["accounts"]["ada"] = 0;
  expect(before["accounts"]["ada"].get<int>() == 70, "the state at its making");
  expect(balance(db, "ada") == 0, "the newest state");
}
