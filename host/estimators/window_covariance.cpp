#include "host/estimators/window_covariance.hpp"

#include <cblas.h>

#include <cmath>
#include <limits>
#include <utility>

#include "host/runtime/backend.hpp"
#include "widelab/base/contract.hpp"

namespace widelab::estimators {

WindowCovariance::WindowCovariance(Index dimension) : dimension_(dimension) {
  WIDELAB_REQUIRE(dimension >= 1, "vectors of a window need an entry");
  runtime::fix_blas_threads();
  const auto d = static_cast<std::size_t>(dimension);
  sum_.resize(d);
  products_.resize(d * d);
  buffer_.resize(static_cast<std::size_t>(kBuffer) * d);
}

void WindowCovariance::add(const double* vector) {
  if (count_ == 0) first_.assign(vector, vector + dimension_);
  double* row = buffer_.data() + waiting_ * dimension_;
  for (Index j = 0; j < dimension_; ++j) {
    row[j] = vector[j] - first_[static_cast<std::size_t>(j)];
    sum_[static_cast<std::size_t>(j)] += row[j];
  }
  ++count_;
  if (++waiting_ == kBuffer) gather();
}

void WindowCovariance::gather() {
  const auto d = static_cast<int>(dimension_);
  cblas_dsyrk(CblasRowMajor, CblasUpper, CblasTrans, d, static_cast<int>(waiting_), 1.0, buffer_.data(), d, 1.0,
              products_.data(), d);
  waiting_ = 0;
}

std::vector<double> WindowCovariance::mean() const {
  std::vector<double> out = first_;
  for (std::size_t j = 0; j < out.size(); ++j) out[j] += sum_[j] / static_cast<double>(count_);
  return out;
}

std::vector<double> WindowCovariance::covariance() {
  WIDELAB_REQUIRE(count_ >= 2, "a covariance needs two vectors");
  gather();
  const auto d = static_cast<std::size_t>(dimension_);
  const auto w = static_cast<double>(count_);
  std::vector<double> out(d * d);
  for (std::size_t i = 0; i < d; ++i)
    for (std::size_t j = i; j < d; ++j)
      out[i * d + j] = out[j * d + i] = (products_[i * d + j] - sum_[i] * (sum_[j] / w)) / (w - 1);
  return out;
}

WindowProjections::WindowProjections(std::vector<double> directions, std::vector<double> origin)
    : dimension_(static_cast<Index>(origin.size())),
      directions_count_(static_cast<Index>(directions.size() / origin.size())),
      directions_(std::move(directions)),
      origin_(std::move(origin)),
      difference_(origin_.size()) {
  WIDELAB_REQUIRE(directions_count_ * dimension_ == static_cast<Index>(directions_.size()), "directions do not fit");
  runtime::fix_blas_threads();
}

void WindowProjections::add(const double* vector) {
  for (std::size_t j = 0; j < origin_.size(); ++j) difference_[j] = vector[j] - origin_[j];
  const std::size_t at = values_.size();
  values_.resize(at + static_cast<std::size_t>(directions_count_));
  cblas_dgemv(CblasRowMajor, CblasNoTrans, static_cast<int>(directions_count_), static_cast<int>(dimension_), 1.0,
              directions_.data(), static_cast<int>(dimension_), difference_.data(), 1, 0.0, values_.data() + at, 1);
}

std::vector<double> WindowProjections::series(Index direction) const {
  std::vector<double> out;
  for (auto at = static_cast<std::size_t>(direction); at < values_.size();
       at += static_cast<std::size_t>(directions_count_))
    out.push_back(values_[at]);
  return out;
}

double correlation_time(std::span<const double> series) {
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  const std::size_t count = series.size();
  if (count < 4) return kNaN;
  double mean = 0;
  for (const double x : series) mean += x / static_cast<double>(count);
  const auto correlation = [&](std::size_t lag) {
    double sum = 0;
    for (std::size_t t = 0; t + lag < count; ++t) sum += (series[t] - mean) * (series[t + lag] - mean);
    return sum / static_cast<double>(count - lag);
  };
  const double all = correlation(0), wanted = std::exp(-1.0);
  if (!(all > 0)) return kNaN;
  double before = 1;
  for (std::size_t lag = 1; lag <= count / 2; ++lag) {
    const double here = correlation(lag) / all;
    if (here <= wanted) return static_cast<double>(lag) - (wanted - here) / (before - here);
    before = here;
  }
  return kNaN;
}

}  // namespace widelab::estimators
