// Spectra of dot-product kernels K(x, x') = h(<x, x'>) on the unit sphere of R^d: one eigenvalue a degree l,
//   lambda_l = E[h(t) Q_l(t)],  t = first coordinate of a uniform point,  Q_l Gegenbauer with Q_l(1) = 1,
// of multiplicity B(d, l); learning curves have their stairs at these multiplicities. With them kernel regression on
// the sphere is the deterministic equivalent at p = infinity. Sources: Funk 1916 and Hecke 1918 (eigenvalues);
// Bordelon, Canatar and Pehlevan 2020, Ghorbani et al. 2021 (staircase); Misiakiewicz 2022, Hu and Lu 2022 and Xiao et
// al. 2022 (polynomial regime, n of the order of d^l).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "host/theory/deterministic_equivalent.hpp"
#include "widelab/base/types.hpp"
#include "widelab/math/activations.hpp"
#include "widelab/model/parametrization.hpp"

namespace widelab::theory {

inline constexpr int kMostDegrees = 60;
inline constexpr Index kLeastSphereDimension = 3, kMostSphereDimension = 100000;

/// h(cos angle), angle in [0, pi], analytic inside (0, pi/2) and (pi/2, pi): in the angle even the kinks that
/// arc-cosine kernels have at t = +-1 are gone.
struct SphereKernel {
  std::string name;
  std::function<double(double angle)> value;
  /// log of h^(l)(t) / l!, where every derivative is known and positive, else empty. Eigenvalues are then
  /// E[h^(l)] on the sphere of R^(d+2l), an integral without cancellation, right to a relative 1e-12.
  std::function<double(int degree, double t)> log_taylor;
};

SphereKernel exponential_kernel();          ///< exp(t)
SphereKernel inverse_kernel(double pole);   ///< 1 / (1 - t / pole), pole >= 1.01
SphereKernel first_layer_tangent_kernel();  ///< t (pi - arccos t) / (2 pi): ReLU, gradients by the first layer
enum class NetworkKernel { nngp, ntk };
SphereKernel network_kernel(const Network& network, NetworkKernel kind);  ///< inputs of |x|^2 = d

/// "exp", "inverse(c)" or "nt-first-layer"; RecipeError names the nearest one.
SphereKernel parse_sphere_kernel(const std::string& text);

/// B(d, l), the number of spherical harmonics of degree l in R^d; exact below 2^53.
double sphere_multiplicity(Index dimension, int degree);

struct SphereSpectrum {
  std::vector<double> eigenvalue, multiplicity;  ///< of degrees 0 .. L
  double tail = 0;                               ///< sum over l > L of B(d, l) lambda_l
};

/// Eigenvalues by Gauss-Legendre in the angle. Without `log_taylor` they carry an absolute error of about
/// 1e-14 rms(h) / sqrt(B(d, l)); what is below 1e-13 of that is 0 (so that the odd degrees of one hidden ReLU layer are
/// never learned) and its trace counts as tail. RecipeError for d or L out of range, a kernel too steep for the grid,
/// and a negative eigenvalue.
SphereSpectrum sphere_spectrum(const SphereKernel& kernel, Index dimension, int degrees);

/// xi_l = E[sigma(sqrt(d) t) Q_l(t)], l = 0 .. degrees, with the same accuracy and the same rule for zeros.
std::vector<double> funk_hecke(const Activation& activation, Index dimension, int degrees);

/// Spectrum of the features sigma(<theta, x> / sqrt(d)), |x|^2 = |theta|^2 = d: eigenvalues xi_l^2.
SphereSpectrum activation_spectrum(const Activation& activation, Index dimension, int degrees);

/// Groups by degree, with target power E f_l^2 = target_power[l]; powers beyond the spectrum's degrees go to the tail.
FeatureSpectrum with_target(const SphereSpectrum& spectrum, const std::vector<double>& target_power);

/// lambda_l / (lambda_l + nu_2): the expected coefficient of the estimator on degree l, over the target's.
std::vector<double> learned_fractions(const SphereSpectrum& spectrum, double nu2);

/// Kernel regression at n / B(d, l) -> ratio, d -> infinity: degrees below l are learned, those above are noise and
/// ridge.
struct PolynomialRegime {
  double ratio = 1;        ///< psi > 0
  double level_trace = 0;  ///< mu_l = lim B(d, l) lambda_l > 0; of exp: 1 / l!
  double tail_trace = 0;   ///< of the degrees above l
  double ridge = 0;        ///< added to the kernel matrix
  double level_power = 0;  ///< of the target, at degree l
  double tail_power = 0;   ///< and above
  double noise_variance = 0;
};

struct PolynomialRisk {
  double learned = 0;  ///< coefficient of degree l, over the target's
  double effective_ridge = 0, upsilon = 0, excess = 0;
};

/// RecipeError for negative numbers, and where tail_trace + ridge = 0 at ratio = 1 (infinite risk).
PolynomialRisk polynomial_risk(const PolynomialRegime& regime);

/// Least squares on the first-layer tangent features of N ReLU neurons, x_k 1[<w_j, x> > 0], k <= d, x on the unit
/// sphere.
struct NeuralTangentRegression {
  Index dimension = 3;
  double neurons = 1, examples = 1;
  double ridge = 0;  ///< added to the kernel (1/N) sum_j <x, x'> 1[<w_j, x> > 0] 1[<w_j, x'> > 0]
  double noise_variance = 0;
  std::vector<double> target_power;  ///< by degree
  int degrees = 24;
};

/// The same as random features with p = N d and the spectrum of the infinitely wide kernel. A conjecture, for n of the
/// order of d^2: no proof is known; simulated resolvent traces at N d = n deviate by about 1.3 / d (ridge 1e-3). It
/// fails for n of the order of d with few neurons.
FeatureRegression neural_tangent_regression(const NeuralTangentRegression& problem);

}  // namespace widelab::theory
