// Every experiment, one line each.
#pragma once

#include "host/experiments/experiment.hpp"

namespace widelab::experiments {

const Experiment& ntk_limit();     // ntk_limit.cpp: kernels of finite networks against their infinite-width limits
const Experiment& ntk_map();       // ntk_map.cpp: fluctuations of the NTK over depth and width
const Experiment& train();         // train.cpp: observers along the training of an ensemble, without predictions
const Experiment& ntk_dynamics();  // ntk_dynamics.cpp: trained networks against their linearisation
const Experiment& kernel_drift();  // kernel_drift.cpp: how far training moves the kernel and the weights
const Experiment& coord_check();   // coord_check.cpp: movement of pre-activations over widths; learning-rate transfer
const Experiment& trained_double_descent();  // trained_double_descent.cpp: risk of trained networks and linearisations
const Experiment& staircase();               // staircase.cpp: learning curves on the sphere, degree by degree
const Experiment& lazy_gap();        // lazy_gap.cpp: hidden directions found by networks, linearisations, regressions
const Experiment& double_descent();  // double_descent.cpp: risk of feature regressions, with every term of the variance
const Experiment& pool_regression();          // pool_regression.cpp: regression on real data and its equivalent
const Experiment& activity_weight_duality();  // activity_weight_duality.cpp: what the generalisation gap is made of
const Experiment&
sharpness_and_batch();             // sharpness_and_batch.cpp: flatness over batch sizes, with its negative control
const Experiment& effective_landscape();  // effective_landscape.cpp: what noise that depends on the place adds
const Experiment& epoch_bridge();  // epoch_bridge.cpp: noise across replicas within an epoch
const Experiment& mislabelled_phases();  // mislabelled_phases.cpp: in which order right and wrong labels are learned
const Experiment& transient_freezing();  // transient_freezing.cpp: until when the noise of SGD chooses the minimum
const Experiment& langevin();            // langevin.cpp: posteriors of networks sampled by Langevin dynamics
const Experiment& variance_flatness();   // variance_flatness.cpp: variances of weights against flatness of the loss
const Experiment& sgd_stationary();      // sgd_stationary.cpp: chains of SGD on a solvable loss and their exact law

}  // namespace widelab::experiments
