// Non-owning, row-major views. A view never allocates and never checks in device code.
#pragma once

#include "widelab/base/host_device.hpp"
#include "widelab/base/types.hpp"

namespace widelab {

/// rows x cols matrix, element (i, j) at data[i * stride + j]; stride >= cols.
template <class T>
struct MatrixView {
  T* data = nullptr;
  Index rows = 0;
  Index cols = 0;
  Index stride = 0;

  WIDELAB_HD T& operator()(Index i, Index j) const { return data[i * stride + j]; }
  WIDELAB_HD T* row(Index i) const { return data + i * stride; }
  WIDELAB_HD Index size() const { return rows * cols; }
  /// A view of T converts to a view of const T.
  WIDELAB_HD operator MatrixView<const T>() const { return {data, rows, cols, stride}; }
};

/// A contiguous rows x cols matrix.
template <class T>
WIDELAB_HD MatrixView<T> matrix_view(T* data, Index rows, Index cols) {
  return {data, rows, cols, cols};
}

}  // namespace widelab
