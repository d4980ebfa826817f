// SPDX-License-Identifier: MIT
//
// Figures to dicts. Called with the GIL held.
#include "stats.hpp"

#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>

#include <chrono>
#include <string>
#include <string_view>
#include <type_traits>

#include <graven/stats_fields.hpp>

namespace graven::python {
namespace {

template <class T>
nb::dict to_dict(const T& figures);

template <class T>
nb::object to_object(const T& value) {
  if constexpr (std::is_arithmetic_v<T> || std::is_same_v<T, std::string>) {
    return nb::cast(value);
  } else if constexpr (std::is_same_v<T, std::chrono::milliseconds>) {
    return nb::cast(std::chrono::duration<double>(value).count());
  } else if constexpr (std::is_same_v<T, std::vector<Histogram::Bucket>>) {
    nb::list buckets;
    for (const Histogram::Bucket& bucket : value) {
      buckets.append(nb::make_tuple(bucket.le, bucket.count));
    }
    return buckets;
  } else if constexpr (std::is_same_v<T, std::vector<ErrorCount>>) {
    nb::dict errors;
    for (const ErrorCount& error : value) errors[nb::cast(error.name)] = error.count;
    return errors;
  } else {
    return to_dict(value);
  }
}

template <class T>
nb::dict to_dict(const T& figures) {
  nb::dict out;
  each_field(figures, [&out](std::string_view name, const auto& value) {
    out[nb::cast(name)] = to_object(value);
  });
  return out;
}

}  // namespace

nb::dict to_python(const Stats& stats) { return to_dict(stats); }

nb::dict to_python(const std::vector<PoolStats>& pools) {
  nb::dict out;
  for (const PoolStats& pool : pools) out[nb::cast(pool.name)] = to_dict(pool);
  return out;
}

}  // namespace graven::python
