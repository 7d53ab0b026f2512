"""How far each operator is laid out in parallel: the cheapest choice for a frame rate, or the fastest that fits."""

from codesign.folding.fastest import fastest
from codesign.folding.problem import Candidate, Chosen, Edge, Problem, join
from codesign.folding.solve import solve

__all__ = ["Candidate", "Chosen", "Edge", "Problem", "fastest", "join", "solve"]
