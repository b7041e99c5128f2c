"""NTK duel, neural-tangents' default implementation (0.6.5: Jacobian contraction)."""
from neural_tangents_peer import duel, nt

duel("neural-tangents, default (Jacobian contraction)", nt.NtkImplementation.JACOBIAN_CONTRACTION)
