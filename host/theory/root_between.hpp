// The root of a function of one number. Heavy header: include it in .cpp files only.
#pragma once

#include <boost/math/tools/toms748_solve.hpp>
#include <cstdint>

namespace widelab::theory {

/// The zero of a continuous function that changes its sign between low and high, to `bits` bits (Alefeld, Potra and Shi
/// 1995).
template <class Function>
double root_between(Function&& function, double low, double high, int bits) {
  std::uintmax_t most = 200;
  const auto root =
      boost::math::tools::toms748_solve(function, low, high, boost::math::tools::eps_tolerance<double>(bits), most);
  return 0.5 * (root.first + root.second);
}

}  // namespace widelab::theory
