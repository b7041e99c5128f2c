#include "host/theory/coordinate_check.hpp"
#include "host/theory/laws.hpp"

namespace widelab::theory {

TheoryEntry coordinate_check_entry() {
  std::vector<ParamDoc> shape = network_docs({"parametrization", "depth"});
  shape.back().fallback = std::string("2");
  shape.front().meaning = std::string("ntk, standard, mup or mean-field (mup where depth > 1)");
  TheoryEntry entry;
  entry.name = "coordinate-check";
  entry.description =
      "Powers of the width by which one training step moves the first layer, the hidden layers and the "
      "output, at the parametrisation's own learning rates.";
  entry.source = "derived in host/theory/coordinate_check.hpp; Yang and Hu 2021, Everett et al. 2024";
  entry.domain =
      "smooth or ReLU activations, fixed data, n -> infinity; later steps too unless an exponent is positive; "
      "adam: first step, gradients far above epsilon; sign: as adam";
  entry.params = shape + std::vector<ParamDoc>{
                             {"optimiser", "sgd", "sgd (with or without momentum), adam or sign"},
                             {"rates", "table", "table (relative rates n^c of the parametrisation) or plain (all 1)"},
                             {"rate_power", "0", "learning rate eta n^rate_power; -1 makes standard stable under sgd"},
                             {"biases", "true", "whether all layers have trained biases"}};
  entry.evaluate = [](const Params& params) -> std::vector<NamedValue> {
    CoordinateCase setting;
    setting.parametrization = read_parametrization(params);
    setting.depth = params.count("depth", 1);
    setting.step = params.choice("optimiser", {"sgd", "adam", "sign"}) == 0 ? StepKind::sgd : StepKind::adam;
    setting.table_rates = params.choice("rates", {"table", "plain"}) == 0;
    setting.rate_power = params.number("rate_power");
    setting.biases = params.flag("biases");
    const CoordinateExponents e = coordinate_exponents(setting);
    return {{"dz_input", e.first_layer}, {"dz_hidden", e.hidden_layers}, {"df", e.output}, {"f_0", e.initial_output}};
  };
  return entry;
}

}  // namespace widelab::theory
