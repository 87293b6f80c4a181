"""Seeds of the parts of a run."""

from mnistctl.nn.seeding import derive_seed


def test_derived_seeds_are_fixed_numbers():
    assert derive_seed(0) == 15793235383387715774
    assert derive_seed(0, 1) == 5836529245451711556
    assert derive_seed(7, 3) == 5061563556724077661
    assert derive_seed(0, 0, 1) == 8649202198168436674


def test_derived_seeds_of_seeds_and_epochs_differ():
    seeds = [derive_seed(seed, epoch) for seed in range(20) for epoch in range(1, 20)]
    assert len(set(seeds)) == len(seeds)
