// Activation functions: one functor for each, with value and two derivatives, and a small tagged box that carries any
// of them to host and device loops. A new activation is one functor and one entry in AllActivations.
#pragma once

#include <cmath>
#include <cstring>
#include <type_traits>

#include "widelab/base/host_device.hpp"
#include "widelab/base/types.hpp"
#include "widelab/math/portable.hpp"

namespace widelab {

// A functor has value(z), first(z) = phi'(z), second(z) = phi''(z) for float and double; kKinked marks functions whose
// derivative jumps at 0 (no other kink is allowed: the quadratures of gaussian_moments.hpp split at 0). Members are
// numbers without padding, so that two functors are equal exactly when their bytes are.

/// z.
struct Identity {
  static constexpr const char kName[] = "identity";
  static constexpr bool kKinked = false;
  template <class T>
  WIDELAB_HD T value(T z) const {
    return z;
  }
  template <class T>
  WIDELAB_HD T first(T) const {
    return T(1);
  }
  template <class T>
  WIDELAB_HD T second(T) const {
    return T(0);
  }
};

/// max(z, 0), with relu'(0) = 0 everywhere in widelab. NaN stays NaN.
struct Relu {
  static constexpr const char kName[] = "relu";
  static constexpr bool kKinked = true;
  template <class T>
  WIDELAB_HD T value(T z) const {
    return z < T(0) ? T(0) : z;
  }
  template <class T>
  WIDELAB_HD T first(T z) const {
    return z > T(0) ? T(1) : T(0);
  }
  template <class T>
  WIDELAB_HD T second(T) const {
    return T(0);
  }
};

/// a min(z, 0) + b max(z, 0), with derivative 0 at z = 0; leaky ReLU is b = 1, the absolute value a = -1, b = 1.
struct AbRelu {
  static constexpr const char kName[] = "ab-relu";
  static constexpr bool kKinked = true;
  double a = 0.0;
  double b = 1.0;
  template <class T>
  WIDELAB_HD T value(T z) const {
    return (z < T(0) ? static_cast<T>(a) : static_cast<T>(b)) * z;
  }
  template <class T>
  WIDELAB_HD T first(T z) const {
    return z > T(0) ? static_cast<T>(b) : (z < T(0) ? static_cast<T>(a) : T(0));
  }
  template <class T>
  WIDELAB_HD T second(T) const {
    return T(0);
  }
};

/// erf(z).
struct Erf {
  static constexpr const char kName[] = "erf";
  static constexpr bool kKinked = false;
  template <class T>
  WIDELAB_HD T value(T z) const {
    return portable::erf(z);
  }
  template <class T>
  WIDELAB_HD T first(T z) const {
    return T(1.1283791670955126) * portable::exp_minus_square(z);  // 2 / sqrt(pi)
  }
  template <class T>
  WIDELAB_HD T second(T z) const {
    return T(-2) * z * first(z);
  }
};

/// z Phi(z), Phi the normal distribution function (Hendrycks and Gimpel 2016); not the tanh approximation.
struct Gelu {
  static constexpr const char kName[] = "gelu";
  static constexpr bool kKinked = false;
  template <class T>
  WIDELAB_HD T value(T z) const {
    return z * portable::normal_cdf(z);
  }
  template <class T>
  WIDELAB_HD T first(T z) const {
    return portable::normal_cdf(z) + z * portable::normal_density(z);
  }
  template <class T>
  WIDELAB_HD T second(T z) const {
    return portable::normal_density(z) * (T(2) - z * z);
  }
};

/// tanh(z).
struct Tanh {
  static constexpr const char kName[] = "tanh";
  static constexpr bool kKinked = false;
  template <class T>
  WIDELAB_HD T value(T z) const {
    return portable::tanh(z);
  }
  /// 1 / cosh(z)^2 = 4 e / (1 + e)^2, e = exp(-2|z|): no cancellation where tanh is close to 1.
  template <class T>
  WIDELAB_HD T first(T z) const {
    const T e = portable::exp(z < T(0) ? T(2) * z : T(-2) * z);
    const T root = T(1) + e;
    return T(4) * e / (root * root);
  }
  template <class T>
  WIDELAB_HD T second(T z) const {
    return T(-2) * portable::tanh(z) * first(z);
  }
};

/// sin(z).
struct Sin {
  static constexpr const char kName[] = "sin";
  static constexpr bool kKinked = false;
  template <class T>
  WIDELAB_HD T value(T z) const {
    return portable::sin(z);
  }
  template <class T>
  WIDELAB_HD T first(T z) const {
    return portable::cos(z);
  }
  template <class T>
  WIDELAB_HD T second(T z) const {
    return -portable::sin(z);
  }
};

/// cos(z).
struct Cos {
  static constexpr const char kName[] = "cos";
  static constexpr bool kKinked = false;
  template <class T>
  WIDELAB_HD T value(T z) const {
    return portable::cos(z);
  }
  template <class T>
  WIDELAB_HD T first(T z) const {
    return -portable::sin(z);
  }
  template <class T>
  WIDELAB_HD T second(T z) const {
    return -portable::cos(z);
  }
};

/// z^2.
struct Quadratic {
  static constexpr const char kName[] = "quadratic";
  static constexpr bool kKinked = false;
  template <class T>
  WIDELAB_HD T value(T z) const {
    return z * z;
  }
  template <class T>
  WIDELAB_HD T first(T z) const {
    return T(2) * z;
  }
  template <class T>
  WIDELAB_HD T second(T) const {
    return T(2);
  }
};

/// sum_{k <= degree} c_k h_k(z), h_k = He_k / sqrt(k!) the normalised probabilists' Hermite polynomials, so that
/// E[phi(g)^2] = sum c_k^2 for g ~ N(0, 1). Coefficients above `degree` are ignored and should be 0.
struct HermiteSeries {
  static constexpr const char kName[] = "hermite-series";
  static constexpr bool kKinked = false;
  static constexpr int kMaxDegree = 15;
  double c[kMaxDegree + 1] = {};
  Index degree = 0;

