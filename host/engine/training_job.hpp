// A cell of a training experiment: batches of members trained through a list of observed steps, observers on the way.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "host/engine/segmented_job.hpp"
#include "host/engine/trainer.hpp"

namespace widelab::engine {

/// What observers are given of one member at one observed step. Spans are empty where no observer needs them.
struct MemberView {
  Index member = 0;             ///< in its batch
  std::uint32_t replicate = 0;  ///< in the cell
  Index step = 0;
  std::size_t time = 0;                   ///< position of `step` in the list of observed steps
  std::span<const double> outputs;        ///< N x k on the evaluation inputs, now
  std::span<const double> first_outputs;  ///< the same at step 0
  std::span<const double> ntk;            ///< N x N trace kernel on the kernel inputs, now
  std::span<const double> first_ntk;      ///< the same at step 0
  std::span<const double> parameters, start, displacement;
};

struct ObserverNeeds {
  bool outputs = false, ntk = false, parameters = false;
};

/// A measurement of `entries()` numbers of a member at every observed step. Stateless between members.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual std::string name() const = 0;
  virtual Index entries() const = 0;
  virtual ObserverNeeds needs() const = 0;
  virtual void observe(const MemberView& member, std::span<double> out) const = 0;
};

struct TrainingSpec {
  TrainTask task;  ///< without members
  Index replicates = 1;
  std::function<MemberSettings(std::uint32_t replicate)> member;  ///< pure
  std::vector<Index> observed;            ///< increasing absolute steps; the last one ends the training
  std::vector<double> evaluation_inputs;  ///< N x d: where outputs are taken
  Index evaluation_count = 0;
  std::vector<double> kernel_inputs;  ///< N x d: where the NTK is taken
  Index kernel_count = 0;
  std::vector<std::shared_ptr<const Observer>> observers;
  double converged_loss = 0;  ///< a member whose training loss at an observed step is below it stops; 0 = off
  Index members_at_once = 0;  ///< 0: as many as fit
};

}  // namespace widelab::engine
