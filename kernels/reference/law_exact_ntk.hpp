// The law-exact sampler with its streams exposed, so that a test can plant the fault of a stream used twice.
#pragma once

#include "widelab/ops/law_exact_ntk.hpp"

namespace widelab::reference {

struct LawExactStreams {
  Stream forward = Stream::law_exact_forward;
  Stream backward = Stream::law_exact_backward;
};

void law_exact_ntk(const LawExactProblem& problem, const LawExactStreams& streams);

}  // namespace widelab::reference
