// SPDX-License-Identifier: MIT
//
// What graven/query.py is made of: fields, conditions, and queries over a Dict or List. Results
// come in pages, each read without the GIL and then converted.
//
// Called with the GIL held, which is released around every use of the store.
#include <string>
#include <utility>
#include <vector>

#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include <graven/query.hpp>

#include "bind.hpp"
#include "convert.hpp"
#include "errors.hpp"
#include "gil.hpp"
#include "handles.hpp"

namespace graven::python {
namespace {

Value scalar_from(nb::handle value) { return data_from(value.ptr(), Destination{}).scalar(); }

Condition test(const Field& field, const std::string& sign, nb::handle value) {
  const Value right = scalar_from(value);
  if (sign == "==") return field == right;
  if (sign == "!=") return field != right;
  if (sign == "<") return field < right;
  if (sign == "<=") return field <= right;
  if (sign == ">") return field > right;
  if (sign == ">=") return field >= right;
  if (sign == "startswith") return field.startswith(right);
  if (sign == "endswith") return field.endswith(right);
  if (sign == "contains") return field.contains(right);
  throw UsageError("there is no such operator");
}

Condition compare(const Field& field, const std::string& sign, const Field& right) {
  if (sign == "==") return field == right;
  if (sign == "!=") return field != right;
  if (sign == "<") return field < right;
  if (sign == "<=") return field <= right;
  if (sign == ">") return field > right;
  if (sign == ">=") return field >= right;
  throw WrongTypeError(sign + "() takes a value, not a field");
}

Condition test_in(const Field& field, nb::handle values) {
  std::vector<Value> all;
  const nb::object list = list_of_iterable(values.ptr());
  for (const nb::handle each : list) all.push_back(scalar_from(each));
  return field.in(all);
}

/// A query, and where the handles among its rows belong.
struct HomeQuery {
  HomePtr home;
  Query query;

  template <class Call>
  auto use(Call&& call) const {
    return off_gil(*home, [&] { return call(query); });
  }
  [[nodiscard]] HomeQuery with(Query changed) const { return {home, std::move(changed)}; }
};

HomeQuery query_of(nb::handle container) {
  if (is_list_handle(container.ptr())) {
    const ListHandle& list = list_handle(container.ptr());
    return {list.home_ptr(), list.node().where({})};
  }
  const DictHandle& dict = dict_handle(container.ptr());
  return {dict.home_ptr(), dict.node().where({})};
}

/// The results of one run; one thread at a time.
struct Pages {
  HomePtr home;
  QueryCursor cursor;
  bool keyed;
  bool busy = false;  // while a page is read without the GIL

