// SPDX-License-Identifier: MIT
//
// graven's values and plain data to Python objects.
//
// Data is rebuilt in two passes over its arena: all containers first, empty, then their
// contents, so that shared parts and cycles come out as they are without any recursion.
//
// Always holds: text in a store is valid UTF-8 (it was checked on the way in), so a str that
// cannot be decoded means a damaged file, and says so.
//
// Called with the GIL held; only materialized() lets go of it, while it reads.
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "convert.hpp"
#include "errors.hpp"

namespace graven::python {
namespace {

/// Keys repeat from record to record: one str object serves them all, as in json.loads().
class KeyCache {
 public:
  KeyCache() = default;
  KeyCache(const KeyCache&) = delete;
  KeyCache& operator=(const KeyCache&) = delete;
  ~KeyCache() {
    for (const Entry& entry : entries_) Py_XDECREF(entry.text);
  }

  /// A borrowed str, valid until the next call.
  PyObject* get(const std::string& key) {
    Entry& entry = entries_[std::hash<std::string_view>()(key) % entries_.size()];
    if (entry.text != nullptr && *entry.key == key) return entry.text;
    PyObject* text = str_from(key).release().ptr();
    Py_XDECREF(entry.text);
    entry = {&key, text};
    return text;
  }

 private:
  struct Entry {
    const std::string* key = nullptr;  // in the arena that is being read
    PyObject* text = nullptr;
  };
  std::array<Entry, 64> entries_{};
};

nb::object bytes_from(const Bytes& bytes) {
  return owned(
      PyBytes_FromStringAndSize(bytes.data.data(), static_cast<Py_ssize_t>(bytes.data.size())));
}

nb::object int_from(const BigInt& integer) {
  return owned(PyLong_FromString(integer.hex.c_str(), nullptr, 16));
}

/// One alternative of a Value or of an item of a Data; containers of a Data are in `made`.
struct Maker {
  const HomePtr& home;
  const std::vector<nb::object>* made;

  nb::object operator()(std::nullptr_t) const { return nb::none(); }
  nb::object operator()(bool value) const { return nb::borrow(value ? Py_True : Py_False); }
  nb::object operator()(std::int64_t value) const { return owned(PyLong_FromLongLong(value)); }
  nb::object operator()(const BigInt& value) const { return int_from(value); }
  nb::object operator()(double value) const { return owned(PyFloat_FromDouble(value)); }
  nb::object operator()(const std::string& value) const { return str_from(value); }
  nb::object operator()(const Bytes& value) const { return bytes_from(value); }
  nb::object operator()(const Dict& value) const { return make_dict(home, value); }
  nb::object operator()(Dict&& value) const { return make_dict(home, std::move(value)); }
  nb::object operator()(const List& value) const { return make_list(home, value); }
  nb::object operator()(List&& value) const { return make_list(home, std::move(value)); }
  nb::object operator()(Data::Index index) const { return (*made)[index.at]; }
};

void fill_dict(PyObject* dict, const Data::Container& from, const Maker& make, KeyCache& keys) {
  for (std::size_t at = 0; at < from.items.size(); ++at) {
    const nb::object value = std::visit(make, from.items[at]);
    if (PyDict_SetItem(dict, keys.get(from.keys[at]), value.ptr()) != 0) throw nb::python_error();
  }
}

void fill_list(PyObject* list, const Data::Container& from, const Maker& make) {
  for (std::size_t at = 0; at < from.items.size(); ++at) {
    PyList_SET_ITEM(list, static_cast<Py_ssize_t>(at),
                    std::visit(make, from.items[at]).release().ptr());
  }
}

}  // namespace

void throw_undecoded() {
  if (PyErr_ExceptionMatches(PyExc_UnicodeDecodeError) == 0) throw nb::python_error();
  PyErr_Clear();
  throw CorruptionError("stored text is not valid UTF-8; run check() on the database");
}

nb::object str_from(std::string_view utf8_text) {
  return decoded(
      PyUnicode_DecodeUTF8(utf8_text.data(), static_cast<Py_ssize_t>(utf8_text.size()), nullptr));
}

nb::object to_python(const Value& value, const HomePtr& home) {
  const Maker make{home, nullptr};
  return std::visit([&](const auto& each) -> nb::object { return make(each); }, value.variant());
}

nb::object to_python(Value&& value, const HomePtr& home) {
  const Maker make{home, nullptr};
  return std::visit([&](auto&& each) -> nb::object { return make(std::move(each)); },
                    std::move(value).variant());
}

nb::object to_python(const Data& data, const HomePtr& home) {
  if (data.container_count() == 0) return std::visit(Maker{home, nullptr}, data.root());
  std::vector<nb::object> made;
  made.reserve(data.container_count());
  for (std::uint32_t at = 0; at < data.container_count(); ++at) {
    const Data::Container& container = data.container(Data::Index{at});
    made.push_back(container.kind == NodeKind::kDict
                       ? owned(PyDict_New())
                       : owned(PyList_New(static_cast<Py_ssize_t>(container.items.size()))));
  }
  const Maker make{home, &made};
  KeyCache keys;
  for (std::uint32_t at = 0; at < data.container_count(); ++at) {
    const Data::Container& container = data.container(Data::Index{at});
    if (container.kind == NodeKind::kDict) {
      fill_dict(made[at].ptr(), container, make, keys);
    } else {
      fill_list(made[at].ptr(), container, make);
    }
  }
  return std::visit(make, data.root());
}

nb::object to_python_list(const std::vector<Value>& values, const HomePtr& home) {
  nb::object list = owned(PyList_New(static_cast<Py_ssize_t>(values.size())));
  for (std::size_t at = 0; at < values.size(); ++at) {
    PyList_SET_ITEM(list.ptr(), static_cast<Py_ssize_t>(at),
                    to_python(values[at], home).release().ptr());
  }
  return list;
}

nb::object materialized(const DictHandle& handle) {
  const HomePtr home = handle.home_ptr();
  const Data data = off_gil(*home, [&] { return handle.node().materialize(); });
  return to_python(data, home);
}

nb::object materialized(const ListHandle& handle) {
  const HomePtr home = handle.home_ptr();
  const Data data = off_gil(*home, [&] { return handle.node().materialize(); });
  return to_python(data, home);
}

}  // namespace graven::python
