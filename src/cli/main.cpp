// SPDX-License-Identifier: MIT
//
// The graven command. Turns exceptions into messages and exit statuses; the verbs do the rest.
//
// Single-threaded.
#include <csignal>
#include <exception>
#include <string>
#include <vector>

#include "cli/answer.hpp"
#include "cli/command_line.hpp"
#include "cli/console.hpp"
#include "cli/path.hpp"
#include "cli/verbs.hpp"

namespace graven::cli {
namespace {

int end_by_signal(int signal) {
  std::signal(signal, SIG_DFL);
  std::raise(signal);
  return kFailed;
}

int run(int count, char** values) {
  prepare_descriptors();
  CommandLine line;
  try {
    return line.run(std::vector<std::string>(values + (count > 0 ? 1 : 0), values + count));
  } catch (const OutputClosed&) {
    return end_by_signal(SIGPIPE);
  } catch (const Interrupted& interrupted) {
    complain(interrupted, line.json());
    return end_by_signal(interrupted.signal());
  } catch (const NotFound& error) {
    complain(error, line.json());
    return kNotFound;
  } catch (const KeyNotFound& error) {
    complain(error, line.json());
    return kNotFound;
  } catch (const IndexOutOfRange& error) {
    complain(error, line.json());
    return kNotFound;
  } catch (const std::exception& error) {
    complain(error, line.json());
  }
  return kFailed;
}

}  // namespace
}  // namespace graven::cli

int main(int count, char** values) { return graven::cli::run(count, values); }
