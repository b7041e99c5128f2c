#include "host/estimators/observers.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "host/estimators/observer_parts.hpp"
#include "widelab/base/contract.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/base/nearest.hpp"

namespace widelab::estimators {
namespace {

constexpr Index kMostEntries = 100'000'000;

struct Row {
  const char* name;
  ObserverParts (*make)(const ObserverContext& context, const std::string& name);
  const char* doc;
};

constexpr std::array kRows{
    Row{"train_loss", train_loss,
        "loss on the member's own data set, reduced as the training loss is with all examples in the batch"},
    Row{"train_error", train_error, "share of the member's own data set that is misclassified"},
    Row{"test_loss", test_loss, "loss on the test inputs, reduced in the same way"},
    Row{"test_error", test_error, "share of the test inputs that is misclassified"},
    Row{"outputs", probe_outputs, "network outputs on the probe inputs: input by input, output by output"},
    Row{"output_products", output_products,
        "(f_i - mu_i)(f_j - mu_j) of all pairs i <= j of probe outputs, mu given: their mean is a covariance"},
    Row{"displacement", displacement,
        "distance from the initial weights: rms over each layer's weights and over all parameters, then the largest "
        "modulus of each"},
    Row{"weight_singular_values", weight_singular_values,
        "singular values of each layer's weight matrix as stored (without forward multipliers), largest first"},
    Row{"teacher_cosines", teacher_cosines,
        "w_i . v_a / (|w_i| |v_a|) of every first-layer row w_i with every direction v_a; 0 for a zero row"},
    Row{"teacher_alignment", teacher_alignment,
        "for every direction: rms of these cosines over the rows, then their largest modulus"},
    Row{"order_parameters", order_parameters,
        "Q_ij = w_i . w_j / d for rows i <= j of the first layer, then R_ia = w_i . v_a / d (Saad and Solla 1995)"},
    Row{"ntk", ntk_entries, "empirical tangent kernel on the kernel inputs, mean over outputs: entries i <= j"},
    Row{"ntk_change", ntk_change, "|Theta_t - Theta_0| / |Theta_0|, Frobenius norms; absolute where Theta_0 = 0"},
    Row{"ntk_spectrum", ntk_spectrum, "eigenvalues of the empirical tangent kernel, largest first"},
    Row{"ntk_least_eigenvalue", ntk_least_eigenvalue, "smallest eigenvalue of the empirical tangent kernel"},
    Row{"ntk_effective_rank", ntk_effective_rank,
        "participation ratio (tr Theta)^2 / tr(Theta^2), and exp(-sum p log p), p = eigenvalues / trace (Roy and "
        "Vetterli 2007)"},
    Row{"ntk_alignment", ntk_alignment,
        "tr(y^T Theta y) / (|Theta|_F |y|_F^2), y the targets of the kernel inputs (Cristianini et al. 2001, "
        "uncentred)"},
    Row{"agop_spectrum", agop_spectrum,
        "eigenvalues of the average gradient outer product (1/N) sum over inputs and outputs of grad_x f grad_x f^T "
        "(Radhakrishnan et al. 2024), largest first"},
    Row{"agop_alignment", agop_alignment, "v_a^T G v_a / (|v_a|^2 tr G), G that product, for every direction v_a"},
};

class NamedObserver final : public engine::Observer {
 public:
  NamedObserver(std::string name, ObserverParts parts) : name_(std::move(name)), parts_(std::move(parts)) {}
  std::string name() const override { return name_; }
  Index entries() const override { return parts_.entries; }
  engine::ObserverNeeds needs() const override { return parts_.needs; }
  std::vector<std::string> entry_labels() const override { return parts_.labels; }
  void observe(const engine::MemberView& member, std::span<double> out) const override {
    WIDELAB_REQUIRE(static_cast<Index>(out.size()) == parts_.entries, "observer " + name_ + ": room for its entries");
    parts_.measure(member, out);
  }

 private:
  std::string name_;
  ObserverParts parts_;
};

}  // namespace

void require_context(bool there, const std::string& name, const std::string& what) {
  if (!there) throw RecipeError("observer \"" + name + "\" needs " + what + ": give them, or leave the observer out");
}

std::vector<ObserverDoc> observer_list() {
  std::vector<ObserverDoc> list;
  for (const Row& row : kRows) list.push_back({row.name, row.doc});
  return list;
}

std::shared_ptr<const engine::Observer> make_observer(const std::string& name, const ObserverContext& context) {
  std::vector<std::string> names;
  for (const Row& row : kRows) {
    names.emplace_back(row.name);
    if (row.name != name) continue;
    ObserverParts parts = row.make(context, name);
    if (parts.entries > kMostEntries)
      throw RecipeError(
          fmt::format("observer \"{}\" has {} numbers a member and time: at most {}; take fewer inputs, "
                      "a narrower network, or a smaller count of leading values",
                      name, parts.entries, kMostEntries));
    return std::make_shared<NamedObserver>(name, std::move(parts));
  }
  throw RecipeError("there is no observer \"" + name + "\"; did you mean \"" + nearest_name(name, names) + "\"?");
}

}  // namespace widelab::estimators
