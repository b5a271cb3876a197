"""The part of every layer in changes of each kind, by noise and by exchanged instances (section 4.2)."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rpgan.intervals import bracketed, count_orders
from rpgan.metrics.agreement import Agreement, Profile, best_agreement, chance, profile, rank_agreement
from rpgan.results import Result

EXCHANGE, PER_CHANGE = "RPGAN", "RPGAN per total change"
WORDS = {"color": "colour", "semantic": "semantic"}
AGREEMENTS = ("order as RPGAN's", "by chance", "as per total change")


def noise_at(factor: float) -> str:
    """What noise is called that changes images so many times as much as an exchange."""
    return f"noise × {factor:g}"


def _stream(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@dataclass(frozen=True)
class Roles:
    """Shares of the layers in changes of colour and of features, which two models are compared by."""

    factors: tuple[float, ...]  # of the levels of noise: total change over that by an exchange; one is 1
    noise: Mapping[str, tuple[Profile, ...]]  # color and semantic → a profile for each level
    routed: Mapping[str, Mapping[str, Profile]]  # color and semantic → EXCHANGE and PER_CHANGE
    draws: int  # of noise, behind each of its profiles

    @classmethod
    def of(
        cls,
        factors: tuple[float, ...],
        noise: Mapping[str, Float[Tensor, "layers levels draws"]],
        exchange: Mapping[str, Float[Tensor, "layers routes"]],
        rng: torch.Generator,
    ) -> "Roles":
        """Takes shares of changes of each kind, with bootstrap samples over draws of noise and over paths.

        A sample has the same draws of noise at every level and in every kind of change, and the same paths.
        """
        of_noise, of_paths = torch.randint(2**31, (2,), generator=rng).tolist()
        by_noise = {
            kind: tuple(profile(level, _stream(of_noise)) for level in noise[kind].unbind(1))
            for kind in WORDS
        }
        routed = {
            kind: {
                EXCHANGE: profile(exchange[kind], _stream(of_paths)),
                PER_CHANGE: profile(exchange[kind], _stream(of_paths), per=exchange["total"]),
            }
            for kind in WORDS
        }
        return cls(factors, by_noise, routed, noise["total"].shape[-1])

    @property
    def equal(self) -> int:
        """The level at which noise changes images as much as an exchange does, in the mean over buckets."""
        return self.factors.index(1)

    def profiles(self, kind: str) -> dict[str, Profile]:
        """Everything about one kind of change: noise of each level, then RPGAN."""
        levels = zip(self.factors, self.noise[kind], strict=True)
        return {noise_at(factor): found for factor, found in levels} | dict(self.routed[kind])

    def agreement(self, kind: str, level: int | None = None, name: str = EXCHANGE) -> Agreement:
        """Rank correlation over layers of the damage by noise, at a level or equal, with RPGAN's changes."""
        found = self.noise[kind][self.equal if level is None else level]
        return rank_agreement(found, self.routed[kind][name])

    @property
    def alone(self) -> Agreement:
        """How well noise of one level, the best one, tells what RPGAN does, in colour and features alike.

        A level tells as much as its lesser rank correlation of the two. That the best level counts is in
        favour of noise, which cannot know it without RPGAN.
        """
        pairs = [
            [(by_noise[level], self.routed[kind][EXCHANGE]) for kind, by_noise in self.noise.items()]
            for level in range(len(self.factors))
        ]
        return best_agreement(pairs)

    def agreements(self) -> dict[tuple[str, str], dict[str, str]]:
        """Rows for a page: rank correlations of noise of each level with both of RPGAN's profiles."""
        return {
            (word, noise_at(factor)): self._agreements(kind, level)
            for kind, word in WORDS.items()
            for level, factor in enumerate(self.factors)
        }

    def table(self) -> dict[tuple[str, str], dict[str, str]]:
        """Rows for a page: shares in % of all profiles, kind by kind, and the agreements."""
        rows = {(word, name): p for kind, word in WORDS.items() for name, p in self.profiles(kind).items()}
        found, none = self.agreements(), dict.fromkeys(AGREEMENTS, "–")
        return {row: _shares(shares) | found.get(row, none) for row, shares in rows.items()}

    def _agreements(self, kind: str, level: int) -> dict[str, str]:
        raw, per_change = (self.agreement(kind, level, of) for of in (EXCHANGE, PER_CHANGE))
        by_chance = chance(len(self.routed[kind][EXCHANGE].shares), raw.value)
        return dict(zip(AGREEMENTS, (_cell(raw), f"{by_chance:.2f}", _cell(per_change)), strict=True))

    def conclusion(self) -> str:
        """What noise alone tells, in a sentence: its order at each level, and how much layers stand out."""
        orders = [
            f"{noise_at(factor)} with {' and '.join(f'{self.agreement(k, i).value:.2f}' for k in WORDS)}"
            for i, factor in enumerate(self.factors)
        ]
        by_noise, routed = (
            " and ".join(f"{100 * max(float(p.shares.max()) for p in found):.0f} %" for found in kinds)
            for kinds in (self.noise.values(), [[of[PER_CHANGE]] for of in self.routed.values()])
        )
        return (
            "Read without RPGAN, noise would order the layers as RPGAN does with rank correlations in colour "
            f"and in features as follows: {', '.join(orders)}; at either level a layer has at most "
            f"{by_noise} of these changes, where RPGAN's buckets, per total change, have up to {routed}."
        )

    def results(self, prefix: str = "") -> dict[str, Result]:
        """What the ledger needs, under keys that begin with the prefix; other levels than 1 name theirs."""
        found: dict[str, Result] = {}
        for level, factor in enumerate(self.factors):
            at = "" if factor == 1 else f"_at_{100 * factor:.0f}_percent"
            for kind, by_noise in self.noise.items():
                orders = count_orders(by_noise[level].resampled)
                found[f"{kind}_by_layer{at}"] = Result(by_noise[level].shares, self.draws, orders=orders)
                for name, ending in ((EXCHANGE, ""), (PER_CHANGE, "_per_change")):
                    result = self._result(self.agreement(kind, level, name))
                    found[f"{kind}_rank_agreement{ending}{at}"] = result
        for kind, routed in self.routed.items():
            found[f"{kind}_by_bucket"] = Result(routed[EXCHANGE].shares)
        found["noise_alone_agreement"] = self._result(self.alone, self._alone_by_chance())
        return {prefix + key: result for key, result in found.items()}

    def _alone_by_chance(self) -> str:
        """How often random orders, independent in each kind and at each level, do as well as noise alone."""
        n = len(self.routed["color"][EXCHANGE].shares)
        reached, positive = (
            100 * (1 - (1 - chance(n, least) ** len(WORDS)) ** len(self.factors))
            for least in (self.alone.value, 1e-6)
        )
        return f"random orders reach it in {reached:.2g} % of cases, and more than 0 in {positive:.2g} %"

    def _result(self, agreement: Agreement, note: str = "") -> Result:
        """A correlation for the ledger, over these layers; the interval is that over draws and paths."""
        n = len(self.routed["color"][EXCHANGE].shares)
        return Result(agreement.value, n, "", (agreement.low, agreement.high), note)


def _cell(agreement: Agreement) -> str:
    return bracketed(agreement.value, (agreement.low, agreement.high))


def _shares(found: Profile) -> dict[str, str]:
    rows = zip(found.shares.tolist(), *(ends.tolist() for ends in found.interval()), strict=True)
    cells = [bracketed(100 * share, (100 * low, 100 * high), ".0f") for share, low, high in rows]
    return {f"layer {layer}, %": cell for layer, cell in enumerate(cells, start=1)}
