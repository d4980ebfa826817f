// SPDX-License-Identifier: MIT
//
// Python objects to graven::Data.
//
// The walk is breadth first over a queue of containers. Each entry of the queue remembers its
// parent and its place there, which is how an error finds its path without anything being
// kept for the values that are fine.
//
// Always holds: every container in the queue is owned, so an address stands for one object for
// as long as the conversion runs, whatever code of a dict subclass runs meanwhile; a container
// with a single reference cannot be met twice and is not looked up.
//
// Called with the GIL held; nothing here lets go of it, but for the length of a list in an
// error message.
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "convert.hpp"
#include "errors.hpp"
#include "gil.hpp"

namespace graven::python {
namespace {

constexpr Py_ssize_t kCachedText = 1024;  // longer non-ASCII text is encoded without a cache
constexpr std::size_t kPathShown = 24;    // steps of a path in a message, at either end
constexpr std::size_t kKeyShown = 60;     // code points of a key in a message

std::string repr_of_key(PyObject* key) {
  if (!PyUnicode_Check(key)) return "…";
  nb::object shown = nb::borrow(key);
  const bool cut = PyUnicode_GetLength(key) > static_cast<Py_ssize_t>(kKeyShown);
  if (cut) shown = owned(PyUnicode_Substring(key, 0, kKeyShown));
  // ascii() so that a lone surrogate can be shown at all; other text keeps its letters.
  nb::object text = owned(PyObject_Repr(shown.ptr()));
  if (!utf8(text.ptr())) text = owned(PyObject_ASCII(shown.ptr()));
  return std::string(utf8(text.ptr()).value_or("?")) + (cut ? "…" : "");
}

class Converter {
 public:
  explicit Converter(const Destination& to) : to_(to) {}

  Data value(PyObject* object) {
    data_.set_root(item(object, Step{}));
    fill_all();
    return std::move(data_);
  }

  /// The entries of a dict that is not itself to be stored.
  Data entries(PyObject* dict) {
    const Data::Index root = start_carrier(NodeKind::kDict);
    std::vector<std::string> keys;
    std::vector<Data::Item> items;
    read_dict(dict, keys, items);
    finish(root, std::move(keys), std::move(items));
    fill_all();
    return std::move(data_);
  }

  /// The items of a list or tuple that is not itself to be stored.
  Data items(PyObject* sequence) {
    const Data::Index root = start_carrier(NodeKind::kList);
    std::vector<Data::Item> items;
    read_sequence(sequence, items);
    finish(root, {}, std::move(items));
    fill_all();
    return std::move(data_);
  }

 private:
  struct Pending {
    nb::object source;
    Data::Index index;
    std::size_t parent;    // in pending_
    std::size_t position;  // in the parent
  };
  /// Where in the container being read a value stands: under a key or at an index.
  struct Step {
    PyObject* key = nullptr;
    std::size_t position = kNone;
  };
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

  Data::Index start_carrier(NodeKind kind) {
    const Data::Index root = data_.add(kind);
    data_.set_root(root);
    pending_.push_back({nb::object(), root, kNone, kNone});
    current_ = 0;
    carrier_ = true;
    return root;
  }

  void fill_all() {
    for (std::size_t next = carrier_ ? 1 : 0; next < pending_.size(); ++next) {
      current_ = next;
      PyObject* source = pending_[next].source.ptr();
      std::vector<std::string> keys;
      std::vector<Data::Item> items;
      if (PyDict_Check(source)) {
        read_dict(source, keys, items);
      } else {
        read_sequence(source, items);
      }
      finish(pending_[next].index, std::move(keys), std::move(items));
    }
  }

  void finish(Data::Index index, std::vector<std::string> keys, std::vector<Data::Item> items) {
    Data::Container& container = data_.container(index);
    container.keys = std::move(keys);
    container.items = std::move(items);
  }

  void read_dict(PyObject* source, std::vector<std::string>& keys, std::vector<Data::Item>& items) {
    if (!PyDict_CheckExact(source) || !has_plain_keys(source)) source = plain_dict(source);
    const auto count = static_cast<std::size_t>(PyDict_Size(source));
    keys.reserve(count);
    items.reserve(count);
    PyObject* key = nullptr;
    PyObject* value = nullptr;
    for (Py_ssize_t at = 0; PyDict_Next(source, &at, &key, &value) != 0;) {
      keys.emplace_back(key_text(key));
      items.push_back(item(value, {key, items.size()}));
    }
  }

