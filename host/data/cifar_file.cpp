#include "host/data/cifar_file.hpp"

#include "host/data/byte_reader.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::data {

namespace {

void require_label(const ByteReader& reader, const char* name, int label, int classes, std::size_t record) {
  if (label >= classes)
    throw DataError(reader.path() + ": record " + std::to_string(record) + " has " + name + " " +
                    std::to_string(label) + ", expected 0 .. " + std::to_string(classes - 1) +
                    "; is it the binary version, and CIFAR-" + (classes == 10 ? "10" : "100") + "?");
}

void read_batch(CifarKind kind, const std::string& path, CifarImages& images) {
  ByteReader reader(path);
  const std::size_t label_bytes = kind == CifarKind::cifar10 ? 1 : 2;
  const std::size_t record_bytes = label_bytes + static_cast<std::size_t>(kCifarPixels);
  std::vector<unsigned char> record(record_bytes);
  std::size_t count = 0;
  for (;; ++count) {
    const std::size_t got = reader.read_some(record.data(), record_bytes);
    if (got == 0) break;
    if (got < record_bytes)
      throw DataError(path + ": truncated: record " + std::to_string(count) + " has " + std::to_string(got) +
                      " bytes, expected " + std::to_string(record_bytes) + "; fetch the file again");
    if (kind == CifarKind::cifar100) require_label(reader, "coarse label", record[0], 20, count);
    const int label = record[label_bytes - 1];
    require_label(reader, "label", label, kind == CifarKind::cifar10 ? 10 : 100, count);
    images.labels.push_back(label);
    images.pixels.insert(images.pixels.end(), record.begin() + static_cast<std::ptrdiff_t>(label_bytes), record.end());
  }
  reader.require_end("whole records");
  if (count == 0) throw DataError(path + ": is empty; expected records of " + std::to_string(record_bytes) + " bytes");
}

}  // namespace

CifarImages read_cifar(CifarKind kind, const std::vector<std::string>& paths) {
  CifarImages images;
  for (const std::string& path : paths) read_batch(kind, path, images);
  return images;
}

}  // namespace widelab::data
