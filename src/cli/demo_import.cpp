// SPDX-License-Identifier: MIT
//
// The import in two passes: first every package with its own fields, as they are read; then the
// links, when every name is known. One thread.
#include "cli/demo_import.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <map>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "cli/deb822.hpp"
#include "cli/encoding.hpp"

namespace graven::cli {
namespace {

constexpr std::size_t kPackagesPerTransaction = 10'000;

void stop_if_asked() {
  if (const int signal = InterruptGuard::signal()) {
    throw Interrupted(signal, "interrupted; run the demo again to start afresh");
  }
}

/// A Data that is a dict, filled key by key.
class DictBuilder {
 public:
  DictBuilder() { data_.set_root(data_.add(NodeKind::kDict)); }

  Data::Index child(Data::Index parent, std::string_view key, NodeKind kind) {
    const Data::Index index = data_.add(kind);
    put(parent, key, index);
    return index;
  }
  void put(Data::Index dict, std::string_view key, Data::Item item) {
    Data::Container& container = data_.container(dict);
    container.keys.emplace_back(key);
    container.items.push_back(std::move(item));
  }
  [[nodiscard]] Data::Index top() const { return std::get<Data::Index>(data_.root()); }
  [[nodiscard]] std::size_t size() const { return data_.container(top()).items.size(); }
  [[nodiscard]] const Data& data() const { return data_; }

 private:
  Data data_{};
};

class Importer {
 public:
  Importer(const Database& db, PackageSource& source) : db_(db), source_(source) {}

  ImportReport run();

 private:
  void read_packages();
  void add(const Stanza& stanza);
  void flush();
  void link_packages();
  void make_virtual_packages();
  void link(std::size_t number);
  Data::Item resolve(const std::string& name);
  void describe();