  static bool has_plain_keys(PyObject* dict) {
    PyObject* key = nullptr;
    for (Py_ssize_t at = 0; PyDict_Next(dict, &at, &key, nullptr) != 0;) {
      if (!PyUnicode_CheckExact(key) && PyUnicode_Check(key)) return false;
    }
    return true;
  }

  /// The same entries with keys of type str itself: subclasses may define their own equality,
  /// so that two keys have one text, and a subclass of dict may define what it contains and in
  /// which order (OrderedDict does). Owned by this conversion.
  PyObject* plain_dict(PyObject* source) {
    nb::object result = owned(PyDict_New());
    const nb::object pairs = owned(PyMapping_Items(source));
    for (Py_ssize_t at = 0; at < PyList_GET_SIZE(pairs.ptr()); ++at) {
      const nb::object pair = owned(PySequence_Tuple(PyList_GET_ITEM(pairs.ptr(), at)));
      if (PyTuple_GET_SIZE(pair.ptr()) != 2) {
        throw WrongTypeError("items() of " + type_of(source) + " gave something that is no pair");
      }
      nb::object key = nb::borrow(PyTuple_GET_ITEM(pair.ptr(), 0));
      if (PyUnicode_Check(key.ptr())) key = owned(PyUnicode_FromObject(key.ptr()));
      if (PyDict_SetItem(result.ptr(), key.ptr(), PyTuple_GET_ITEM(pair.ptr(), 1)) != 0) {
        throw nb::python_error();
      }
    }
    kept_.push_back(result);
    return result.ptr();
  }

  void read_sequence(PyObject* source, std::vector<Data::Item>& items) {
    // No Python code runs in this loop, so the length cannot change in it.
    const Py_ssize_t count = PySequence_Fast_GET_SIZE(source);
    PyObject** objects = PySequence_Fast_ITEMS(source);
    items.reserve(static_cast<std::size_t>(count));
    for (Py_ssize_t at = 0; at < count; ++at) {
      items.push_back(item(objects[at], {nullptr, static_cast<std::size_t>(at)}));
    }
  }

  std::string key_text(PyObject* key) const {
    if (!PyUnicode_Check(key)) {
      throw WrongTypeError("keys are str: cannot use " + type_of(key) + " as a key" +
                           path(Step{}, true));
    }
    const auto text = utf8(key);
    if (!text) {
      throw BadValueError("the key " + repr_of_key(key) +
                          " has a lone surrogate, which no encoding can hold" + path(Step{}, true));
    }
    return std::string(*text);
  }

  Data::Item item(PyObject* object, Step step) {
    if (PyUnicode_Check(object)) return text(object, step);
    if (object == Py_None) return nullptr;
    if (PyBool_Check(object)) return object == Py_True;
    if (PyLong_Check(object)) return integer(object);
    if (PyFloat_Check(object)) return PyFloat_AS_DOUBLE(object);
    if (PyDict_Check(object)) return container(object, NodeKind::kDict, step);
    if (PyList_Check(object)) return container(object, NodeKind::kList, step);
    if (is_dict_handle(object)) return dict_handle(object).node();
    if (is_list_handle(object)) return list_handle(object).node();
    if (PyTuple_Check(object)) return container(object, NodeKind::kList, step);
    if (PyBytes_Check(object)) {
      return Bytes{std::string(PyBytes_AS_STRING(object),
                               static_cast<std::size_t>(PyBytes_GET_SIZE(object)))};
    }
    throw WrongTypeError("cannot store " + type_of(object) + path(step, false));
  }

  std::string text(PyObject* object, Step step) const {
    if (PyUnicode_GetLength(object) > kCachedText && !PyUnicode_IS_COMPACT_ASCII(object)) {
      PyObject* encoded = PyUnicode_AsUTF8String(object);
      if (encoded != nullptr) {
        std::string result(PyBytes_AS_STRING(encoded),
                           static_cast<std::size_t>(PyBytes_GET_SIZE(encoded)));
        Py_DECREF(encoded);
        return result;
      }
      if (PyErr_ExceptionMatches(PyExc_UnicodeEncodeError) == 0) throw nb::python_error();
      PyErr_Clear();
    } else if (const auto view = utf8(object)) {
      return std::string(*view);
    }
    throw BadValueError("cannot store str" + path(step, false) +
                        ": it has a lone surrogate, which no encoding can hold");
  }

