#include "host/theory/laws.hpp"
#include "host/theory/regression_values.hpp"

namespace widelab::theory {
namespace {

std::vector<NamedValue> evaluate(const Params& params, const std::vector<ParamDoc>& network) {
  const Index d = params.count("d", kLeastSphereDimension);
  const std::string& name = params.text("kernel");
  MlpShape shape;
  shape.input_dim = d;
  const SphereKernel kernel =
      name == "nngp" || name == "ntk"
          ? network_kernel(network_of(params, network, shape), name == "ntk" ? NetworkKernel::ntk : NetworkKernel::nngp)
          : parse_sphere_kernel(name);
  const SphereSpectrum spectrum = sphere_spectrum(kernel, d, read_degrees(params));
  FeatureRegression regression;
  regression.spectrum = with_target(spectrum, read_target(params));
  regression.examples = params.number("n");
  regression.ridge = params.number_at_least("ridge", 0.0);
  regression.noise_variance = params.number_at_least("noise", 0.0);
  const RegressionRisk risk = regression_risk(regression);
  std::vector<NamedValue> values = risk_values(risk, regression.noise_variance);
  append(values, degree_values(spectrum, risk.nu2));
  return values;
}

}  // namespace

TheoryEntry kernel_regression_entry() {
  const std::vector<ParamDoc> network =
      network_docs({"depth", "activation", "sigma_w2", "sigma_b2", "bias_init_std", "train_bias", "parametrization",
                    "width", "residual", "layer_norm"});
  TheoryEntry entry;
  entry.name = "kernel-regression";
  entry.description =
      "Kernel ridge regression on the sphere: errors, and what is learned of each degree (`learned`, of the target's "
      "coefficient), with eigenvalues and multiplicities, at which the stairs of the learning curve stand.";
  entry.source =
      "Bordelon, Canatar and Pehlevan 2020; Defilippis, Loureiro and Misiakiewicz 2024 at p = infinity; Funk-Hecke "
      "spectra";
  entry.domain =
      "inputs uniform on the unit sphere (nngp, ntk: |x|^2 = d), dot-product kernels, n large; a small bias is left "
      "at n below d";
  entry.params =
      std::vector<ParamDoc>{{"kernel", "exp", "exp, inverse(c) = 1 / (1 - t/c), nt-first-layer, nngp or ntk"},
                            {"d", "20", "input dimension, at least 3"},
                            {"n", "210", "number of examples"},
                            {"ridge", "1e-6", "added to the diagonal of the kernel matrix"},
                            {"noise", "0.05", "variance of the label noise"},
                            target_doc("0:0.4:0.3:0.2:0.1"),
                            degrees_doc()} +
      network;
  for (ParamDoc& doc : entry.params)
    if (doc.name == "depth" || doc.name == "activation") doc.meaning += " (of nngp and ntk)";
  entry.evaluate = [network](const Params& params) { return evaluate(params, network); };
  return entry;
}

}  // namespace widelab::theory
