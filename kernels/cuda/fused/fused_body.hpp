// What one block does for one member: its state comes to shared memory, is trained there, and goes back. Written
// against a Team (tile_block.hpp), so that a host can run it with threads of its own.
#pragma once

#include "kernels/cuda/fused/fused_plan.hpp"
#include "kernels/shared/train_fused.hpp"

namespace widelab::cuda {

template <class T, class Team>
WIDELAB_HD void copy_values(const Team& team, const T* from, Index count, T* to) {
  for (Index i = team.rank(); i < count; i += team.size()) to[i] = from[i];
}

/// `home`: the member with its state in slow memory; `shared`: shared_layout(..).size scalars and `here` a FusedMember,
/// both seen by the whole team.
template <class T, class Team>
WIDELAB_HD void train_in_shared(const Team& team, const FusedMember<T>& home, const FusedRule& rule, T* shared,
                                FusedMember<T>& here) {
  const int moments = moment_count(rule.update.kind);
  const SharedLayout at =
      shared_layout(*home.network, home.settings.batch, team.size(), moments, home.displacement != nullptr);
  const Index size = home.network->parameters;
  if (team.rank() == 0) {
    here = home;
    here.rule = &rule;
    here.parameters = shared + at.parameters;
    if (home.displacement) here.displacement = shared + at.displacement;
    if (moments > 0) here.moments = shared + at.moments;
    here.workspace = shared + at.workspace;
  }
  copy_values(team, static_cast<const T*>(home.parameters), size, shared + at.parameters);
  if (home.displacement) copy_values(team, static_cast<const T*>(home.displacement), size, shared + at.displacement);
  if (moments > 0) copy_values(team, static_cast<const T*>(home.moments), moments * size, shared + at.moments);
  team.sync();
  TileBlock<T, Team> block(team, shared);
  train_fused_member(block, here);
  team.sync();
  copy_values(team, static_cast<const T*>(shared + at.parameters), size, home.parameters);
  if (home.displacement) copy_values(team, static_cast<const T*>(shared + at.displacement), size, home.displacement);
  if (moments > 0) copy_values(team, static_cast<const T*>(shared + at.moments), moments * size, home.moments);
}

}  // namespace widelab::cuda
