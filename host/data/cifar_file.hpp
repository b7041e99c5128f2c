// Reader of the binary batches of CIFAR-10 and CIFAR-100.
#pragma once

#include <string>
#include <vector>

#include "widelab/base/types.hpp"

namespace widelab::data {

inline constexpr Index kCifarPixels = 3072;  // 3 colours x 32 rows x 32 columns, in this order

enum class CifarKind { cifar10, cifar100 };

/// Images (examples x 3072) and labels of one or more batches, in file order. For CIFAR-100 the fine labels.
struct CifarImages {
  std::vector<unsigned char> pixels;
  std::vector<int> labels;
};

/// Reads the batches `paths`, plain or gzip-compressed. Format (Krizhevsky 2009): records without a header, one label
/// byte (CIFAR-10) or a coarse and a fine one (CIFAR-100), then 3072 pixels. DataError if a file is empty, is no
/// whole number of records, or has a label out of range: the sign that it is of another kind.
CifarImages read_cifar(CifarKind kind, const std::vector<std::string>& paths);

}  // namespace widelab::data
