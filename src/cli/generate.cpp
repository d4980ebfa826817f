// SPDX-License-Identifier: MIT
//
// Walks the declared verbs and options. The name of a value decides its completion: DATABASE,
// BACKUP, TARGET, FILE, SOURCE and DEST are files; PATH and NODE are keys of the database in the
// first argument, as `graven ls` lists them. Used by the main thread.
#include "cli/generate.hpp"

#include <graven/error.hpp>
#include <graven/version.hpp>

#include <algorithm>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace graven::cli {
namespace {

struct OptionText {
  std::vector<std::string> names;  // with their dashes; for an argument just its name
  std::string value;               // name of the value; empty: takes none
  std::string about;
  bool argument = false;
  bool required = false;
};

struct VerbText {
  std::string name;
  std::string about;
  std::string more;
  std::vector<OptionText> options;
};

OptionText text_of(const CLI::Option& option) {
  OptionText text;
  text.about = option.get_description();
  text.required = option.get_required();
  text.argument = option.get_positional();
  if (text.argument) {
    text.names = {text.value = option.get_name(true)};
    return text;
  }
  for (const std::string& name : option.get_snames()) text.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) text.names.push_back("--" + name);
  if (option.get_type_size() != 0) text.value = option.get_type_name();
  return text;
}

std::vector<VerbText> verbs_of(const CLI::App& app) {
  std::vector<VerbText> verbs;
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) {
    VerbText text{verb->get_name(), verb->get_description(), verb->get_footer(), {}};
    for (const CLI::Option* option : verb->get_options([](const CLI::Option*) { return true; })) {
      text.options.push_back(text_of(*option));
    }
    verbs.push_back(std::move(text));
  }
  return verbs;
}

bool is_file(std::string_view value) {
  return value == "DATABASE" || value == "BACKUP" || value == "TARGET" || value == "FILE" ||
         value == "SOURCE" || value == "DEST";
}
bool is_key(std::string_view value) { return value == "PATH" || value == "NODE"; }

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size()) {
    text.replace(at, what.size(), by);
  }
  return text;
}

template <class List>
std::string joined(const List& list, std::string_view between) {
  std::string text;
  for (const auto& one : list) {
    if (!text.empty()) text += between;
    text += one;
  }
  return text;
}

// --- man

std::string roff(std::string text) {
  text = replaced(std::move(text), "\\", "\\e");
  text = replaced(std::move(text), "-", "\\-");
  text = replaced(std::move(text), "'", "\\(aq");
  text = replaced(std::move(text), "`", "\\(ga");
  text = replaced(std::move(text), "~", "\\(ti");
  text = replaced(std::move(text), "^", "\\(ha");
  text = replaced(std::move(text), "\n.", "\n\\&.");
  if (text.starts_with('.')) text.insert(0, "\\&");
  return text;
}

/// Keeps the line breaks; replaces empty lines, because groff warns about them.
std::string as_lines(const std::string& text) {
  return ".nf\n" + replaced(roff(text), "\n\n", "\n.sp\n") + "\n.fi\n";
}

void put_options(std::string& out, const VerbText& verb, bool arguments) {
  for (const OptionText& option : verb.options) {
    if (option.argument != arguments) continue;
    out += ".TP\n";
    std::vector<std::string> names;
    for (const std::string& name : option.names) names.push_back("\\fB" + roff(name) + "\\fR");
    out += joined(names, ", ");
    if (!option.value.empty() && !arguments) out += " \\fI" + roff(option.value) + "\\fR";
    out += "\n" + roff(option.about) + "\n";
  }
}

std::string man(const CLI::App& app) {
  std::string out = fmt::format(
      ".\\\" SPDX-License-Identifier: MIT\n"
      ".TH GRAVEN 1 \"\" \"graven {}\" \"User Commands\"\n"
      ".SH NAME\ngraven \\- look into and change graven databases\n"
      ".SH SYNOPSIS\n\\fBgraven\\fR \\fIVERB\\fR [\\fIOPTIONS\\fR] \\fIARGUMENTS\\fR\n"
      ".SH DESCRIPTION\n{}",
      version(), as_lines(app.get_description()));
  out += ".SH OPTIONS\n";
  VerbText whole;
  for (const CLI::Option* option : app.get_options([](const CLI::Option*) { return true; })) {
    whole.options.push_back(text_of(*option));
  }
  put_options(out, whole, false);
  out += ".SH VERBS\n";
  for (const VerbText& verb : verbs_of(app)) {
    std::string line = "graven " + verb.name;
    for (const OptionText& option : verb.options) {
      if (!option.argument) continue;
      line += option.required ? " " + option.value : " [" + option.value + "]";
    }
    out += fmt::format(".SS \"{}\"\n{}.\n", roff(line), roff(verb.about));
    put_options(out, verb, true);
    put_options(out, verb, false);
    out += ".PP\n" + as_lines(verb.more);
  }
  out += ".SH EXIT STATUS\n" + as_lines(app.get_footer());
  out += ".SH SEE ALSO\n.BR sqlite3 (1)\n";
  return out;
}

// --- bash