  const Database& db_;
  PackageSource& source_;
  ImportReport report_{};
  std::optional<Dict> packages_{};
  std::optional<Dict> virtual_{};
  DictBuilder batch_{};
  std::vector<Dict> handles_{};  // parallel to report_.packages
  std::unordered_map<std::string, Dict> virtual_handles_{};
};

void put_text(DictBuilder& batch, Data::Index package, std::string_view key,
              std::string_view value) {
  if (!value.empty()) batch.put(package, key, std::string(value));
}

void put_number(DictBuilder& batch, Data::Index package, std::string_view key,
                std::string_view value) {
  std::int64_t number = 0;
  if (std::from_chars(value.data(), value.data() + value.size(), number).ec == std::errc{}) {
    batch.put(package, key, number);
  }
}

std::vector<std::string> hard_dependencies(const Stanza& stanza) {
  std::string all(stanza.get("Pre-Depends"));
  const std::string_view depends = stanza.get("Depends");
  if (!all.empty() && !depends.empty()) all += ", ";
  all += depends;
  return related_names(all);
}

void Importer::add(const Stanza& stanza) {
  ++report_.stanzas;
  const std::string name(stanza.get("Package"));
  const std::string version(stanza.get("Version"));
  if (name.empty() || version.empty()) {
    throw CorruptionError(fmt::format("{}: stanza {} lacks {}", source_.name(), report_.stanzas,
                                      name.empty() ? "Package" : "Version"));
  }
  const auto [known, fresh] = report_.by_name.try_emplace(name, report_.packages.size());
  if (!fresh) {
    ++report_.older_versions;
    if (compare_versions(version, report_.packages[known->second].version) <= 0) return;
    flush();  // a batch holds a name once; the newer version replaces the older in the store
  } else {
    report_.packages.emplace_back();
  }
  PackageNote& note = report_.packages[known->second];
  note.name = name;
  note.version = version;
  note.section = stanza.get("Section");
  note.depends = hard_dependencies(stanza);
  note.recommends = related_names(stanza.get("Recommends"));
  note.provides = related_names(stanza.get("Provides"));

  const Data::Index package = batch_.child(batch_.top(), name, NodeKind::kDict);
  put_text(batch_, package, "name", name);
  put_text(batch_, package, "version", version);
  put_text(batch_, package, "section", note.section);
  put_text(batch_, package, "priority", stanza.get("Priority"));
  put_text(batch_, package, "architecture", stanza.get("Architecture"));
  put_number(batch_, package, "installed_size", stanza.get("Installed-Size"));
  put_number(batch_, package, "download_size", stanza.get("Size"));
  put_text(batch_, package, "maintainer", stanza.get("Maintainer"));
  put_text(batch_, package, "homepage", stanza.get("Homepage"));
  put_text(batch_, package, "description", stanza.get("Description"));
  if (batch_.size() == kPackagesPerTransaction) flush();
}

void Importer::flush() {
  if (batch_.size() == 0) return;
  db_.transaction([&] { packages_->update(batch_.data()); });
  batch_ = DictBuilder();
}

void Importer::read_packages() {
  const Stopwatch watch;
  Progress progress("reading packages", source_.input().size(), Progress::Unit::kBytes);
  StanzaReader reader(source_.input());
  for (Stanza stanza; reader.next(stanza);) {
    add(stanza);
    progress.update(source_.input().position());
    stop_if_asked();
  }
  stop_if_asked();
  source_.finish();
  flush();
  report_.reading_seconds = watch.seconds();
}

void Importer::make_virtual_packages() {
  std::map<std::string, std::vector<std::size_t>> providers;
  for (std::size_t number = 0; number < report_.packages.size(); ++number) {
    for (const std::string& name : report_.packages[number].provides) {
      providers[name].push_back(number);
    }
  }
  DictBuilder batch;
  for (const auto& [name, numbers] : providers) {
    const Data::Index entry = batch.child(batch.top(), name, NodeKind::kDict);
    batch.put(entry, "name", name);
    const Data::Index links = batch.child(entry, "providers", NodeKind::kDict);
    for (const std::size_t number : numbers) {
      batch.put(links, report_.packages[number].name, handles_[number]);
    }
    report_.links += numbers.size();
  }
  db_.transaction([&] { virtual_->update(batch.data()); });
  for (const auto& [name, numbers] : providers) {
    virtual_handles_.emplace(name, virtual_->at(name).as_dict());
  }
  report_.virtual_packages = providers.size();
}

Data::Item Importer::resolve(const std::string& name) {
  if (const auto real = report_.by_name.find(name); real != report_.by_name.end()) {
    ++report_.packages[real->second].linked;
    ++report_.links;
    return handles_[real->second];
  }
  if (const auto provided = virtual_handles_.find(name); provided != virtual_handles_.end()) {
    ++report_.links;
    return provided->second;
  }
  ++report_.nowhere;
  return nullptr;
}

void Importer::link(std::size_t number) {
  const PackageNote& note = report_.packages[number];
  DictBuilder batch;
  const auto relate = [&](std::string_view key, const std::vector<std::string>& names) {
    if (names.empty()) return;
    const Data::Index links = batch.child(batch.top(), key, NodeKind::kDict);
    for (const std::string& name : names) batch.put(links, name, resolve(name));
  };
  relate("depends", note.depends);
  relate("recommends", note.recommends);
  if (!note.provides.empty()) {
    const Data::Index links = batch.child(batch.top(), "provides", NodeKind::kDict);
    for (const std::string& name : note.provides) {
      batch.put(links, name, virtual_handles_.at(name));
    }
    report_.links += note.provides.size();
  }
  if (batch.size() != 0) handles_[number].update(batch.data());
}

void Importer::link_packages() {
  const Stopwatch watch;
  handles_.reserve(report_.packages.size());
  for (const PackageNote& note : report_.packages) {
    handles_.push_back(packages_->at(note.name).as_dict());
  }
  make_virtual_packages();
  Progress progress("linking packages", report_.packages.size(), Progress::Unit::kItems);
  for (std::size_t start = 0; start < handles_.size(); start += kPackagesPerTransaction) {
    const std::size_t end = std::min(start + kPackagesPerTransaction, handles_.size());
    db_.transaction([&] {
      for (std::size_t number = start; number < end; ++number) {
        link(number);
        progress.update(number);
        stop_if_asked();
      }
    });
  }
  report_.linking_seconds = watch.seconds();
}

void Importer::describe() {
  std::map<std::string, std::int64_t> sections;
  for (const PackageNote& note : report_.packages) ++sections[note.section];
  DictBuilder about;
  const std::time_t now = std::time(nullptr);
  std::tm calendar{};
  gmtime_r(&now, &calendar);
  std::array<char, 32> date{};
  const std::size_t length =
      std::strftime(date.data(), date.size(), "%Y-%m-%dT%H:%M:%SZ", &calendar);
  const auto whole = [](std::uint64_t count) { return static_cast<std::int64_t>(count); };
  about.put(about.top(), "made_by", std::string("graven demo"));
  about.put(about.top(), "source", source_.name());
  about.put(about.top(), "imported", std::string(date.data(), length));
  about.put(about.top(), "packages", whole(report_.packages.size()));
  about.put(about.top(), "virtual_packages", whole(report_.virtual_packages));
  about.put(about.top(), "links", whole(report_.links));
  const Data::Index table = about.child(about.top(), "sections", NodeKind::kDict);
  for (const auto& [section, count] : sections) about.put(table, section, count);
  db_.root().set("about", about.data());
}

ImportReport Importer::run() {
  db_.transaction([&] {
    const Dict root = db_.root();
    // First of all, so that an interrupted demo file is known as one.
    root.set("about", Data::dict({{"made_by", "graven demo"}}));
    root.set("packages", Data::dict());
    root.set("virtual", Data::dict());
    packages_ = root.at("packages").as_dict();
    virtual_ = root.at("virtual").as_dict();
  });
  read_packages();
  link_packages();
  describe();
  return std::move(report_);
}

}  // namespace

ImportReport import_packages(const Database& db, PackageSource& source) {
  return Importer(db, source).run();
}

}  // namespace graven::cli
