// SPDX-License-Identifier: MIT
//
// Several processes on one file: counters that lose nothing, and a list all of them append to.
#include <graven/graven.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <set>
#include <string>

#include "scratch.hpp"

namespace {

constexpr int kProcesses = 4;
constexpr int kSteps = 100;

int work(const std::string& path, int number) {
  const graven::Database db(path);  // each process opens the file itself
  for (int step = 0; step < kSteps; ++step) {
    // A counter and a list entry, together or not at all.
    db.transaction([&] {
      const std::int64_t ticket = db.incr("tickets");
      db["log"].as_list().push_back({{"ticket", ticket}, {"process", number}});
    });
  }
  return 0;
}

}  // namespace

int main() {
  const Scratch scratch;
  const std::string path = scratch.file("counters.db");
  {
    const graven::Database db(path);
    db["log"] = graven::Data::list();
  }

  for (int number = 0; number < kProcesses; ++number) {
    if (fork() == 0) _exit(work(path, number));
  }
  for (int number = 0; number < kProcesses; ++number) {
    int status = 0;
    wait(&status);
    expect(status == 0, "every process did its work");
  }

  const graven::Database db(path);
  expect(db.count("tickets") == kProcesses * kSteps, "no increment was lost");
  std::set<std::int64_t> tickets;
  for (const graven::Value& entry : db["log"].as_list()) {
    tickets.insert(entry["ticket"].get<std::int64_t>());
  }
  expect(tickets.size() == kProcesses * kSteps, "every ticket was given once");
  expect(*tickets.rbegin() == kProcesses * kSteps, "and none left out");
  db.decr("tickets", 1);
  expect(db.count("tickets") == kProcesses * kSteps - 1, "counters go down too");
  expect(db.count("never used") == 0, "and start at 0");
}
