// Eigenvalues of the covariance of Gaussian inputs.
#pragma once

#include <string>
#include <vector>

#include "host/data/data_spec.hpp"
#include "host/data/name_doc.hpp"

namespace widelab::data {

/// Names and one-line descriptions of the spectra.
std::vector<NameDoc> spectrum_list();

/// Eigenvalue of each of the d coordinates (the coordinate axes are the eigenvectors), largest first except for
/// "file", whose order is kept:
///   isotropic   1
///   power-law   c j^-exponent, j = 1 .. d, c such that the mean eigenvalue is 1
///   spiked      1 + strength for the first `spikes` coordinates, 1 for the others (trace not normalised)
///   two-scale   round(fraction d) coordinates have `ratio` times the eigenvalue of the others; mean eigenvalue 1
///   file        the numbers of the .npy file spectrum_path, as they are
/// RecipeError for an unknown name or a parameter out of range, DataError for a bad file.
std::vector<double> gaussian_eigenvalues(const DataSpec& spec);

}  // namespace widelab::data
