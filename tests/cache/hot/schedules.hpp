// SPDX-License-Identifier: MIT
//
// Runs a few threads one at a time and in every order: at each point where another's step may come
// between (the code under test calls step() there) one of them goes on, and the whole is repeated
// until every choice has been made. Changing the thread where the running one could go on is a
// preemption, of which there are few in a run: what goes wrong at all nearly always does with two
// or three (M. Musuvathi and S. Qadeer, "Iterative context bounding").
//
// The runs must be alike but for the choices. What is read and written is as in sequential
// consistency: orders that only a weaker memory shows are not among these. Waiting of one thread
// for another is seen where wait() is called; a real lock, held across a step(), would hang.
//
// Used by one thread, which makes it; step() and wait() by any, at any time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <semaphore>
#include <thread>
#include <vector>

namespace graven::test {

class Schedules {
 public:
  /// The functions are run once in each order, by a thread each, between `before` and `after`.
  explicit Schedules(std::vector<std::function<void()>> functions);
  ~Schedules();
  Schedules(const Schedules&) = delete;
  Schedules& operator=(const Schedules&) = delete;

  /// How many orders there were. Ends early if `after` returns false.
  std::size_t run(int preemptions, const std::function<void()>& before,
                  const std::function<bool()>& after);

  /// Another thread may go on here. What this one does next may change something that others wait
  /// for. Nothing in threads that are not being run in an order.
  static void step(bool changes) noexcept;
  /// The same, where this thread cannot go on until another has changed something.
  static void wait() noexcept;

 private:
  struct Choice {
    std::size_t taken;
    std::size_t count;
  };
  struct Thread {
    bool alive = false;
    bool waits = false;  // and no other has changed anything since
  };
  static constexpr int kNobody = -1;

  void work(int self);
  enum class Point : std::uint8_t { kRead, kChange, kWait };
  void pass(int self, Point point) noexcept;
  void finish(int self);
  std::size_t choose(std::size_t count);
  bool next_order();
  void give_turn(int to) { turn_of(to).release(); }
  void await_turn(int self) { turn_of(self).acquire(); }
  std::binary_semaphore& turn_of(int self) { return turns_[static_cast<std::size_t>(self + 1)]; }

  const std::vector<std::function<void()>> functions_;
  std::deque<std::binary_semaphore> turns_;  // the first is for when none of the threads runs
  // Belong to whose turn it is:
  std::vector<Thread> threads_;
  std::vector<Choice> choices_;
  std::size_t made_ = 0;  // choices of this run
  int preemptions_ = 0;   // left in this run
  int waits_ = 0;         // since anybody changed anything
  bool stop_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace graven::test
