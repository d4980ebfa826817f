// SPDX-License-Identifier: MIT
//
// What must not compile, a line each, with the words its only error must have. check_refused.py
// has this file compiled by gcc and clang; it is part of no program.
#include <graven/graven.hpp>

#include <atomic>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace graven;

enum Plain { kA };
enum class Scoped { kB };
struct Truth {
  operator bool() const { return true; }
};
struct Nothing {};
void function();

void stored(const Database& db, const Dict& dict, const List& list, const Map& map, int* pointer,
            const void* address, const Nothing* nothing) {
  int array[3] = {};
  const std::atomic<int> atom{1};
  db["a"] = pointer;                                        // GravenCannotStore
  db["a"] = address;                                        // GravenCannotStore
  db["a"] = nothing;                                        // GravenCannotStore
  db["a"] = array;                                          // GravenCannotStore
  db["a"] = function;                                       // GravenCannotStore
  db["a"] = &function;                                      // GravenCannotStore
  db["a"] = [] {};                                          // GravenCannotStore
  db["a"] = kA;                                             // GravenCannotStore
  db["a"] = Scoped::kB;                                     // GravenCannotStore
  db["a"] = std::byte{1};                                   // GravenCannotStore
  db["a"] = 'x';                                            // GravenCannotStore
  db["a"] = L'x';                                           // GravenCannotStore
  db["a"] = u8'x';                                          // GravenCannotStore
  db["a"] = L"x";                                           // GravenCannotStore
  db["a"] = u8"x";                                          // GravenCannotStore
  db["a"] = u"x";                                           // GravenCannotStore
  db["a"] = std::wstring();                                 // GravenCannotStore
  db["a"] = 1.0L;                                           // GravenCannotStore
  db["a"] = Truth{};                                        // GravenCannotStore
  db["a"] = Nothing{};                                      // GravenCannotStore
  db["a"] = atom;                                           // GravenCannotStore
  db["a"] = std::optional<int>(1);                          // GravenCannotStore
  db["a"] = std::vector<int*>{};                            // GravenCannotStore
  db["a"] = std::vector<char>{};                            // GravenCannotStore
  db["a"] = std::vector<unsigned char>{};                   // GravenCannotStore
  db["a"] = std::map<int, int>{};                           // GravenCannotStore
  db["a"] = std::multimap<std::string, int>{};              // GravenCannotStore
  db["a"] = std::map<std::string, std::vector<Nothing>>{};  // GravenCannotStore
  db["a"] = std::filesystem::path("x");                     // GravenCannotStore
  db["a"] = {{"k", pointer}};                               // GravenCannotStore
  db["a"] = {1, {2, {function}}};                           // GravenCannotStore
  db["a"] = {L"x"};                                         // GravenCannotStore
  const Data parentheses(pointer);                          // GravenCannotStore
  const Data braces{pointer};                               // GravenCannotStore
  const Data assigned = pointer;                            // GravenCannotStore
  dict.set("a", pointer);                                   // GravenCannotStore
  dict.update({{"a", 'x'}});                                // GravenCannotStore
  list.push_back(array);                                    // GravenCannotStore
  map.set("a", pointer);                                    // GravenCannotStore
  (void)Data::dict({{"a", pointer}});                       // GravenCannotStore
  (void)Data::list({1, pointer});                           // GravenCannotStore
  const Value value(pointer);                               // GravenCannotKeep
  const Value wide = L'x';                                  // GravenCannotKeep
}

void named(const Database& db, const Dict& dict, const Map& map, const List& list, int* pointer) {
  (void)dict[0];                  // GravenWantsTextNot
  (void)dict[5];                  // GravenWantsTextNot
  (void)dict['a'];                // GravenWantsTextNot
  (void)dict[nullptr];            // GravenWantsTextNot
  (void)dict[pointer];            // GravenWantsTextNot
  (void)dict[L"x"];               // GravenWantsTextNot
  (void)dict.at(0);               // GravenWantsTextNot
  (void)dict.contains(false);     // GravenWantsTextNot
  (void)db[0];                    // GravenWantsTextNot
  (void)db.incr(0);               // GravenWantsTextNot
  (void)db.with_prefix(nullptr);  // GravenWantsTextNot
  (void)map.get(0);               // GravenWantsTextNot
  (void)Data::dict({{0, 1}});     // GravenWantsTextNot
  (void)db["a"][1.5];             // GravenWantsTextNot
  (void)db["a"]['x'];             // GravenWantsTextNot
  (void)db["a"][true];            // GravenWantsTextNot
  (void)db["a"][nullptr];         // GravenWantsTextNot
  (void)list["a"];                // GravenWantsAnIndexNot
  (void)list[1.5];                // GravenWantsAnIndexNot
  (void)list.at('x');             // GravenWantsAnIndexNot
  (void)list.at(nullptr);         // GravenWantsAnIndexNot
  (void)list.slice(1.5, 1);       // GravenWantsAnIndexNot
  (void)list.slice(1, 1.5);       // GravenWantsACountNot
  list.splice(0, false, 1);       // GravenWantsACountNot
  (void)db.incr("a", 2.7);        // GravenWantsAnIntegerNot
  (void)db.decr("a", true);       // GravenWantsAnIntegerNot
}

void given(const Ref& place, const Value& value) {
  (void)place.get<long double>();       // get<T>() gives
  (void)place.get<char>();              // get<T>() gives
  (void)place.get<std::string_view>();  // get<T>() gives
  (void)place.get<const char*>();       // get<T>() gives
  (void)value.get<std::vector<int>>();  // get<T>() gives
  (void)value.is<int>();                // is<T>() asks for
}

void exchanged(Ref one, Ref two) {
  std::swap(one, two);  // cannot be made to stand for another place
}

}  // namespace
