// SPDX-License-Identifier: MIT
//
// The conversions of map_values.hpp. Called with the GIL held.
#include "map_values.hpp"

#include <cstring>
#include <string>
#include <utility>

namespace graven::python {
namespace {

constexpr Py_ssize_t kCachedText = 1024;     // longer non-ASCII text is encoded without a cache
constexpr std::string_view kNoKey = "\xff";  // is not UTF-8: no map has it
constexpr std::size_t kAhead = 16;           // keys on their way into the processor's cache

PyObject* new_reference(PyObject* object) noexcept {
  Py_INCREF(object);
  return object;
}

bool is_ascii(std::string_view text) noexcept {
  const char* at = text.data();
  const char* const end = at + text.size();
  std::uint64_t bits = 0;
  for (; end - at >= 8; at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, sizeof word);
    bits |= word;
  }
  for (; at != end; ++at) bits |= static_cast<std::uint64_t>(static_cast<unsigned char>(*at));
  return (bits & 0x8080808080808080U) == 0;
}

PyObject* text_object(std::string_view text) noexcept {
  const auto size = static_cast<Py_ssize_t>(text.size());
  if (!is_ascii(text) || size < 2) {  // Python has every str of one letter already
    return PyUnicode_DecodeUTF8(text.data(), size, nullptr);
  }
  PyObject* object = PyUnicode_New(size, 127);
  if (object != nullptr) std::memcpy(PyUnicode_DATA(object), text.data(), text.size());
  return object;
}

template <class Number>
Number number(std::string_view bytes) noexcept {
  Number value = 0;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

}  // namespace

PyObject* scalar_object(const MapValue& value) noexcept {
  const std::string_view bytes = value.bytes;
  switch (value.kind) {
    case MapValue::Kind::kNull:
      return new_reference(Py_None);
    case MapValue::Kind::kFalse:
      return new_reference(Py_False);
    case MapValue::Kind::kTrue:
      return new_reference(Py_True);
    case MapValue::Kind::kInt:
      return PyLong_FromLongLong(number<std::int64_t>(bytes));
    case MapValue::Kind::kReal:
      return PyFloat_FromDouble(number<double>(bytes));
    case MapValue::Kind::kText:
      return text_object(bytes);
    case MapValue::Kind::kBytes:
      return PyBytes_FromStringAndSize(bytes.data(), static_cast<Py_ssize_t>(bytes.size()));
    case MapValue::Kind::kBigInt:
      return PyLong_FromString(std::string(bytes).c_str(), nullptr, 16);
    case MapValue::Kind::kJson:
      break;
  }
  PyErr_SetString(PyExc_SystemError, "a nested value is no scalar");
  return nullptr;
}

nb::object Shown::take() {
  if (nested_) return map_value_from(*nested_);
  return decoded(std::exchange(object_, nullptr));
}

nb::object map_value_from(const Data& data) {
  static const HomePtr nowhere;  // a map's values hold no handles
  return to_python(data, nowhere);
}

bool Scalar::set(PyObject* object) noexcept {
  using Kind = MapValue::Kind;
  const auto set_number = [&](Kind kind, const auto& value) {
    static_assert(sizeof value == sizeof number_);
    std::memcpy(number_, &value, sizeof number_);
    value_ = {kind, {number_, sizeof number_}};
    return true;
  };
  if (PyUnicode_Check(object)) {
    const bool ascii = PyUnicode_IS_COMPACT_ASCII(object);
    if (!ascii && PyUnicode_GetLength(object) > kCachedText) return false;
    const auto text = ascii
                          ? std::string_view(static_cast<const char*>(PyUnicode_DATA(object)),
                                             static_cast<std::size_t>(PyUnicode_GET_LENGTH(object)))
                          : utf8(object);
    if (!text) return false;
    value_ = {Kind::kText, *text};
    return true;
  }
  if (PyBool_Check(object)) {
    value_ = {object == Py_True ? Kind::kTrue : Kind::kFalse, {}};
    return true;
  }
  if (PyLong_Check(object)) {
    int overflow = 0;
    const std::int64_t value = PyLong_AsLongLongAndOverflow(object, &overflow);
    return overflow == 0 && set_number(Kind::kInt, value);
  }
  if (PyFloat_Check(object)) return set_number(Kind::kReal, PyFloat_AS_DOUBLE(object));
  if (PyBytes_Check(object)) {
    value_ = {Kind::kBytes,
              {PyBytes_AS_STRING(object), static_cast<std::size_t>(PyBytes_GET_SIZE(object))}};
    return true;
  }
  if (object == Py_None) {
    value_ = {Kind::kNull, {}};
    return true;
  }
  return false;
}

Entries::Entries(PyObject* other, PyObject* keywords) : owner_(dict_from(other, keywords)) {
  const auto count = static_cast<std::size_t>(PyDict_Size(owner_.ptr()));
  entries_.reserve(count);
  numbers_.reserve(count);
  PyObject* key = nullptr;
  PyObject* value = nullptr;
  for (Py_ssize_t at = 0; PyDict_Next(owner_.ptr(), &at, &key, &value) != 0;) {
    MapEntry entry{.key = key_to_store(key)};
    Scalar scalar;
    if (scalar.set(value)) {
      entry.value = scalar.value_in(numbers_.emplace_back());
    } else {
      entry.data = &data_.emplace_back(data_from(value, Destination::under(key)));
    }
    entries_.push_back(entry);
  }
}

Keys::Keys(PyObject* iterable, const char* what) {
  if (PyUnicode_Check(iterable)) {
    throw WrongTypeError(std::string(what) + " takes an iterable of keys, not one str");
  }
  sequence_ = PyList_CheckExact(iterable) || PyTuple_CheckExact(iterable)
                  ? nb::borrow(iterable)
                  : list_of_iterable(iterable);
}

template <class Place>
Keys::Texts Keys::texts_at(std::size_t count, const Place& place) const {
  PyObject** keys = items();
  Texts texts;
  texts.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    if (i + kAhead < count) {
      PyObject* const ahead = keys[place(i + kAhead)];
      __builtin_prefetch(ahead);
      __builtin_prefetch(reinterpret_cast<PyASCIIObject*>(ahead) + 1);  // its text
    }
    if (!PyUnicode_Check(keys[place(i)])) [[unlikely]] {
      own();  // its hash may be code that changes the list
      keys = items();
    }
    texts.push_back(key_to_find(keys[place(i)]).value_or(kNoKey));
  }
  return texts;
}

Keys::Texts Keys::texts() const {
  return texts_at(count(), [](std::size_t i) { return i; });
}

Keys::Texts Keys::texts(const std::vector<std::size_t>& places) const {
  return texts_at(places.size(), [&](std::size_t i) { return places[i]; });
}

void Keys::own() const { sequence_ = owned(PySequence_Tuple(sequence_.ptr())); }

}  // namespace graven::python
