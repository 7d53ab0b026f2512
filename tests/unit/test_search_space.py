"""The space of widths, by hand-counted examples."""

import pytest

from codesign.search.coordinates import Coordinates
from codesign.search.space import ActivationLayer, Assignment, Space, WeightLayer

SPACE = Space(
    layers=(
        WeightLayer("a", channels=2, weights=9, macs=90, kernel=3, size=3, input_bits=8),
        WeightLayer("b", channels=3, weights=4, macs=4, activation="x"),
    ),
    activations=(ActivationLayer("x", channels=4, elements=4),),
    schemes=("uniform", "post"),
    fixed_bit_operations=1000,
)
CHOSEN = Assignment({"a": (0, 3), "b": (1, 2, 8)}, {"x": 4})


def test_bit_operations_are_those_counted_by_hand():
    assert SPACE.bit_operations(CHOSEN) == 1000 + 90 * 8 * (0 + 3) + 4 * 4 * (1 + 2 + 8)
    assert SPACE.bit_operations(SPACE.uniform(3, 4)) == 1000 + 90 * 8 * 6 + 4 * 4 * 9


def test_a_point_of_the_space_is_accepted_and_has_a_digest_of_its_own():
    SPACE.check(CHOSEN)
    same = Assignment({"b": (1, 2, 8), "a": (0, 3)}, {"x": 4})
    other = Assignment({"b": (1, 2, 8), "a": (3, 0)}, {"x": 4})
    assert same.digest() == CHOSEN.digest() != other.digest()


@pytest.mark.parametrize(
    ("weights", "activations", "schemes", "sentence"),
    [
        ({"a": (0, 3)}, {"x": 4}, {}, "the weight layer b has no width"),
        ({"a": (0, 3), "b": (1, 2, 8), "c": (1,)}, {"x": 4}, {}, "there is no weight layer c"),
        ({"a": (0,), "b": (1, 2, 8)}, {"x": 4}, {}, "a has 2 output channels, but 1 widths are given"),
        ({"a": (0, 9), "b": (1, 2, 8)}, {"x": 4}, {}, "a cannot have weights of 9 bits here"),
        ({"a": (0, 3), "b": (1, 2, 8)}, {"x": 0}, {}, "x cannot have 0 bits here"),
        ({"a": (0, 3), "b": (1, 2, 8)}, {}, {}, "the activation x has no width"),
        ({"a": (0, 3), "b": (1, 2, 8)}, {"x": 4}, {"q": "post"}, "there is no weight layer q"),
        ({"a": (0, 3), "b": (1, 2, 6)}, {"x": 4}, {"b": "post"}, "b cannot have weights of 6 bits of the kind 'post'"),
        ({"a": (0, 3), "b": (1, 2, 8)}, {"x": 4}, {"a": "odd"}, "a cannot have weights of the kind 'odd' here"),
    ],
)
def test_what_is_no_point_of_the_space_is_refused(weights, activations, schemes, sentence):
    with pytest.raises(ValueError, match=sentence):
        SPACE.check(Assignment(weights, activations, schemes))


def test_post_weights_have_at_most_five_bits():
    assert SPACE.widths("post") == (0, 1, 2, 3, 4, 5)
    assert SPACE.widths("uniform") == SPACE.weight_bits
    SPACE.check(Assignment({"a": (0, 5), "b": (1, 2, 8)}, {"x": 4}, {"a": "post"}))
    coordinates = Coordinates(SPACE)
    widths = coordinates.flatten(CHOSEN)
    assert coordinates.assignment(widths, {"a": "post", "b": "post"}).schemes == {"a": "post"}
