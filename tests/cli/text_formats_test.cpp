// SPDX-License-Identifier: MIT
//
// Paths and the Debian formats: escapes both ways, stanzas, relations, the order of versions.
#include <unistd.h>

#include <array>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "cli/deb822.hpp"
#include "cli/path.hpp"

namespace graven::cli {
namespace {

using Names = std::vector<std::string>;

TEST(Path, ParsesAsJsonPointerDoes) {
  EXPECT_EQ(parse_path(""), Path{});
  EXPECT_EQ(parse_path("a"), Path{"a"});
  EXPECT_EQ(parse_path("/a"), Path{"a"});
  EXPECT_EQ(parse_path("/"), Path{""});
  EXPECT_EQ(parse_path("//"), (Path{"", ""}));
  EXPECT_EQ(parse_path("a/b/0"), (Path{"a", "b", "0"}));
  EXPECT_EQ(parse_path("a/"), (Path{"a", ""}));
  EXPECT_EQ(parse_path("a~1b/~0~01"), (Path{"a/b", "~~1"}));
  EXPECT_EQ(parse_path("x~x0ay~x00"), Path{std::string("x\ny\0", 4)});
  for (const char* bad : {"~", "a~", "a~2", "~x1", "~xg0", "~xff"}) {
    EXPECT_THROW(parse_path(bad), UsageError) << bad;
  }
}

TEST(Path, FormatsWhatParses) {
  EXPECT_EQ(format_path({}), "the root");
  for (const Path& path :
       {Path{"a"}, Path{""}, Path{"", ""}, Path{"", "a"}, Path{"a/b", "~1", "\n"},
        Path{std::string("\0", 1), "\x7f"}, Path{"\xC3\xA4 b", "-1"}}) {
    EXPECT_EQ(parse_path(format_path(path)), path);
  }
}

TEST(Path, Indexes) {
  EXPECT_EQ(parse_index("0"), 0);
  EXPECT_EQ(parse_index("-1"), -1);
  for (const char* bad : {"", "-", "a", "1a", "+1", " 1", "99999999999999999999"}) {
    EXPECT_EQ(parse_index(bad), std::nullopt) << bad;
  }
}

// An Input on a text.
class Text {
 public:
  explicit Text(std::string_view text) {
    std::array<int, 2> ends{};
    if (pipe(ends.data()) != 0 || write(ends[1], text.data(), text.size()) < 0) std::abort();
    close(ends[1]);
    input_ = std::make_unique<Input>(ends[0], "test");
  }
  Input& input() { return *input_; }

 private:
  std::unique_ptr<Input> input_{};
};

TEST(Input, LinesWithAndWithoutLastNewline) {
  Text text("a\n\nlonger line\nlast");
  std::string_view line;
  Names lines;
  std::vector<std::uint64_t> positions;
  while (text.input().next_line(line)) {
    lines.emplace_back(line);
    positions.push_back(text.input().position());
  }
  EXPECT_EQ(lines, (Names{"a", "", "longer line", "last"}));
  EXPECT_EQ(positions, (std::vector<std::uint64_t>{2, 3, 15, 19}));
}

TEST(Deb822, Stanzas) {
  Text text(
      "\n# comment\nPackage: one\nDescription: short\n long\n .\n more\nTag: a,\n b\n\n\n"
      "package:two\nVersion : 1\n");
  StanzaReader reader(text.input());
  Stanza stanza;
  ASSERT_TRUE(reader.next(stanza));
  EXPECT_EQ(stanza.get("Package"), "one");
  EXPECT_EQ(stanza.get("DESCRIPTION"), "short\nlong\n\nmore");
  EXPECT_EQ(stanza.get("Tag"), "a,\nb");
  EXPECT_EQ(stanza.get("Missing"), "");
  ASSERT_TRUE(reader.next(stanza));
  EXPECT_EQ(stanza.get("Package"), "two");
  EXPECT_EQ(stanza.get("Version"), "1");
  EXPECT_FALSE(reader.next(stanza));
}

TEST(Deb822, NamesTheLineThatIsNoField) {
  for (const char* bad : {"Package: x\nnonsense\n", " folded first\n", "Package: \xFF\n"}) {
    Text text(std::string("A: b\n\n") + bad);
    StanzaReader reader(text.input());
    Stanza stanza;
    ASSERT_TRUE(reader.next(stanza));
    try {
      reader.next(stanza);
      FAIL() << bad;
    } catch (const CorruptionError& error) {
      EXPECT_NE(std::string(error.what()).find("test: line "), std::string::npos);
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
}  // namespace graven::cli
