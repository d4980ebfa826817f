// SPDX-License-Identifier: MIT
//
// Paths, escapes both ways, and the lines of an input.
#include <unistd.h>

#include <array>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "cli/input.hpp"
#include "cli/path.hpp"

namespace graven::cli {
namespace {

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

TEST(Input, LinesWithAndWithoutLastNewline) {
  constexpr std::string_view kText = "a\n\nlonger line\nlast";
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe(ends.data()), 0);
  ASSERT_EQ(write(ends[1], kText.data(), kText.size()), static_cast<ssize_t>(kText.size()));
  close(ends[1]);
  Input input("/dev/fd/" + std::to_string(ends[0]));
  close(ends[0]);
  std::string_view line;
  std::vector<std::string> lines;
  std::vector<std::uint64_t> positions;
  while (input.next_line(line)) {
    lines.emplace_back(line);
    positions.push_back(input.position());
  }
  EXPECT_EQ(lines, (std::vector<std::string>{"a", "", "longer line", "last"}));
  EXPECT_EQ(positions, (std::vector<std::uint64_t>{2, 3, 15, 19}));
}

}  // namespace
}  // namespace graven::cli
