// SPDX-License-Identifier: MIT
//
// SQL with three kinds of connections: each statement by itself, one read transaction, or the
// thread's write transaction. See graven/sql.hpp.
#include <graven/sql.hpp>

#include <utility>

#include <fmt/format.h>

#include <graven/database.hpp>

#include "graph/scope.hpp"

namespace graven {
namespace graph {

using port::SqlParameters;
using port::SqlRow;
using port::SqlRows;
using port::SqlValue;

namespace {

constexpr std::size_t kAtOnce = 256;

SqlValue to_sql(const Data& data, std::size_t place) {
  const Value value = data.is_dict() || data.is_list() ? Value() : data.scalar();
  const auto& variant = value.variant();
  if (const auto* truth = std::get_if<bool>(&variant)) return std::int64_t{*truth};
  if (const auto* number = std::get_if<std::int64_t>(&variant)) return *number;
  if (const auto* real = std::get_if<double>(&variant)) return *real;
  if (const auto* text = std::get_if<std::string>(&variant)) return *text;
  if (const auto* bytes = std::get_if<Bytes>(&variant)) return *bytes;
  if (value.is_null() && !data.is_dict() && !data.is_list()) return nullptr;
  throw WrongTypeError(
      fmt::format("value {} for the SQL is of type {}: give null, a bool, an integer of 64 bits, a "
                  "float, a text or bytes",
                  place + 1,
                  data.is_dict()   ? "dict"
                  : data.is_list() ? "list"
                                   : value.type_name()));
}

Value from_sql(SqlValue& value) {
  return std::visit([](auto& one) { return Value(Value::Variant(std::move(one))); }, value);
}

}  // namespace

/// The interface of the three kinds of connections.
class SqlSession {
 public:
  explicit SqlSession(std::shared_ptr<Session> session) : session_(std::move(session)) {}
  SqlSession(const SqlSession&) = delete;
  SqlSession& operator=(const SqlSession&) = delete;
  virtual ~SqlSession() = default;

  virtual std::unique_ptr<SqlRows> run(std::string_view sql, const SqlParameters& parameters) = 0;
  virtual void commit() { throw UsageError("commit() is for a write_connection()"); }
  virtual void close() noexcept { closed_ = true; }

 protected:
  [[noreturn]] static void throw_closed() {
    throw ClosedError("the SQL connection was closed: make another");
  }
  store::Store& store() const {
    if (closed_) throw_closed();
    return session_->heap().store();
  }
  const std::shared_ptr<Session> session_;
  bool closed_ = false;
};

/// The rows of a statement, and the session they need.
class SqlRun {
 public:
  SqlRun(std::shared_ptr<SqlSession> session, std::unique_ptr<SqlRows> rows)
      : session_(std::move(session)), rows_(std::move(rows)) {
    more_ = rows_->fetch(ahead_, kAtOnce);  // also runs a statement that returns no rows
  }

  std::optional<std::vector<Value>> next() {
    if (at_ == ahead_.size() && more_) {
      ahead_.clear();
      at_ = 0;
      more_ = rows_->fetch(ahead_, kAtOnce);
    }
    if (at_ == ahead_.size()) return std::nullopt;
    std::vector<Value> row;
    row.reserve(ahead_[at_].size());
    for (SqlValue& value : ahead_[at_]) row.push_back(from_sql(value));
    ++at_;
    return row;
  }
  [[nodiscard]] const SqlRows& rows() const noexcept { return *rows_; }

 private:
  std::shared_ptr<SqlSession> session_;
  std::unique_ptr<SqlRows> rows_;
  std::vector<SqlRow> ahead_;
  std::size_t at_ = 0;
  bool more_ = false;
};

namespace {

/// Rows, with the view from which they are read.
class WithView final : public SqlRows {
 public:
  WithView(std::shared_ptr<port::View> view, std::unique_ptr<SqlRows> rows)
      : view_(std::move(view)), rows_(std::move(rows)) {}
  [[nodiscard]] const std::vector<std::string>& columns() const override {
    return rows_->columns();
  }
  bool fetch(std::vector<SqlRow>& rows, std::size_t most) override {
    return rows_->fetch(rows, most);
  }
  [[nodiscard]] std::int64_t changes() const override { return rows_->changes(); }
  [[nodiscard]] std::int64_t last_rowid() const override { return rows_->last_rowid(); }
  [[nodiscard]] bool writes() const override { return rows_->writes(); }