  static Data::Item integer(PyObject* object) {
    int overflow = 0;
    const long long small = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (overflow == 0) return static_cast<std::int64_t>(small);
    // Hexadecimal, because Python bounds the length of decimal conversions.
    const nb::object digits = owned(PyNumber_ToBase(object, 16));
    std::string hex(utf8(digits.ptr()).value_or(""));
    hex.erase(hex.front() == '-' ? 1 : 0, 2);  // the 0x
    return BigInt{std::move(hex)};
  }

  Data::Item container(PyObject* object, NodeKind kind, Step step) {
    const bool is_value = PyTuple_Check(object);
    // Inside a tuple, which may be read more than once, one reference proves nothing.
    const bool once =
        Py_REFCNT(object) == 1 && !pending_.empty() &&
        !(pending_[current_].source.is_valid() && PyTuple_Check(pending_[current_].source.ptr()));
    if (!is_value && !once) {
      const auto [known, added] = seen_.try_emplace(object, Data::Index{0});
      if (!added) return known->second;
      known->second = data_.add(kind);
      pending_.push_back({nb::borrow(object), known->second, current_, step.position});
      return known->second;
    }
    const Data::Index index = data_.add(kind);
    pending_.push_back({nb::borrow(object), index, current_, step.position});
    return index;
  }

  /// " at ['a'][3]['tags']", or nothing for a value that goes nowhere in particular. With
  /// `container` the path of the container being read, else of the value at `step` in it.
  std::string path(Step step, bool container) const {
    std::vector<std::string> steps;  // innermost first
    if (!container && step.key != nullptr) {
      steps.push_back("[" + repr_of_key(step.key) + "]");
    } else if (!container && step.position != kNone) {
      steps.push_back(index_step(step.position, current_));
    }
    for (std::size_t at = current_; at < pending_.size() && pending_[at].position != kNone;
         at = pending_[at].parent) {
      const std::size_t parent = pending_[at].parent;
      if (parent >= pending_.size()) break;
      const Data::Container& above = data_.container(pending_[parent].index);
      if (above.kind == NodeKind::kDict) {
        const nb::object key = str_from(above.keys[pending_[at].position]);
        steps.push_back("[" + repr_of_key(key.ptr()) + "]");
      } else {
        steps.push_back(index_step(pending_[at].position, parent));
      }
    }
    if (!carrier_) {
      if (to_.key != nullptr) {
        steps.push_back("[" + repr_of_key(to_.key) + "]");
      } else if (to_.index || to_.end_of != nullptr) {
        steps.push_back("[" + std::to_string(offset()) + "]");
      }
    }
    if (steps.empty()) return "";
    std::string result = " at ";
    for (std::size_t at = steps.size(); at-- > 0;) {
      const std::size_t shown = steps.size() - 1 - at;
      if (shown == kPathShown && at > kPathShown) {
        result += " … (" + std::to_string(at - kPathShown + 1) + " more) … ";
        at = kPathShown;
        continue;
      }
      result += steps[at];
    }
    return result;
  }

  /// The items of a carrier go where the destination says, counted from there.
  std::string index_step(std::size_t position, std::size_t container) const {
    auto shown = static_cast<std::int64_t>(position);
    if (carrier_ && container == 0) shown += offset();
    return "[" + std::to_string(shown) + "]";
  }

  std::int64_t offset() const {
    if (to_.index) return *to_.index;
    if (to_.end_of == nullptr) return 0;
    try {
      return static_cast<std::int64_t>(
          off_gil(to_.end_of->home(), [&] { return to_.end_of->node().size(); }));
    } catch (const Error&) {
      return 0;  // the message is about the value, not about the list
    }
  }

