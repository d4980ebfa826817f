// SPDX-License-Identifier: MIT
//
// Stores something, opens it again, reads it. The program has a function of SQLite's name of
// its own: graven's bundled SQLite must neither clash with it nor call it.
#include <graven/graven.hpp>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <string_view>

#ifndef GRAVEN_SQLITE_SYSTEM
extern "C" int sqlite3_open_v2() { std::abort(); }
#endif

int main(int argc, char** argv) {
  if (argc > 1 && graven::version() != std::string_view(argv[1])) {
    std::cerr << "linked " << graven::version() << ", expected " << argv[1] << '\n';
    return 1;
  }
  std::filesystem::remove("consumer.db");
  {
    graven::Database db("consumer.db");
    db["tasks"] = {{"T1", {{"status", "open"}}}};
  }
  graven::Database db("consumer.db");
  if (db["tasks"]["T1"]["status"].get<std::string>() != "open") return 1;
  std::cout << "graven " << graven::version() << ": stored and read back\n";
  return 0;
}
