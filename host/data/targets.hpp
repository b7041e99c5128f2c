// Targets: the functions of the inputs that networks are to learn, and what is known of them exactly.
#pragma once

#include <optional>
#include <vector>

#include "host/data/data_spec.hpp"
#include "host/data/dataset.hpp"
#include "host/data/law_table.hpp"
#include "host/data/name_doc.hpp"
#include "widelab/rng/replicate_ids.hpp"

namespace widelab::data {

/// Kinds of target with one line of explanation. With u a random unit direction and t = <u, x>:
///   none           no targets
///   classes        the labels of the data (or mixture components), coded by label_coding
///   random-labels  independent uniform labels, coded by label_coding
///   file           rows of the .npy file target.path
///   linear         y = t, |u| = 1
///   hermite        y = sum_k c_k h_k(t), h_k orthonormal for N(0,1); t scaled to unit variance for Gaussian laws
///   gegenbauer     y = sum_k c_k P_k(t), P_k orthonormal on the sphere of radius sqrt(d); needs inputs on that sphere
///   single-index   y = link(t), t as for hermite, link an activation
///   multi-index    y = sum_r sum_k c_rk h_k(t_r), t_r along directions orthonormal in the covariance
///   teacher        the outputs of a random network
/// With several outputs each has directions of its own.
std::vector<NameDoc> target_list();

/// Directions of the targets of kinds linear .. multi-index: (outputs x directions of one output) x d, row-major; unit
/// vectors for linear and gegenbauer, orthonormal in the metric coordinate_variances(spec) for the other kinds. Empty
/// for targets without directions. RecipeError for an unknown kind or impossible parameters.
std::vector<double> target_directions(const DataSpec& spec, DrawId data_id, Index dimension);

/// E[(degree-k part of output `output`)^2] under the law of the inputs, k = 0, 1, ..., noise left out: orthogonal
/// polynomials of total degree k for Gaussian laws (Hermite), spherical harmonics of degree k on the sphere. Each entry
/// is exact; all degrees are given, but for a link that is no polynomial only those up to max_degree (at most 300).
/// Empty where nothing is known: preprocessed inputs (but an isotropic Gaussian scaled to the sphere is uniform on it),
/// files, links that are no polynomials on the sphere, teachers, and anything but linear targets on mixtures and
/// hypercubes.
std::optional<std::vector<double>> power_by_degree(const DataSpec& spec, DrawId data_id, Index output = 0,
                                                   int max_degree = 60);

/// Fills set.targets and set.outputs from spec.target, noise left out. `raw` is what the law gave; set.inputs are the
/// preprocessed inputs. RecipeError, DataError.
void make_targets(const DataSpec& spec, DrawId data_id, const RawExamples& raw, Dataset& set);

/// With probability target.wrong_labels (53-bit draw (first + example, 0) of stream wrong_labels) an example's class in
/// `raw` becomes another one, uniform over the others (draw (first + example, 1)). RecipeError where there are no
/// labels.
void mislabel(const DataSpec& spec, DrawId label_noise_id, RawExamples& raw);

/// Adds target.noise times the N(0,1) draw (first + example, output) of stream label_noise to every target.
void add_label_noise(const DataSpec& spec, DrawId label_noise_id, Dataset& set);

}  // namespace widelab::data
