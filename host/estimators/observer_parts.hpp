// What observers are made of; internal to this folder.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "host/estimators/observers.hpp"

namespace widelab::estimators {

/// An observer without its name. `measure` is called by several threads at once.
struct ObserverParts {
  Index entries = 0;
  engine::ObserverNeeds needs;
  std::function<void(const engine::MemberView& member, std::span<double> out)> measure;
  std::vector<std::string> labels;
};

/// RecipeError: observer `name` needs `what`.
void require_context(bool there, const std::string& name, const std::string& what);

// Each takes the observer's name for its messages; what they measure stands in observer_list().
ObserverParts train_loss(const ObserverContext& context, const std::string& name);
ObserverParts train_error(const ObserverContext& context, const std::string& name);
ObserverParts test_loss(const ObserverContext& context, const std::string& name);
ObserverParts test_error(const ObserverContext& context, const std::string& name);
ObserverParts probe_outputs(const ObserverContext& context, const std::string& name);
ObserverParts output_products(const ObserverContext& context, const std::string& name);

ObserverParts displacement(const ObserverContext& context, const std::string& name);
ObserverParts weight_singular_values(const ObserverContext& context, const std::string& name);
ObserverParts teacher_cosines(const ObserverContext& context, const std::string& name);
ObserverParts teacher_alignment(const ObserverContext& context, const std::string& name);
ObserverParts order_parameters(const ObserverContext& context, const std::string& name);

ObserverParts ntk_entries(const ObserverContext& context, const std::string& name);
ObserverParts ntk_change(const ObserverContext& context, const std::string& name);
ObserverParts ntk_spectrum(const ObserverContext& context, const std::string& name);
ObserverParts ntk_least_eigenvalue(const ObserverContext& context, const std::string& name);
ObserverParts ntk_effective_rank(const ObserverContext& context, const std::string& name);
ObserverParts ntk_alignment(const ObserverContext& context, const std::string& name);

ObserverParts agop_spectrum(const ObserverContext& context, const std::string& name);
ObserverParts agop_alignment(const ObserverContext& context, const std::string& name);

}  // namespace widelab::estimators