  template <class Call>
  auto read(Call&& call) {
    const InUse in_use(busy, "this query's iterator");
    return off_gil(*home, [&] { return call(cursor); });
  }
};

/// The key of a row of a dict, the index of one of a list.
nb::object key_of(const Pages& self, const QueryRow& row) {
  return self.keyed ? str_from(row.key) : owned(PyLong_FromLongLong(row.index));
}

/// A list of values; with `keys`, of (key or index, value).
nb::object next_rows(Pages& self, bool keys) {
  std::vector<QueryRow> rows = self.read([](QueryCursor& cursor) { return cursor.next(); });
  nb::object list = owned(PyList_New(static_cast<Py_ssize_t>(rows.size())));
  for (std::size_t at = 0; at < rows.size(); ++at) {
    QueryRow& row = rows[at];
    nb::object made = to_python(std::move(row.value), self.home);
    if (keys) {
      const nb::object key = key_of(self, row);
      made = owned(PyTuple_Pack(2, key.ptr(), made.ptr()));
    }
    PyList_SET_ITEM(list.ptr(), static_cast<Py_ssize_t>(at), made.release().ptr());
  }
  return list;
}

/// A list of (key or index, value, the value as plain data); the latter is of the state that the
/// query reads.
nb::object next_with_plain(Pages& self) {
  Data data;
  std::vector<QueryRow> rows = self.read([&](QueryCursor& cursor) { return cursor.next(data); });
  const nb::object plain = to_python(data, self.home);
  nb::object list = owned(PyList_New(static_cast<Py_ssize_t>(rows.size())));
  for (std::size_t at = 0; at < rows.size(); ++at) {
    const auto place = static_cast<Py_ssize_t>(at);
    const nb::object key = key_of(self, rows[at]);
    const nb::object value = to_python(std::move(rows[at].value), self.home);
    nb::object made =
        owned(PyTuple_Pack(3, key.ptr(), value.ptr(), PyList_GET_ITEM(plain.ptr(), place)));
    PyList_SET_ITEM(list.ptr(), place, made.release().ptr());
  }
  return list;
}

nb::object next_fields(Pages& self, const std::vector<Field>& fields) {
  const Data page = self.read([&](QueryCursor& cursor) { return cursor.next(fields); });
  return to_python(page, self.home);
}

nb::object next_plain(Pages& self) {
  const Data page = self.read([](QueryCursor& cursor) { return cursor.next_plain(); });
  return to_python(page, self.home);
}

/// `given`: (name, kind, field or empty).
nb::object group_by(
    const HomeQuery& self, const std::vector<std::string>& fields,
    const std::vector<std::pair<std::string, std::pair<std::string, std::string>>>& given) {
  std::vector<std::pair<std::string, Aggregate>> aggregates;
  for (const auto& [name, what] : given) {
    const auto& [kind, field] = what;
    std::optional<Field> of;
    if (!field.empty()) of = parse_field(field);
    aggregates.emplace_back(name, Aggregate(kind == "count" ? Aggregate::Kind::kCount
                                            : kind == "sum" ? Aggregate::Kind::kSum
                                            : kind == "min" ? Aggregate::Kind::kMin
                                            : kind == "max" ? Aggregate::Kind::kMax
                                                            : Aggregate::Kind::kAvg,
                                            std::move(of)));
  }
  const Data groups =
      self.use([&](const Query& query) { return query.group_by(fields, aggregates); });
  return to_python(groups, self.home);
}

void bind_conditions(nb::module_& module) {
  nb::class_<Condition>(module, "QueryCondition", nb::is_final(), "What graven.Condition holds.")
      .def("both", [](const Condition& self, const Condition& other) { return self && other; })
      .def("either", [](const Condition& self, const Condition& other) { return self || other; })
      .def("inverted", [](const Condition& self) { return !self; })
      .def("text", &Condition::text);
  nb::class_<Field>(module, "QueryField", nb::is_final(), "What graven.Field holds.")
      .def(nb::init<>())
      .def(
          "key", [](const Field& self, nb::handle key) { return self[key_to_store(key.ptr())]; },
          nb::arg("key"), nb::sig("def key(self, key: str) -> QueryField"))
      .def("index", [](const Field& self, std::int64_t index) { return self[index]; })
      .def("test", test, nb::arg("sign"), nb::arg("value").none(),
           nb::sig("def test(self, sign: str, value: Any) -> QueryCondition"))
      .def("compare", compare)
      .def("test_in", test_in, nb::arg("values"),
           nb::sig("def test_in(self, values: Iterable[Any]) -> QueryCondition"))
      .def("exists", &Field::exists)
      .def("is_none", &Field::is_none)
      .def("truth", [](const Field& self) { return Condition(self); })
      .def("any", &Field::any)
      .def("text", &Field::text)
      .def("steps", &Field::steps, nb::sig("def steps(self) -> list[str | int]"));
  module.def(
      "parse_condition", [](const std::string& text) { return parse_condition(text); },
      nb::arg("text"), "The condition that a text means.");
  module.def(
      "parse_field", [](const std::string& text) { return parse_field(text); }, nb::arg("text"),
      "The field that a text means.");
}

}  // namespace

void bind_query(nb::module_& module) {
  bind_conditions(module);
  nb::class_<Pages>(module, "QueryPages", nb::is_final(), "The results of one run of a query.")
      .def("rows", next_rows, nb::sig("def rows(self, keys: bool) -> list[Any]"), nb::arg("keys"))
      .def("rows_and_plain", next_with_plain,
           nb::sig("def rows_and_plain(self) -> list[tuple[Any, Any, Any]]"))
      .def("fields", next_fields, nb::arg("fields"),
           nb::sig("def fields(self, fields: Sequence[QueryField]) -> list[dict[str, Any]]"))
      .def("plain", next_plain, nb::sig("def plain(self) -> list[Any]"));
  nb::class_<HomeQuery>(module, "QueryPlan", nb::is_final(), "What graven.Query holds.")
      .def(
          "__init__",
          [](HomeQuery* self, nb::handle container) {
            if (!is_handle(container.ptr())) throw WrongTypeError("a query needs a Dict or List");
            new (self) HomeQuery(query_of(container));
          },
          nb::arg("container"), nb::sig("def __init__(self, container: Dict | List) -> None"))
      .def("where",
           [](const HomeQuery& self, const Condition& condition) {
             return self.with(self.query.where(condition));
           })
      .def("order_by",
           [](const HomeQuery& self, const std::vector<std::string>& fields) {
             return self.with(self.query.order_by(fields));
           })
      .def("limit", [](const HomeQuery& self,
                       std::uint64_t count) { return self.with(self.query.limit(count)); })
      .def("offset", [](const HomeQuery& self,
                        std::uint64_t count) { return self.with(self.query.offset(count)); })
      .def("count",
           [](const HomeQuery& self) {
             return self.use([](const Query& query) { return query.count(); });
           })
      .def("exists",
           [](const HomeQuery& self) {
             return self.use([](const Query& query) { return query.exists(); });
           })
      .def(
          "pages",
          [](const HomeQuery& self) {
            return self.use([&](const Query& query) {
              return new Pages{self.home, query.cursor(), query.over_dict()};
            });
          },
          nb::rv_policy::take_ownership)
      .def("group_by", group_by, nb::arg("fields"), nb::arg("aggregates"),
           nb::sig("def group_by(self, fields: Sequence[str], aggregates: Sequence[tuple[str, "
                   "tuple[str, str]]]) -> list[dict[str, Any]]"))
      .def(
          "update",
          [](const HomeQuery& self, nb::handle fields) {
            const Data data = entries_from(fields.ptr(), nullptr);
            return self.use([&](const Query& query) { return query.update(data); });
          },
          nb::arg("fields"), nb::sig("def update(self, fields: dict[str, Any]) -> int"))
      .def("erase",
           [](const HomeQuery& self) {
             return self.use([](const Query& query) { return query.erase(); });
           })
      .def(
          "explain",
          [](const HomeQuery& self) {
            const Explanation told = self.use([](const Query& query) { return query.explain(); });
            return nb::make_tuple(told.plan, told.condition, told.rows, told.records, told.matches);
          },
          nb::sig("def explain(self) -> tuple[str, str, int, int, int]"));
}

}  // namespace graven::python
