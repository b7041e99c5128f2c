// Observers of the parameters themselves.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "host/estimators/observer_parts.hpp"
#include "host/estimators/spectra.hpp"
#include "widelab/base/contract.hpp"
#include "widelab/model/param_layout.hpp"

namespace widelab::estimators {
namespace {

using engine::MemberView;

constexpr engine::ObserverNeeds kParameters{.parameters = true};

/// A layer's weights among a member's parameters.
struct Block {
  std::size_t offset = 0;
  Index rows = 0, cols = 0;
  std::span<const double> of(std::span<const double> parameters) const {
    return parameters.subspan(offset, static_cast<std::size_t>(rows * cols));
  }
};

std::vector<Block> weight_blocks(const MlpShape& shape) {
  const ParamLayout layout(shape);
  std::vector<Block> blocks;
  for (Index l = 0; l < shape.layers(); ++l)
    blocks.push_back({static_cast<std::size_t>(layout.weight_offset[static_cast<std::size_t>(l)]), shape.fan_out(l),
                      shape.fan_in(l)});
  return blocks;
}

struct Size {
  double rms = 0, largest = 0;
};

Size size_of(std::span<const double> values) {
  Size out;
  for (const double x : values) {
    out.rms += x * x;
    // A NaN stays.
    out.largest = std::abs(x) <= out.largest ? out.largest : std::abs(x);
  }
  out.rms = std::sqrt(out.rms / static_cast<double>(values.size()));
  return out;
}

double dot(const double* a, const double* b, Index n) {
  double sum = 0;
  for (Index i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

/// First-layer rows and given directions.
struct Teacher {
  Block rows;
  Index count = 0;  ///< directions
  std::shared_ptr<const std::vector<double>> directions;

  Teacher(const ObserverContext& context, const std::string& name) : rows(weight_blocks(context.network.shape)[0]) {
    require_context(context.direction_count > 0, name, "teacher directions");
    WIDELAB_REQUIRE(static_cast<Index>(context.directions.size()) == context.direction_count * rows.cols,
                    "directions are A x d numbers");
    count = context.direction_count;
    directions = std::make_shared<const std::vector<double>>(context.directions);
  }

  const double* direction(Index a) const { return directions->data() + a * rows.cols; }
  const double* row(const MemberView& member, Index i) const {
    return rows.of(member.parameters).data() + i * rows.cols;
  }

  double cosine(const MemberView& member, Index i, Index a) const {
    const double *w = row(member, i), *v = direction(a);
    const double norm = std::sqrt(dot(w, w, rows.cols)) * std::sqrt(dot(v, v, rows.cols));
    return norm == 0 ? 0.0 : dot(w, v, rows.cols) / norm;
  }
};

}  // namespace

ObserverParts displacement(const ObserverContext& context, const std::string&) {
  const std::vector<Block> blocks = weight_blocks(context.network.shape);
  const std::size_t count = blocks.size() + 1;
  std::vector<std::string> labels;
  for (const char* what : {"rms", "largest"}) {
    for (std::size_t l = 0; l < blocks.size(); ++l) labels.push_back(fmt::format("{} of layer {}", what, l + 1));
    labels.push_back(fmt::format("{} of all", what));
  }
  const auto measure = [blocks, count](const MemberView& member, std::span<double> out) {
    for (std::size_t l = 0; l < count; ++l) {
      const Size size = size_of(l < blocks.size() ? blocks[l].of(member.displacement) : member.displacement);
      out[l] = size.rms;
      out[count + l] = size.largest;
    }
  };
  return {static_cast<Index>(2 * count), kParameters, measure, labels};
}

ObserverParts weight_singular_values(const ObserverContext& context, const std::string&) {
  const std::vector<Block> blocks = weight_blocks(context.network.shape);
  std::vector<Index> counts;
  std::vector<std::string> labels;
  for (const Block& block : blocks) {
    const Index all = std::min(block.rows, block.cols);
    counts.push_back(context.leading > 0 ? std::min(context.leading, all) : all);
    for (Index i = 0; i < counts.back(); ++i)
      labels.push_back(fmt::format("layer {}, number {}", counts.size(), i + 1));
  }
  const auto measure = [blocks, counts](const MemberView& member, std::span<double> out) {
    auto at = out.begin();
    for (std::size_t l = 0; l < blocks.size(); ++l) {
      const std::vector<double> values =
          singular_values(blocks[l].of(member.parameters), blocks[l].rows, blocks[l].cols);
      at = std::copy_n(values.begin(), counts[l], at);
    }
  };
  return {static_cast<Index>(labels.size()), kParameters, measure, labels};
}

ObserverParts teacher_cosines(const ObserverContext& context, const std::string& name) {
  const Teacher teacher(context, name);
  return {teacher.rows.rows * teacher.count,
          kParameters,
          [teacher](const MemberView& member, std::span<double> out) {
            std::size_t at = 0;
            for (Index i = 0; i < teacher.rows.rows; ++i)
              for (Index a = 0; a < teacher.count; ++a) out[at++] = teacher.cosine(member, i, a);
          },
          {}};
}

ObserverParts teacher_alignment(const ObserverContext& context, const std::string& name) {
  const Teacher teacher(context, name);
  std::vector<std::string> labels;
  for (const char* what : {"rms", "largest"})
    for (Index a = 0; a < teacher.count; ++a) labels.push_back(fmt::format("{}, direction {}", what, a + 1));
  const auto measure = [teacher](const MemberView& member, std::span<double> out) {
    std::vector<double> cosines(static_cast<std::size_t>(teacher.rows.rows));
    for (Index a = 0; a < teacher.count; ++a) {
      for (Index i = 0; i < teacher.rows.rows; ++i) cosines[static_cast<std::size_t>(i)] = teacher.cosine(member, i, a);
      const Size size = size_of(cosines);
      out[static_cast<std::size_t>(a)] = size.rms;
      out[static_cast<std::size_t>(teacher.count + a)] = size.largest;
    }
  };
  return {2 * teacher.count, kParameters, measure, labels};
}

ObserverParts order_parameters(const ObserverContext& context, const std::string& name) {
  const Teacher teacher(context, name);
  const Index n = teacher.rows.rows, d = teacher.rows.cols;
  const auto measure = [teacher, n, d](const MemberView& member, std::span<double> out) {
    const double scale = 1.0 / static_cast<double>(d);
    std::size_t at = 0;
    for (Index i = 0; i < n; ++i)
      for (Index j = i; j < n; ++j) out[at++] = scale * dot(teacher.row(member, i), teacher.row(member, j), d);
    for (Index i = 0; i < n; ++i)
      for (Index a = 0; a < teacher.count; ++a)
        out[at++] = scale * dot(teacher.row(member, i), teacher.direction(a), d);
  };
  return {n * (n + 1) / 2 + n * teacher.count, kParameters, measure, {}};
}

}  // namespace widelab::estimators
