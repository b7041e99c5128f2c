"""NTK duel, neural-tangents' structured derivatives, its fastest implementation for dense networks."""
from neural_tangents_peer import duel, nt

duel("neural-tangents, structured derivatives", nt.NtkImplementation.STRUCTURED_DERIVATIVES)