 private:
  std::shared_ptr<port::View> view_;
  std::unique_ptr<SqlRows> rows_;
};

/// One read transaction, from the first statement on. Cursors keep it open after close().
class Reading final : public SqlSession {
 public:
  using SqlSession::SqlSession;
  std::unique_ptr<SqlRows> run(std::string_view sql, const SqlParameters& parameters) override {
    if (!view_) view_ = store().view();
    (void)store();  // ClosedError
    return std::make_unique<WithView>(view_, view_->sql(sql, parameters));
  }
  void close() noexcept override {
    closed_ = true;
    view_.reset();
  }

 private:
  std::shared_ptr<port::View> view_;
};

/// The thread's own transaction: a new one, or a savepoint in an open one.
class Writing final : public SqlSession {
 public:
  explicit Writing(std::shared_ptr<Session> session)
      : SqlSession(std::move(session)), step_(session_) {}

  std::unique_ptr<SqlRows> run(std::string_view sql, const SqlParameters& parameters) override {
    std::unique_ptr<SqlRows> rows;
    const bool open =
        store().with_current([&](store::Work& work) { rows = work.sql(sql, parameters); });
    if (!open) throw UsageError("the transaction of this connection belongs to another thread");
    return rows;
  }
  void commit() override {
    if (std::exchange(closed_, true)) throw_closed();
    step_.commit();
  }
  void close() noexcept override {
    closed_ = true;
    step_.rollback();
  }

 private:
  TransactionStep step_;
};

/// Each statement by itself: reads the newest state, or makes one commit.
class Apart final : public SqlSession {
 public:
  using SqlSession::SqlSession;
  std::unique_ptr<SqlRows> run(std::string_view sql, const SqlParameters& parameters) override {
    store::Store& store = this->store();
    std::unique_ptr<SqlRows> rows;
    const auto in_work = [&](store::Work& work) { rows = work.sql(sql, parameters); };
    if (store.with_current(in_work)) return rows;
    std::shared_ptr<port::View> view = store.view();
    rows = view->sql(sql, parameters);
    if (!rows->writes()) return std::make_unique<WithView>(std::move(view), std::move(rows));
    rows.reset();
    view.reset();
    TransactionStep step(session_);
    store.with_current(in_work);
    step.commit();
    return rows;
  }
};

}  // namespace
}  // namespace graph

std::optional<std::vector<Value>> SqlCursor::next() { return run_->next(); }

std::vector<std::vector<Value>> SqlCursor::all() {
  std::vector<std::vector<Value>> rows;
  while (auto row = next()) rows.push_back(*std::move(row));
  return rows;
}

const std::vector<std::string>& SqlCursor::columns() const& { return run_->rows().columns(); }
std::int64_t SqlCursor::changes() const { return run_->rows().changes(); }
std::int64_t SqlCursor::last_rowid() const { return run_->rows().last_rowid(); }

SqlCursor SqlConnection::execute(Text sql, const std::vector<Data>& values) const {
  port::SqlParameters parameters;
  for (const Data& value : values) {
    parameters.positional.push_back(graph::to_sql(value, parameters.positional.size()));
  }
  return SqlCursor(std::make_shared<graph::SqlRun>(session_, session_->run(sql, parameters)));
}

SqlCursor SqlConnection::execute_named(
    Text sql, const std::vector<std::pair<std::string, Data>>& values) const {
  port::SqlParameters parameters;
  for (const auto& [name, value] : values) {
    parameters.named.emplace_back(name, graph::to_sql(value, parameters.named.size()));
  }
  return SqlCursor(std::make_shared<graph::SqlRun>(session_, session_->run(sql, parameters)));
}

void SqlConnection::commit() const { session_->commit(); }
void SqlConnection::close() const noexcept {
  if (session_.get() != nullptr) session_->close();
}

SqlConnection Database::connection() const {
  (void)scope_->session().heap();  // ClosedError
  return SqlConnection(std::make_shared<graph::Apart>(scope_->shared_session()));
}
SqlConnection Database::read_connection() const {
  (void)scope_->session().heap();
  return SqlConnection(std::make_shared<graph::Reading>(scope_->shared_session()));
}
SqlConnection Database::write_connection() const {
  return SqlConnection(std::make_shared<graph::Writing>(scope_->shared_session()));
}

}  // namespace graven
