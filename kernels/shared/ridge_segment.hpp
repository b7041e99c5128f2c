// The rows of solutions of one segment of a ridge path, and what is left to be solved by eigenvectors.
#pragma once

#include <algorithm>
#include <vector>

#include "widelab/ops/ridge_path.hpp"

namespace widelab::least_squares {

/// Ridge of a filter; 0 for a flow.
inline double ridge_of(const SpectralFilter& filter) {
  return filter.kind == SpectralFilter::Kind::ridge ? filter.value : 0.0;
}

/// Whether a segment is solved for a, in the space of features, rather than for alpha, a = Z^T alpha.
inline bool by_features(const RidgeSegment& segment, const RidgeWorkload& work) {
  return segment.method == RidgeMethod::primal_prefix ||
         (segment.method == RidgeMethod::spectral && work.columns(segment.last - 1) <= work.examples);
}

/// Rows are (filter, size, right-hand side); products take the rows of one filter at a time, so that another filter
/// changes no bit.
struct SegmentRows {
  SegmentRows(const RidgeWorkload& work, const RidgeSegment& segment)
      : first(segment.first),
        last(segment.last),
        filters(work.filters.size()),
        each(work.targets_per_example),
        columns(work.columns(segment.last - 1)),
        examples(work.examples) {}

  std::size_t sizes() const { return last - first; }
  std::size_t cases() const { return sizes() * filters; }
  Index rows() const { return static_cast<Index>(cases()) * each; }
  Index rows_of_filter() const { return static_cast<Index>(sizes()) * each; }
  std::size_t case_of(std::size_t size, std::size_t filter) const { return filter * sizes() + size - first; }
  Index row(std::size_t size, std::size_t filter) const { return static_cast<Index>(case_of(size, filter)) * each; }

  std::size_t first, last, filters;
  Index each;      ///< R
  Index columns;   ///< of the last size
  Index examples;  ///< n
};

/// Numbers of columns in use in every size of a segment; with `order`, of those with at most so many.
inline std::vector<Index> lengths_of(const RidgeWorkload& work, const SegmentRows& rows) {
  std::vector<Index> lengths;
  for (std::size_t s = rows.first; s < rows.last; ++s) lengths.push_back(work.columns(s));
  return lengths;
}
inline std::vector<Index> lengths_of(const RidgeWorkload& work, const SegmentRows& rows, Index order) {
  std::vector<Index> lengths = lengths_of(work, rows);
  lengths.erase(std::upper_bound(lengths.begin(), lengths.end(), order), lengths.end());
  return lengths;
}

/// A size with the filters that are to be solved by eigenvectors.
struct SpectralTask {
  std::size_t size;
  std::vector<std::size_t> filters;
};

/// Adds (size, filter) to a list that is sorted by size.
inline void add_task(std::vector<SpectralTask>& tasks, std::size_t size, std::size_t filter) {
  const auto at = std::lower_bound(tasks.begin(), tasks.end(), size,
                                   [](const SpectralTask& task, std::size_t s) { return task.size < s; });
  if (at != tasks.end() && at->size == size)
    at->filters.push_back(filter);
  else
    tasks.insert(at, {size, {filter}});
}

}  // namespace widelab::least_squares
