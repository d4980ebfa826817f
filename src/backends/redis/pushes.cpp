// SPDX-License-Identifier: MIT
//
// See pushes.hpp.
#include "backends/redis/pushes.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include <graven/error.hpp>

namespace graven::redis {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kBeat{450};
constexpr milliseconds kForABeat{2'000};
constexpr milliseconds kLate{500};
constexpr milliseconds kFirstPause{10};
constexpr milliseconds kLongestPause{500};

int new_event() {
  const int descriptor = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (descriptor < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  return descriptor;
}

}  // namespace

Pushes::Pushes(std::shared_ptr<Core> core, const port::Partition& partition,
               port::LogListener& listener)
    : core_(std::move(core)),
      partition_(partition),
      listener_(listener),
      generation_(base::fork_generation()),
      wake_(new_event()),
      thread_([this] { return turn(); }) {
  try {
    connect(Clock::now() + core_->connections.settings().connect_timeout);
  } catch (const UnavailableError&) {  // the thread goes on trying
  } catch (...) {
    ::close(wake_);
    throw;
  }
  thread_.wake(Clock::now());
}

Pushes::~Pushes() {
  stop();
  ::close(wake_);
}

void Pushes::stop() noexcept {
  ending_.cancel();
  if (generation_ == base::fork_generation()) ::eventfd_write(wake_, 1);
  thread_.stop();
}

void Pushes::connect(Deadline deadline) {
  auto connection = core_->connections.fresh(deadline);
  connection->on_push([this](ReplyPart push) { take(push); });
  const Reply reply =
      connection->ask(Command("SUBSCRIBE").add(core_->channel(partition_)), deadline);
  core_->check(reply.part());
  connection_ = std::move(connection);
  next_beat_ = Clock::now();
}

void Pushes::take(const ReplyPart& push) noexcept {
  if (push.size() != 3 || push[0].text() != "message") return;
  if (const auto entry = decoded_entry(push[2].text())) listener_.committed(*entry);
}

void Pushes::beat() {
  const Call call{.script = Script::kBeat,
                  .keys = {core_->names(partition_).head(), core_->first_head()},
                  .arguments = {core_->constant}};
  const auto sent = Clock::now();
  const auto until = sent + kForABeat;
  Reply reply = connection_->ask(core_->digests.command(call), until);
  if (no_script(reply.part())) reply = connection_->ask(core_->digests.command(call, true), until);
  core_->check(reply.part());
  const auto now = Clock::now();
  next_beat_ = now;
  if (now - sent > kLate) return;  // the state is an old one; again
  listener_.heartbeat(decoded_state(reply.part().text()));
  next_beat_ += kBeat;
}

void Pushes::listen() {
  while (!ending_.cancelled()) {
    if (Clock::now() >= next_beat_) {
      ending_.run([this] { beat(); });
      pause_ = milliseconds(0);
    }
    connection_->wait_for_push(next_beat_, wake_);
  }
}

std::optional<Deadline> Pushes::turn() noexcept {
  try {
    if (!connection_) {
      ending_.run(
          [this] { connect(Clock::now() + core_->connections.settings().connect_timeout); });
      listener_.interrupted();
    }
    listen();
  } catch (const std::exception&) {
    if (connection_) listener_.interrupted();
    connection_.reset();
    core_->connections.renew();
  }
  if (ending_.cancelled()) return std::nullopt;
  pause_ = std::clamp(2 * pause_, kFirstPause, kLongestPause);
  return Clock::now() + pause_;
}

}  // namespace graven::redis
