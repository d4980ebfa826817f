// SPDX-License-Identifier: MIT
//
// See connection.hpp. One thread at a time.
#include "backends/postgres/connection.hpp"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <mutex>
#include <optional>
#include <sstream>
#include <thread>
#include <utility>

namespace graven::postgres {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kMostPrepared = 400;

/// libpq ends its messages with a line feed.
std::string words(const char* text) {
  std::string line = text != nullptr ? text : "";
  while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.pop_back();
  std::replace(line.begin(), line.end(), '\n', ' ');
  return line;
}

struct Refusal {
  std::string state;
  std::string text;
};

/// What a verbose message of a server that takes no connection says: `…:  28P01: text`, and then
/// its place in the source. All but the SQLSTATE may be in any language; libpq tells it in no other
/// way.
Refusal refusal(const char* message) {
  constexpr std::size_t kState = 5;
  const auto in_state = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); };
  Refusal found;
  std::istringstream lines(message != nullptr ? message : "");
  for (std::string line; std::getline(lines, line);) {
    const auto at = line.find(":  ");
    if (at != line.npos) {
      if (line.find(".c:", at) != line.npos) continue;
      const std::string state = line.substr(at + 3, kState);
      if (line.compare(at + 3 + state.size(), 2, ": ") == 0 &&
          std::all_of(state.begin(), state.end(), in_state)) {
        line.erase(at + 2, kState + 2);
        if (found.state.empty()) found.state = state;
      }
    }
    found.text += line + '\n';
  }
  found.text = words(found.text.c_str());
  return found;
}

