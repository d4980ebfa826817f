// SPDX-License-Identifier: MIT
//
// The formats of Debian's package indexes as the example reads them: stanzas, relations, the order
// of versions.
#include <cstdio>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "debian_packages/deb822.hpp"

namespace {

using Names = std::vector<std::string>;

std::vector<Stanza> stanzas_of(std::string text) {
  std::vector<Stanza> stanzas;
  std::FILE* file = fmemopen(text.data(), text.size(), "r");
  try {
    read_stanzas(file, [&](const Stanza& stanza) {
      stanzas.push_back(stanza);
      return stanza.get("Last").empty();
    });
  } catch (...) {
    std::fclose(file);
    throw;
  }
  std::fclose(file);
  return stanzas;
}

TEST(Deb822, Stanzas) {
  const std::vector<Stanza> stanzas = stanzas_of(
      "\n# comment\nPackage: one\nDescription: short\n long\n .\n more\nTag: a,\n b\n\n\n"
      "package:two\nVersion : 1");
  ASSERT_EQ(stanzas.size(), 2);
  EXPECT_EQ(stanzas[0].get("Package"), "one");
  EXPECT_EQ(stanzas[0].get("DESCRIPTION"), "short\nlong\n\nmore");
  EXPECT_EQ(stanzas[0].get("Tag"), "a,\nb");
  EXPECT_EQ(stanzas[0].get("Missing"), "");
  EXPECT_EQ(stanzas[1].get("Package"), "two");
  EXPECT_EQ(stanzas[1].get("Version"), "1");
}

TEST(Deb822, ReadsNoFurtherThanItIsAskedTo) {
  EXPECT_EQ(stanzas_of("Package: one\n\nLast: yes\n\nnonsense\n").size(), 2);
}

TEST(Deb822, NamesTheLineThatIsNoField) {
  for (const auto& [bad, line] : {std::pair{"Package: x\nnonsense\n", "line 4 "},
                                  {" folded first\n", "line 3 "},
                                  {"\tfolded: first\n", "line 3 "}}) {
    try {
      stanzas_of(std::string("A: b\n\n") + bad);
      FAIL() << bad;
    } catch (const std::runtime_error& error) {
      EXPECT_EQ(std::string(error.what()).find(line), 0) << error.what();
    }
  }
}

TEST(Deb822, Relations) {
  EXPECT_EQ(related_names(""), Names{});
  EXPECT_EQ(related_names("libc6 (>= 2.34), dpkg (<< 2),libc6 (<< 3)"), (Names{"libc6", "dpkg"}));
  EXPECT_EQ(related_names("debconf (>= 0.5) | debconf-2.0, python3:any, x [amd64] <!nocheck>"),
            (Names{"debconf", "debconf-2.0", "python3", "x"}));
  EXPECT_EQ(related_names("a,\nb(=1),  c  "), (Names{"a", "b", "c"}));
  EXPECT_EQ(related_names(" , | ,"), Names{});
}

TEST(Deb822, VersionsInOrder) {
  const Names ordered{"0~~",     "0~",    "0",        "0.1",     "1.0~rc1", "1.0",
                      "1.0-0.1", "1.0-1", "1.0-1+b1", "1.0-1.1", "1.0a",    "1.0+x",
                      "1.2",     "1.10",  "1:0.1",    "2:0.0"};
  for (std::size_t left = 0; left < ordered.size(); ++left) {
    for (std::size_t right = 0; right < ordered.size(); ++right) {
      const int order = compare_versions(ordered[left], ordered[right]);
      EXPECT_EQ(order < 0, left < right) << ordered[left] << " " << ordered[right];
      EXPECT_EQ(order > 0, left > right) << ordered[left] << " " << ordered[right];
    }
  }
  EXPECT_EQ(compare_versions("1.0", "0:1.0-0"), 0);
  EXPECT_EQ(compare_versions("1.01", "1.1"), 0);
}

}  // namespace