constexpr const char* kBashEnd = R"bash(        *) return ;;
    esac
    if [[ " $files " == *" $previous "* ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return
    fi
    [[ " $values " == *" $previous "* ]] && return
    if [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
        return
    fi
    for ((i = 2; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ " $values $files " == *" $word "* ]]; then
            ((++i))
        elif [[ $word != -* ]]; then
            ((at == 0)) && database=$word
            ((++at))
        fi
    done
    kinds=($arguments)
    case ${kinds[at]-} in
        file)
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            ;;
        key)
            compopt -o nospace 2>/dev/null
            folder=
            [[ $current == */* ]] && folder=${current%/*}
            while IFS= read -r word; do
                word=${folder:+$folder/}$word
                [[ $word == "$current"* ]] && COMPREPLY+=("$(printf '%q' "$word")")
            done < <("${COMP_WORDS[0]}" ls "${database/#\~/$HOME}" "$folder" 2>/dev/null | head -n 1000)
            ;;
    esac
}
complete -F _graven graven
)bash";

std::string bash(const CLI::App& app) {
  const std::vector<VerbText> verbs = verbs_of(app);
  std::vector<std::string> names;
  for (const VerbText& verb : verbs) names.push_back(verb.name);
  std::string out = fmt::format(
      "# SPDX-License-Identifier: MIT\n"
      "# bash completion for graven\n"
      "_graven() {{\n"
      "    local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD - 1]}}\n"
      "    local options= values= files= arguments= kinds at=0 database= folder word i\n"
      "    COMPREPLY=()\n"
      "    if ((COMP_CWORD == 1)); then\n"
      "        mapfile -t COMPREPLY < <(compgen -W '{} --help --version' -- \"$current\")\n"
      "        return\n"
      "    fi\n"
      "    case ${{COMP_WORDS[1]}} in\n",
      joined(names, " "));
  for (const VerbText& verb : verbs) {
    std::vector<std::string> options;
    std::vector<std::string> values;
    std::vector<std::string> files;
    std::vector<std::string> arguments;
    for (const OptionText& option : verb.options) {
      if (option.argument) {
        arguments.emplace_back(is_file(option.value)  ? "file"
                               : is_key(option.value) ? "key"
                                                      : "other");
        continue;
      }
      options.insert(options.end(), option.names.begin(), option.names.end());
      if (option.value.empty()) continue;
      std::vector<std::string>& takes = is_file(option.value) ? files : values;
      takes.insert(takes.end(), option.names.begin(), option.names.end());
    }
    out += fmt::format("        {}) options='{}' values='{}' files='{}' arguments='{}' ;;\n",
                       verb.name, joined(options, " "), joined(values, " "), joined(files, " "),
                       joined(arguments, " "));
  }
  return out + kBashEnd;
}

// --- zsh

/// For use in single quotes, for _arguments and _describe.
std::string zsh_text(std::string text) {
  for (const std::string_view special : {"\\", "[", "]", ":"}) {
    text = replaced(std::move(text), special, "\\" + std::string(special));
  }
  return replaced(replaced(std::move(text), "'", "'\\''"), "\n", " ");
}

constexpr const char* kZshStart = R"zsh(#compdef graven
# SPDX-License-Identifier: MIT

_graven_keys() {
    local folder= database=${${(@)words[2,-1]:#-*}[1]}
    local -a keys
    [[ $PREFIX == */* ]] && folder=${PREFIX%/*}
    keys=(${(f)"$(_call_program keys graven ls ${(q)${database/#\~/$HOME}} ${(q)folder} 2>/dev/null)"})
    [[ -n $folder ]] && keys=($folder/$^keys)
    compadd -S '' -a keys
}

)zsh";

std::string zsh(const CLI::App& app) {
  const std::vector<VerbText> verbs = verbs_of(app);
  std::string out = kZshStart;
  out += "_graven() {\n    local -a verbs\n    verbs=(\n";
  for (const VerbText& verb : verbs) {
    out += fmt::format("        '{}:{}'\n", verb.name, zsh_text(verb.about));
  }
  out +=
      "    )\n"
      "    if ((CURRENT == 2)); then\n"
      "        _describe verb verbs\n"
      "        _arguments '--help[Print the help]' '--version[Print the version]'\n"
      "        return\n"
      "    fi\n"
      "    local verb=$words[2]\n"
      "    shift words\n"
      "    ((CURRENT--))\n"
      "    case $verb in\n";
  for (const VerbText& verb : verbs) {
    out += fmt::format("        {})\n            _arguments", verb.name);
    int place = 0;
    for (const OptionText& option : verb.options) {
      out += " \\\n                ";
      const std::string takes = option.value.empty()
                                    ? ""
                                    : fmt::format(":{}:{}", option.value,
                                                  is_file(option.value)  ? "_files"
                                                  : is_key(option.value) ? "_graven_keys"
                                                                         : "");
      if (option.argument) {
        out += fmt::format("'{}{}{}'", ++place, option.required ? "" : ":", takes);
        continue;
      }
      if (option.names.size() > 1) {
        out += fmt::format("'({})'{{{}}}", joined(option.names, " "), joined(option.names, ","));
      } else {
        out += option.names.front();
      }
      out += fmt::format("'[{}]{}'", zsh_text(option.about), takes);
    }
    out += "\n            ;;\n";
  }
  return out + "    esac\n}\n\n_graven \"$@\"\n";
}

}  // namespace

std::string generate(const CLI::App& app, std::string_view format) {
  if (format == "man") return man(app);
  if (format == "bash") return bash(app);
  if (format == "zsh") return zsh(app);
  throw UsageError("--generate makes man, bash or zsh");
}

}  // namespace graven::cli