bool poll_until(int descriptor, short events, Deadline until) {
  pollfd one{.fd = descriptor, .events = events, .revents = 0};
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
  const int ready = ::poll(&one, 1, static_cast<int>(std::clamp<long long>(left, 0, 60'000)));
  return ready > 0;
}

/// The sockets of this process's connections. A forked child closes its copies of all of them, also
/// of those that a thread of the parent is using: the server must see when the parent ends.
class OpenSockets final : private base::ForkGuard {
 public:
  static OpenSockets& get() {
    static auto* const sockets = new OpenSockets;  // connections may outlive static objects
    return *sockets;
  }
  void add(int socket) {
    const std::scoped_lock lock(mutex_);
    sockets_[socket] = inode(socket);
  }
  void remove(int socket) noexcept {
    const std::scoped_lock lock(mutex_);
    sockets_.erase(socket);
  }

 private:
  OpenSockets() = default;
  static ino_t inode(int socket) noexcept {
    struct stat about {};
    return ::fstat(socket, &about) == 0 && S_ISSOCK(about.st_mode) ? about.st_ino : 0;
  }
  void child_after_fork() noexcept override {
    // libpq closes the socket of a connection that is lost, and then the number may be another's.
    for (const auto& [socket, known] : sockets_) {
      if (known != 0 && inode(socket) == known) ::close(socket);
    }
    sockets_.clear();
  }

  base::ForkMutex mutex_{base::kForkRankDescriptors};
  std::map<int, ino_t> sockets_;  // mutex_
  base::ForkEnrolment enrolment_{*this};
};

}  // namespace

std::unique_ptr<Connection> Connection::open(const Options& options, const Settings& settings,
                                             Deadline deadline) {
  std::vector<const char*> names;
  std::vector<const char*> values;
  for (const auto& [name, value] : options) {
    names.push_back(name.c_str());
    values.push_back(value.c_str());
  }
  names.push_back(nullptr);
  values.push_back(nullptr);
  PGconn* const raw = libpq().PQconnectStartParams(names.data(), values.data(), 0);
  if (raw == nullptr) throw Failure{.text = "out of memory"};
  std::unique_ptr<Connection> made(new Connection(raw));
  made->connect(deadline);
  const Result time = made->script(
      (settings ? settings(made->server_version()) : std::string()) +
          "SELECT (extract(epoch FROM clock_timestamp() - '2000-01-01 00:00:00Z') * 1000000)"
          "::bigint",
      deadline);
  made->learn_time(std::stoll(std::string(time.bytes(0, 0))));
  return made;
}

Connection::~Connection() {
  if (!of_this_process()) return;  // PQfinish would tell the server
  if (socket_ >= 0) OpenSockets::get().remove(socket_);
  libpq().PQfinish(connection_);
}

void Connection::connect(Deadline deadline) {
  if (libpq().PQstatus(connection_) == CONNECTION_BAD) refused();
  libpq().PQsetErrorVerbosity(connection_, PQERRORS_VERBOSE);  // with SQLSTATE
  libpq().PQsetNoticeProcessor(
      connection_, [](void*, const char*) {}, nullptr);
  PostgresPollingStatusType next = PGRES_POLLING_WRITING;
  while (next != PGRES_POLLING_OK) {
    if (next == PGRES_POLLING_FAILED) refused();
    const short events = next == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    if (!wait_for(events, deadline, Waits::kInterruptible)) {
      lose("no answer in time", false);
    }
    next = libpq().PQconnectPoll(connection_);
  }
  libpq().PQsetnonblocking(connection_, 1);
  socket_ = libpq().PQsocket(connection_);
  OpenSockets::get().add(socket_);
}

void Connection::refused() {
  Refusal why = refusal(libpq().PQerrorMessage(connection_));
  if (why.state.empty() && libpq().PQconnectionNeedsPassword(connection_) == 1) {
    why.state = "28P01";
  }
  try {
    lose(why.text, false);
  } catch (Failure& failure) {
    failure.state = why.state;
    throw;
  }
}

void Connection::lose(const std::string& text, bool sent) {
  broken_ = true;
  if (socket_ >= 0) OpenSockets::get().remove(std::exchange(socket_, -1));
  throw Failure{.text = text.empty() ? "the connection was lost" : text, .sent = sent};
}

bool Connection::wait_for(short events, Deadline deadline, Waits waits) {
  for (;;) {
    Deadline until = waits == Waits::kInterruptible ? base::interrupt_slice(deadline) : deadline;
    if (stop_ != nullptr) until = std::min(until, Clock::now() + base::kInterruptSlice);
    if (poll_until(libpq().PQsocket(connection_), events, until)) return true;
    if (Clock::now() >= deadline || (stop_ != nullptr && *stop_)) return false;
    if (waits != Waits::kInterruptible) continue;
    try {
      base::check_interrupt();
    } catch (...) {
      cancel();
      broken_ = true;
      throw;
    }
  }
}

void Connection::send(bool accepted) {
  if (!accepted) {
    const std::string text = words(libpq().PQerrorMessage(connection_));
    // What was not accepted may still have gone in part; a statement in part is never run.
    lose(text, false);
  }
}

Result Connection::wait(Deadline deadline, Waits waits) {
  const Libpq& pq = libpq();
  Result last;
  std::optional<Failure> failed;
  for (;;) {
    for (int left = pq.PQflush(connection_); left != 0; left = pq.PQflush(connection_)) {
      if (left < 0) break;  // then the server may have said why: read it
      if (!wait_for(POLLOUT | POLLIN, deadline, waits)) {
        cancel();
        lose("no answer in time", true);
      }
      if (pq.PQconsumeInput(connection_) == 0) break;
    }
    while (pq.PQisBusy(connection_) != 0) {
      if (!wait_for(POLLIN, deadline, waits)) {
        cancel();
        lose("no answer in time", true);
      }
      if (pq.PQconsumeInput(connection_) == 0) break;
    }
    PGresult* const raw = pq.PQgetResult(connection_);
    if (raw == nullptr) break;
    const ExecStatusType status = pq.PQresultStatus(raw);
    Result result(raw);
    if (status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE) {
      const auto field = [&](int which) { return words(pq.PQresultErrorField(raw, which)); };
      if (!failed) {
        failed = Failure{
            .state = field(PG_DIAG_SQLSTATE), .text = field(PG_DIAG_MESSAGE_PRIMARY), .sent = true};
        if (failed->text.empty()) failed->text = words(pq.PQerrorMessage(connection_));
      }
    } else {
      last = std::move(result);
    }
    if (pq.PQstatus(connection_) == CONNECTION_BAD) break;
  }
  if (pq.PQstatus(connection_) == CONNECTION_BAD) {
    // 57P01 to 57P03 and the like: the server ends; whether it did the statement is not known.
    lose(failed ? failed->text : words(pq.PQerrorMessage(connection_)), true);
  }
  if (failed) throw *failed;
  return last;
}

Result Connection::run(const std::string& text, const Parameters& parameters, Deadline deadline,
                       Waits waits) {
  if (broken_ || !of_this_process()) throw Failure{.text = "the connection was lost"};
  base::check_interrupt();
  const Libpq& pq = libpq();
  const Parameters::Raw raw = parameters.raw();
  const int count = static_cast<int>(raw.values.size());
  auto known = prepared_.find(text);
  if (known == prepared_.end() && prepared_.size() < kMostPrepared) {
    const std::string name = "g" + std::to_string(prepared_.size());
    send(pq.PQsendPrepare(connection_, name.c_str(), text.c_str(), 0, nullptr) == 1);
    try {
      wait(deadline, waits);
    } catch (Failure& failure) {
      failure.sent = false;  // only its text
      throw;
    }
    known = prepared_.emplace(text, name).first;
  }
  if (known != prepared_.end()) {
    send(pq.PQsendQueryPrepared(connection_, known->second.c_str(), count, raw.values.data(),
                                raw.lengths.data(), raw.formats.data(), 1) == 1);
  } else {
    send(pq.PQsendQueryParams(connection_, text.c_str(), count, nullptr, raw.values.data(),
                              raw.lengths.data(), raw.formats.data(), 1) == 1);
  }
  return wait(deadline, waits);
}

Result Connection::script(const std::string& text, Deadline deadline) {
  if (broken_ || !of_this_process()) throw Failure{.text = "the connection was lost"};
  send(libpq().PQsendQuery(connection_, text.c_str()) == 1);
  return wait(deadline, Waits::kInterruptible);
}

/// In a thread of its own: it connects, and that can take long.
void Connection::cancel() noexcept {
  PGcancel* const request = libpq().PQgetCancel(connection_);
  if (request == nullptr) return;
  try {
    std::thread([request] {
      char why[256];
      libpq().PQcancel(request, why, sizeof why);
      libpq().PQfreeCancel(request);
    }).detach();
  } catch (...) {
    libpq().PQfreeCancel(request);
  }
}

bool Connection::idle() const noexcept {
  return !broken_ && of_this_process() && libpq().PQstatus(connection_) == CONNECTION_OK &&
         libpq().PQtransactionStatus(connection_) == PQTRANS_IDLE;
}

bool Connection::readable() const noexcept {
  return poll_until(libpq().PQsocket(connection_), POLLIN, Clock::now());
}

bool Connection::take_notifications() {
  if (libpq().PQconsumeInput(connection_) == 0) {
    lose(words(libpq().PQerrorMessage(connection_)), false);
  }
  bool any = false;
  while (PGnotify* const one = libpq().PQnotifies(connection_)) {
    libpq().PQfreemem(one);
    any = true;
  }
  return any;
}

int Connection::descriptor() const noexcept { return libpq().PQsocket(connection_); }

int Connection::server_version() const noexcept { return libpq().PQserverVersion(connection_); }

std::string Connection::place() const {
  const auto text = [](const char* value) { return std::string(value != nullptr ? value : ""); };
  return text(libpq().PQhost(connection_)) + ":" + text(libpq().PQport(connection_)) + "/" +
         text(libpq().PQdb(connection_));
}

void Connection::learn_time(ServerTime at) noexcept {
  time_ = at;
  time_at_ = Clock::now();
}

ServerTime Connection::server_time(Deadline deadline) const noexcept {
  using std::chrono::microseconds;
  const auto left = std::chrono::duration_cast<microseconds>(deadline - time_at_);
  constexpr auto kLongest = std::chrono::hours(24);
  return time_ + std::clamp<microseconds>(left, -kLongest, kLongest).count();
}

}  // namespace graven::postgres