  friend bool operator==(const HermiteSeries&, const HermiteSeries&) = default;

  /// phi, phi' and phi'' by h_{k+1} = (z h_k - sqrt(k) h_{k-1}) / sqrt(k+1) and h_k' = sqrt(k) h_{k-1}.
  template <class T>
  WIDELAB_HD void evaluate(T z, T& phi, T& slope, T& curvature) const {
    T h = T(1), previous = T(0), before = T(0);  // h_k, h_{k-1}, h_{k-2}
    T root = T(0), root_before = T(0);           // sqrt(k), sqrt(k-1)
    phi = slope = curvature = T(0);
    for (Index k = 0;; ++k) {
      const T ck = static_cast<T>(c[k]);
      phi += ck * h;
      slope += ck * root * previous;
      curvature += ck * root * root_before * before;
      if (k == degree) return;
      const T next_root = static_cast<T>(sqrt(static_cast<double>(k + 1)));
      const T next = (z * h - root * previous) / next_root;
      before = previous;
      previous = h;
      h = next;
      root_before = root;
      root = next_root;
    }
  }
  template <class T>
  WIDELAB_HD T value(T z) const {
    T phi, slope, curvature;
    evaluate(z, phi, slope, curvature);
    return phi;
  }
  template <class T>
  WIDELAB_HD T first(T z) const {
    T phi, slope, curvature;
    evaluate(z, phi, slope, curvature);
    return slope;
  }
  template <class T>
  WIDELAB_HD T second(T z) const {
    T phi, slope, curvature;
    evaluate(z, phi, slope, curvature);
    return curvature;
  }
};

/// The single normalised Hermite polynomial h_k, 0 <= k <= HermiteSeries::kMaxDegree.
WIDELAB_HD HermiteSeries hermite(int k) {
  HermiteSeries series;
  series.c[k] = 1.0;
  series.degree = k;
  return series;
}

template <class... A>
struct ActivationList {
  static constexpr int kSize = static_cast<int>(sizeof...(A));
};

/// Every activation that widelab knows; the position is Activation::kind.
using AllActivations = ActivationList<Relu, Identity, AbRelu, Erf, Gelu, Tanh, Sin, Cos, Quadratic, HermiteSeries>;

namespace activation_list {

/// Position of F in the list, -1 if it is not there.
template <class F, class... A>
constexpr int position(ActivationList<A...>) {
  int index = 0, found = -1;
  ((found = (found < 0 && std::is_same_v<F, A>) ? index : found, ++index), ...);
  return found;
}

template <int I, class Head, class... Tail>
constexpr auto type_at(ActivationList<Head, Tail...>) {
  if constexpr (I == 0) {
    return Head{};
  } else {
    return type_at<I - 1>(ActivationList<Tail...>{});
  }
}

template <class... A>
constexpr std::size_t largest(ActivationList<A...>) {
  std::size_t size = 0;
  ((size = sizeof(A) > size ? sizeof(A) : size), ...);
  return size;
}

template <int I>
using TypeAt = decltype(type_at<I>(AllActivations{}));
template <class F>
inline constexpr int kPosition = position<F>(AllActivations{});

}  // namespace activation_list

/// Any activation, by value: trivially copyable, so that it passes to kernels as it is. Default: Relu.
class Activation {
 public:
  WIDELAB_HD Activation() : Activation(Relu{}) {}

  template <class F, class = std::enable_if_t<(activation_list::kPosition<F> >= 0)>>
  WIDELAB_HD Activation(const F& functor) : kind_(activation_list::kPosition<F>) {
    static_assert(std::is_trivially_copyable_v<F> && alignof(F) <= alignof(double));
    if constexpr (!std::is_empty_v<F>) memcpy(bytes_, &functor, sizeof(F));
  }

  WIDELAB_HD int kind() const { return kind_; }

  /// The functor; meaningful only if kind() is F's position in AllActivations.
  template <class F>
  WIDELAB_HD F as() const {
    F functor{};
    if constexpr (!std::is_empty_v<F>) memcpy(&functor, bytes_, sizeof(F));
    return functor;
  }

  friend bool operator==(const Activation& x, const Activation& y) {
    return x.kind_ == y.kind_ && memcmp(x.bytes_, y.bytes_, sizeof x.bytes_) == 0;
  }

 private:
  alignas(double) unsigned char bytes_[activation_list::largest(AllActivations{})] = {};
  int kind_;
};

namespace activation_list {

#if defined(__CUDACC__)
#pragma nv_exec_check_disable
#endif
template <int I, class F>
WIDELAB_HD decltype(auto) visit_from(const Activation& activation, F& f) {
  using Functor = TypeAt<I>;
  if constexpr (I + 1 == AllActivations::kSize) {
    return f(activation.as<Functor>());
  } else {
    if (activation.kind() == I) return f(activation.as<Functor>());
    return visit_from<I + 1>(activation, f);
  }
}

}  // namespace activation_list

/// f(functor) with the concrete type; f must return the same type for every activation. Visit once, outside the loop
/// over units, so that the loop is compiled for each activation.
#if defined(__CUDACC__)
#pragma nv_exec_check_disable
#endif
template <class F>
WIDELAB_HD decltype(auto) visit(const Activation& activation, F&& f) {
  return activation_list::visit_from<0>(activation, f);
}

}  // namespace widelab
