"""The lists of released networks are sound: they can be read, and what claims and tables say of them is in them."""

from pathlib import Path

import pytest

from benchmark.errors import UserError
from benchmark.evidence.claim_files import read_claims
from benchmark.evidence.released import settings, sources
from benchmark.plan import discovery


def test_every_list_can_be_read_and_names_models_and_data_sets_of_this_repository() -> None:
    models, data = discovery.models(), discovery.datasets()
    networks = [(source, network) for source in sources().values() for network in source.network]
    assert len(networks) >= 150
    assert len({source.paper for source, _ in networks}) >= 10
    for source, network in networks:
        assert network.model in models
        assert source.data in data
        assert (source.normalise is None) == source.pixel_mean, f"{source.paper}: how its images are scaled"
    assert len({source.asked(network).id for source, network in networks}) == len(networks)


def test_claims_about_released_networks_are_read() -> None:
    claims, wrong = read_claims()
    assert wrong == []
    assert sum(claim.released for claim in claims) >= 8


def test_a_run_with_both_checkpoints_has_one_of_each(tmp_path: Path) -> None:
    for groups in settings(tmp_path).values():
        for group in groups:
            kinds = [(each.network.run, each.network.checkpoint) for each in group.networks]
            assert len(set(kinds)) == len(kinds), f"{group.source.paper}, {group.name}"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('sha256 = "', 'sha256 = "x'),
        ('checkpoint = "last"', 'checkpoint = "first"'),
        ('commit = "', 'commit = "z'),
        ("run = 1", "run = 0"),
        ('paper = "LAASP"', "paper = "),
    ],
)
def test_a_list_that_is_wrong_is_named(old: str, new: str, tmp_path: Path) -> None:
    whole = (discovery.ROOT / "baselines" / "released" / "laasp.toml").read_text()
    (tmp_path / "laasp.toml").write_text(whole.replace(old, new, 1))
    with pytest.raises(UserError, match=rf"laasp\.toml: .*(line \d+: .*{old.split()[0]}|Invalid value)"):
        sources(folder=tmp_path)


def test_a_file_that_is_listed_twice_is_found(tmp_path: Path) -> None:
    whole = (discovery.ROOT / "baselines" / "released" / "ocspruner.toml").read_text()
    (tmp_path / "ocspruner.toml").write_text(whole + whole[whole.index("[[network]]") :])
    with pytest.raises(UserError, match="two networks have the sha256"):
        sources(folder=tmp_path)
