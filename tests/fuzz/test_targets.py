"""Every target on its seeds, and on mutations of them that a seeded random makes: no atheris."""

import importlib
from random import Random

import pytest
from material import mutated

from run import TARGETS

MUTATIONS = 300


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_holds_on_its_seeds_and_near_them(target):
    module = importlib.import_module(f"targets.{target}")
    seeds = module.seeds()
    random = Random(target)
    for seed in seeds:
        module.check(seed)
    for _ in range(MUTATIONS):
        data = mutated(random.choice(seeds), random.choice(seeds), random)
        module.check(data)