  const Destination to_;
  Data data_;
  std::vector<Pending> pending_;
  std::vector<nb::object> kept_;  // what is read in place of a source
  std::unordered_map<PyObject*, Data::Index> seen_;
  std::size_t current_ = 0;
  bool carrier_ = false;
};

/// The entries of a Dict handle; children stay the nodes they are.
Data entries_of_handle(const DictHandle& handle) {
  return off_gil(handle.home(), [&] {
    Data data;
    const Data::Index root = data.add(NodeKind::kDict);
    const auto cursor = handle.node().cursor();
    std::string key;
    Value value;
    while (cursor->next(key, value)) {
      Data::Item item = Data(value).root();
      data.container(root).keys.push_back(std::move(key));
      data.container(root).items.push_back(std::move(item));
    }
    data.set_root(root);
    return data;
  });
}

}  // namespace

std::string type_of(PyObject* object) {
  const nb::handle type(reinterpret_cast<PyObject*>(Py_TYPE(object)));
  const auto text = [&](const char* attribute) {
    const nb::str shown(nb::object(type.attr(attribute)));
    return std::string(utf8(shown.ptr()).value_or("?"));
  };
  const std::string module = text("__module__");
  return (module == "builtins" ? "" : module + ".") + text("__qualname__");
}

nb::object dict_of_entries(PyObject* other) {
  nb::object result = owned(PyDict_New());
  if (PyObject_HasAttrString(other, "keys") != 0) {
    if (PyDict_Merge(result.ptr(), other, 1) != 0) throw nb::python_error();
  } else if (PyDict_MergeFromSeq2(result.ptr(), other, 1) != 0) {
    throw nb::python_error();
  }
  return result;
}

nb::object list_of_iterable(PyObject* iterable) {
  // Not PySequence_List(), which makes room for as much as __length_hint__() says.
  const nb::object items = owned(PyObject_GetIter(iterable));
  nb::object list = owned(PyList_New(0));
  while (PyObject* item = or_stay([&] { return PyIter_Next(items.ptr()); })) {
    const nb::object kept = nb::steal(item);
    if (PyList_Append(list.ptr(), kept.ptr()) != 0) throw nb::python_error();
  }
  if (PyErr_Occurred() != nullptr) throw nb::python_error();
  return list;
}

std::optional<std::string_view> utf8(PyObject* text) noexcept {
  Py_ssize_t size = 0;
  const char* data = PyUnicode_AsUTF8AndSize(text, &size);
  if (data == nullptr) {
    PyErr_Clear();
    return std::nullopt;
  }
  return std::string_view(data, static_cast<std::size_t>(size));
}

std::string_view any_key_to_store(PyObject* key) {
  if (!PyUnicode_Check(key)) {
    throw WrongTypeError("keys are str: cannot use " + type_of(key) + " as a key");
  }
  if (const auto text = utf8(key)) return *text;
  throw BadValueError("the key " + repr_of_key(key) +
                      " has a lone surrogate, which no encoding can hold");
}

std::optional<std::string_view> any_key_to_find(PyObject* key) {
  if (PyUnicode_Check(key)) return utf8(key);
  if (PyObject_Hash(key) == -1) throw nb::python_error();
  return std::nullopt;
}

Data data_from(PyObject* value, const Destination& to) { return Converter(to).value(value); }

Data entries_from(PyObject* other, PyObject* keywords) {
  if (keywords != nullptr && PyDict_Size(keywords) == 0) keywords = nullptr;
  if (keywords == nullptr && other != nullptr && is_dict_handle(other)) {
    return entries_of_handle(dict_handle(other));
  }
  nb::object all;
  if (other == nullptr) {
    all = keywords != nullptr ? nb::borrow(keywords) : owned(PyDict_New());
  } else if (keywords == nullptr && PyDict_Check(other)) {
    all = nb::borrow(other);
  } else {
    all = dict_of_entries(other);
    if (keywords != nullptr && PyDict_Update(all.ptr(), keywords) != 0) throw nb::python_error();
  }
  return Converter(Destination{}).entries(all.ptr());
}

nb::object dict_from(PyObject* other, PyObject* keywords) {
  nb::object all;
  if (other == nullptr) {
    all = owned(PyDict_New());
  } else {
    all = PyDict_CheckExact(other) ? owned(PyDict_Copy(other)) : dict_of_entries(other);
  }
  if (keywords != nullptr && PyDict_Update(all.ptr(), keywords) != 0) throw nb::python_error();
  return all;
}

Data items_from(PyObject* iterable, const Destination& first) {
  if (is_list_handle(iterable)) {
    const ListHandle& handle = list_handle(iterable);
    return off_gil(handle.home(),
                   [&] { return list_of(handle.node().slice(0, static_cast<std::size_t>(-1))); });
  }
  if (PyList_CheckExact(iterable) || PyTuple_CheckExact(iterable)) {
    return Converter(first).items(iterable);
  }
  const nb::object items = list_of_iterable(iterable);
  return Converter(first).items(items.ptr());
}

Data list_of(const std::vector<Value>& values) {
  Data data;
  const Data::Index root = data.add(NodeKind::kList);
  auto& items = data.container(root).items;
  items.reserve(values.size());
  for (const Value& value : values) {
    items.push_back(std::visit([](const auto& each) { return Data::Item(each); }, value.variant()));
  }
  data.set_root(root);
  return data;
}

}  // namespace graven::python
