// SPDX-License-Identifier: MIT
//
// The mapping from codes to the classes of graven/errors.py.
//
// Always holds: after init_errors() every code has a class; the references are kept for the
// life of the process.
//
// Called with the GIL held.
#include "errors.hpp"

#include <array>
#include <cstddef>
#include <new>
#include <string>

namespace graven::python {
namespace {

constexpr std::size_t kCodes = static_cast<std::size_t>(Errc::kAborted) + 1;
std::array<PyObject*, kCodes> classes{};
PyObject* watch_error = nullptr;

struct Name {
  Errc code;
  const char* name;
};
constexpr Name kNames[] = {
    {Errc::kUsage, "UsageError"},
    {Errc::kWrongType, "WrongTypeError"},
    {Errc::kBadValue, "BadValueError"},
    {Errc::kKeyNotFound, "KeyNotFound"},
    {Errc::kIndexOutOfRange, "IndexOutOfRange"},
    {Errc::kConflict, "ConflictError"},
    {Errc::kBusy, "BusyError"},
    {Errc::kUnavailable, "UnavailableError"},
    {Errc::kCommitUnknown, "CommitUnknownError"},
    {Errc::kCorruption, "CorruptionError"},
    {Errc::kCollected, "CollectedError"},
    {Errc::kClosed, "ClosedError"},
    {Errc::kForeign, "ForeignFileError"},
    {Errc::kLimit, "LimitError"},
    {Errc::kTransactionExpired, "TransactionExpiredError"},
    {Errc::kAborted, "AbortedError"},
};
static_assert(std::size(kNames) + 1 == kCodes);

void set(const Error& error) noexcept {
  // A path in a message may hold bytes that are not UTF-8; they are shown as \xff.
  const std::string_view text = error.what();
  PyObject* message =
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "backslashreplace");
  if (message == nullptr) return;
  PyErr_SetObject(error_class(error.code()), message);
  Py_DECREF(message);
}

}  // namespace

void init_errors() {
  const nb::module_ module = nb::module_::import_("graven.errors");
  for (const Name& each : kNames) {
    classes[static_cast<std::size_t>(each.code)] =
        nb::object(module.attr(each.name)).release().ptr();
  }
  watch_error = nb::object(module.attr("WatchError")).release().ptr();
  nb::register_exception_translator([](const std::exception_ptr& thrown, void*) {
    try {
      std::rethrow_exception(thrown);
    } catch (const Error& error) {
      set(error);
    }
  });
}

PyObject* error_class(Errc code) noexcept {
  const auto at = static_cast<std::size_t>(code);
  return at < kCodes && classes[at] != nullptr ? classes[at] : PyExc_RuntimeError;
}

void set_error_from_current_exception() noexcept {
  try {
    throw;
  } catch (nb::python_error& error) {
    error.restore();
  } catch (const Error& error) {
    set(error);
  } catch (const nb::builtin_exception& error) {
    PyErr_SetString(error.type() == nb::exception_type::type_error    ? PyExc_TypeError
                    : error.type() == nb::exception_type::value_error ? PyExc_ValueError
                                                                      : PyExc_RuntimeError,
                    error.what());
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  } catch (...) {
    PyErr_SetString(PyExc_RuntimeError, "unknown C++ exception");
  }
}

void set_key_not_found(PyObject* key) noexcept {
  // As _PyErr_SetKeyError: a tuple must not be taken for the argument list.
  PyObject* arguments = PyTuple_Pack(1, key);
  if (arguments == nullptr) return;
  PyErr_SetObject(error_class(Errc::kKeyNotFound), arguments);
  Py_DECREF(arguments);
}

void throw_key_not_found(PyObject* key) {
  set_key_not_found(key);
  throw nb::python_error();
}

void throw_error(Errc code, const char* text) {
  PyErr_SetString(error_class(code), text);
  throw nb::python_error();
}

void throw_watch_error() {
  PyErr_SetString(watch_error,
                  "something this transactor read was changed by someone else; nothing was "
                  "written: read again and retry, or use transact()");
  throw nb::python_error();
}

nb::object owned(PyObject* new_reference) {
  if (new_reference == nullptr) throw nb::python_error();
  return nb::steal(new_reference);
}

}  // namespace graven::python
