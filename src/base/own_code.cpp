// SPDX-License-Identifier: MIT
//
// Finds the segment of the program, or of the shared library, that contains this code.
#include "base/own_code.hpp"

#include <cstddef>
#include <cstdint>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

namespace graven::base {
namespace {

#ifndef MADV_POPULATE_READ
constexpr int MADV_POPULATE_READ = 22;  // include/uapi/asm-generic/mman-common.h of Linux 5.14
#endif

/// For dl_iterate_phdr: returns 1, which ends the iteration, once the segment was found.
int map_if_ours(dl_phdr_info* object, std::size_t, void*) noexcept {
  const auto here = reinterpret_cast<std::uintptr_t>(&map_if_ours);
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  for (const ElfW(Phdr)* header = object->dlpi_phdr;
       header != object->dlpi_phdr + object->dlpi_phnum; ++header) {
    const std::uintptr_t begin = object->dlpi_addr + header->p_vaddr;
    const std::uintptr_t end = begin + header->p_memsz;
    if (header->p_type != PT_LOAD || here < begin || here >= end) continue;
    const std::uintptr_t first = begin & ~(page - 1);
    static_cast<void>(::madvise(reinterpret_cast<void*>(first), end - first, MADV_POPULATE_READ));
    return 1;
  }
  return 0;
}

}  // namespace

void map_own_code() noexcept { static_cast<void>(::dl_iterate_phdr(&map_if_ours, nullptr)); }

}  // namespace graven::base
