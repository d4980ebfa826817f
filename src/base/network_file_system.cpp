// SPDX-License-Identifier: MIT
//
// The types and names of network_file_system.hpp. Any thread.
#include "base/network_file_system.hpp"

#include <array>
#include <fstream>
#include <sstream>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

namespace graven::base {
namespace {

struct NamedType {
  std::uint64_t type;
  std::string_view name;
};

// Types from statfs(2) and linux/magic.h. Cluster file systems are included: several machines may
// write there, but the shared memory of a WAL works on one machine only.
constexpr std::array<NamedType, 14> kNetworkTypes{{
    {0x6969, "NFS"},
    {0x517B, "SMB"},
    {0xFF534D42, "CIFS"},
    {0xFE534D42, "SMB2"},
    {0x5346414F, "AFS"},
    {0x6B414653, "AFS"},
    {0x73757245, "Coda"},
    {0x564C, "NCP"},
    {0x01021997, "9P"},
    {0x00C36400, "Ceph"},
    {0x0BD00BD0, "Lustre"},
    {0x47504653, "GPFS"},
    {0x01161970, "GFS2"},
    {0x7461636F, "OCFS2"},
}};
constexpr std::uint64_t kFuse = 0x65735546;

// FUSE also carries local file systems (ntfs-3g, gocryptfs, mergerfs), so only these names count.
constexpr std::array<std::string_view, 17> kNetworkFuse{
    "sshfs",     "s3fs",      "rclone", "gcsfuse",   "goofys",    "mount-s3",
    "blobfuse2", "glusterfs", "ceph",   "davfs",     "curlftpfs", "smbnetfs",
    "juicefs",   "mfs",       "beegfs", "seaweedfs", "cvmfs2"};

/// The file system type that /proc/self/mountinfo gives for a device.
std::string mounted_as(std::uint64_t device) {
  std::ifstream mounts("/proc/self/mountinfo");
  std::string wanted = std::to_string(::major(device));
  wanted += ":";
  wanted += std::to_string(::minor(device));
  std::string line;
  while (std::getline(mounts, line)) {
    std::istringstream fields(line);
    std::string id, parent, dev;
    if (!(fields >> id >> parent >> dev) || dev != wanted) continue;
    const auto dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    const auto end = line.find(' ', dash + 3);
    return line.substr(dash + 3, end == std::string::npos ? end : end - dash - 3);
  }
  return {};
}

}  // namespace

std::string network_file_system_of(const std::string& path) {
  struct statfs info {};
  struct stat status {};
  if (::statfs(path.c_str(), &info) != 0 || ::stat(path.c_str(), &status) != 0) return {};
  const auto type = static_cast<std::uint64_t>(info.f_type) & 0xFFFFFFFFU;
  const std::string mount = type == kFuse ? mounted_as(status.st_dev) : std::string();
  return std::string(network_file_system(type, mount));
}

std::string_view network_file_system(std::uint64_t type, std::string_view mounted_as) noexcept {
  for (const NamedType& known : kNetworkTypes) {
    if (known.type == type) return known.name;
  }
  if (type != kFuse) return {};
  constexpr std::string_view kPrefix = "fuse.";
  if (mounted_as.starts_with(kPrefix)) mounted_as.remove_prefix(kPrefix.size());
  for (const std::string_view known : kNetworkFuse) {
    if (known == mounted_as) return known;
  }
  return {};
}

}  // namespace graven::base
