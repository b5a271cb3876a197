"""One step of adversarial training, section 4: hinge or WGAN-GP, random paths as the latent variable."""

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from rpgan import paths
from rpgan.checkpoint import load_card, load_generator
from rpgan.config import GanConfig
from rpgan.datasets import ImageDataset
from rpgan.errors import UserError, choose
from rpgan.images import tile, to_float
from rpgan.losses import ADVERSARIAL, DIVERSITY, gradient_penalty
from rpgan.metrics.features import load_extractor
from rpgan.metrics.frechet import Moments, frechet_distance
from rpgan.models.discriminator import build_discriminator
from rpgan.models.draws import draw
from rpgan.models.extend import begin_as
from rpgan.models.generator import RandomPathGenerator, build_generator
from rpgan.models.norms import settle_norms
from rpgan.training.batches import step_rng
from rpgan.training.parameters import build_adam, freeze_all_but, frozen, named_prefixes, trained_by
from rpgan.training.ranks import Ranks
from rpgan.training.score import Score

DRAWS, EVALUATION, SHEET = 1, 2, 3  # streams of random numbers
SETTLING = 32  # batches behind the statistics of averaged weights
IDLE = {"zero": False, "skip": True}  # whether zero_grad leaves None, which Adam skips
M = TypeVar("M", bound=nn.Module)


class GanTask:
    """Networks, optimisers and one generator update with its discriminator updates."""

    def __init__(
        self, config: GanConfig, fabric: Fabric, held_out: ImageDataset, initial: Path | None = None
    ) -> None:
        train, seed = config.train, config.seed
        for name, value, valid in (
            ("loss.name", config.loss.name, ADVERSARIAL),
            ("loss.diversity", config.loss.diversity, DIVERSITY),
            ("train.idle_instances", train.idle_instances, IDLE),
            ("train.routing", train.routing, paths.DRAWS),
        ):
            choose(valid, value, f"{name} =")
        self.config, self.fabric, self.held_out = config, fabric, held_out
        self.ranks, self.batch_size = Ranks.of(fabric), train.batch_size * train.d_steps
        self.rows = self.ranks.rows(self.batch_size, train.d_steps)  # of the images of a step
        if self.ranks.world > 1 and train.trainable and not train.frozen_norm:
            raise UserError(
                f"train.trainable = {train.trainable} on {self.ranks.world} devices; expected "
                "train.frozen_norm = true: a process whose paths are all frozen has no part in shared norms"
            )
        if train.settled_norms and (train.frozen_norm or not train.ema):
            raise UserError(
                f"train.settled_norms with train.frozen_norm = {train.frozen_norm}, train.ema = {train.ema}; "
                "expected norms that are not frozen, and an averaged generator"
            )
        self.adversarial = ADVERSARIAL[config.loss.name]
        self.raw = _placed(self.ranks.joined(build_generator(config.generator, seed)), fabric)
        new: tuple[str, ...] = ()
        self.source = ""
        if train.initial:
            if initial is None:
                raise UserError(
                    f"{config.name} starts from {train.initial}, which was not given: train it first"
                )
            new = begin_as(self.raw, load_generator(initial))
            self.source = load_card(initial)["sha256"]
        freeze_all_but(self.raw, named_prefixes(train.trainable, new))
        discriminator = _placed(
            build_discriminator(config.discriminator, config.generator.image_shape, seed), fabric
        )
        self.generator, self.g_optimizer = fabric.setup(
            self.raw, build_adam(self.raw, train.g_lr, train.betas)
        )
        self.discriminator, self.d_optimizer = fabric.setup(
            discriminator, build_adam(discriminator, train.d_lr, train.betas)
        )
        self.model = self._copy().requires_grad_(False) if train.ema else self.raw
        # Loaded now: weights that are missing are better known before the training than after it.
        self.extractor = load_extractor(train.features, str(fabric.device))
        if len(held_out) < 2:
            raise UserError(f"{len(held_out)} held-out images; expected at least 2, which have a covariance")
        self.extractor(torch.zeros(1, *config.generator.image_shape, dtype=torch.uint8))  # or says why not
        self._real: Moments | None = None

    @property
    def state(self) -> dict[str, object]:
        """What a resume restores."""
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "g_optimizer": self.g_optimizer,
            "d_optimizer": self.d_optimizer,
        } | ({"ema": self.model} if self.config.train.ema else {})

    def update(self, step: int, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Makes `d_steps` discriminator updates and one generator update; returns the losses."""
        train = self.config.train
        rng = step_rng(self.config.seed, step, DRAWS)
        for optimizer, rate in ((self.g_optimizer, train.g_lr), (self.d_optimizer, train.d_lr)):
            for group in optimizer.param_groups:
                group["lr"] = rate * learning_rate_factor(step, train.steps, train.decay_steps)
        self.generator.train()
        if train.frozen_norm:
            self.raw.links.eval()
        real = to_float(images.to(self.fabric.device)).to(memory_format=torch.channels_last)
        pairs = zip(real.chunk(train.d_steps), self._fakes(rng), strict=True)
        d_losses = [self._update_discriminator(r, f, rng) for r, f in pairs]
        losses = {"d_loss": torch.stack(d_losses).mean(), **self._update_generator(rng)}
        if train.ema:
            self._average(step)
        return losses

    def _fakes(self, rng: torch.Generator) -> Iterable[Tensor]:
        """Images for the D steps: G does not change between them, so that one forward makes all."""
        with torch.no_grad():
            fake = self._generate(self.batch_size, rng, self.config.train.d_steps)
        return fake.chunk(self.config.train.d_steps)

    def _generate(self, n: int, rng: torch.Generator, parts: int = 1) -> Tensor:
        rows = self.ranks.rows(n, parts)
        routes = paths.DRAWS[self.config.train.routing](self.raw.bucket_sizes, n, rng)[rows]
        latents = self.raw.sample_latents(n, rng)
        return self.generator(routes, latents if latents is None else latents[rows].to(self.fabric.device))

    def _update_discriminator(self, real: Tensor, fake: Tensor, rng: torch.Generator) -> Tensor:
        real_logits, fake_logits = self.discriminator(torch.cat([real, fake])).chunk(2)
        loss = self.adversarial.discriminator(real_logits, fake_logits)
        if self.adversarial.penalised:
            n = self.config.train.batch_size
            share = torch.rand(n, generator=rng)[self.ranks.rows(n)]
            with self.fabric.autocast():  # the wrapped network would refuse the penalty's inner gradient
                penalty = gradient_penalty(self.discriminator.module, real, fake, share)
            loss = loss + self.config.loss.gradient_penalty * penalty
        self.d_optimizer.zero_grad()
        self.fabric.backward(loss)
        self.ranks.average_gradients(trained_by(self.d_optimizer))
        self.d_optimizer.step()
        return loss.detach()

    def _update_generator(self, rng: torch.Generator) -> dict[str, Tensor]:
        self._clear_gradients()
        with frozen(self.discriminator):
            loss = self.adversarial.generator(
                self.discriminator(self._generate(self.config.train.batch_size, rng))
            )
            diversity = self._diversity(rng)
            total = loss - self.config.loss.diversity_weight * diversity
            if total.requires_grad:  # not so where every path took frozen instances
                self.fabric.backward(total)
        self.ranks.average_gradients(trained_by(self.g_optimizer))
        self.g_optimizer.step()
        return {"g_loss": loss.detach(), "diversity": diversity.detach()}

    def _clear_gradients(self) -> None:
        skip = IDLE[self.config.train.idle_instances]
        self.g_optimizer.zero_grad(set_to_none=skip)
        if not skip:  # after a resume, Adam's moments alone tell who was drawn before
            for parameter in self.g_optimizer.optimizer.state:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)

    def _diversity(self, rng: torch.Generator) -> Tensor:
        plural = [bucket for bucket in self.raw.buckets if len(bucket) > 1]
        values = DIVERSITY[self.config.loss.diversity](plural, rng, self.config.loss.diversity_margin)
        return torch.stack(values).mean() if values else torch.zeros((), device=self.fabric.device)

    @torch.no_grad()
    def _average(self, step: int) -> None:
        # A short memory at first, so that the random start is forgotten.
        decay = min(self.config.train.ema, (1 + step) / (10 + step))
        pairs = zip(self.model.state_dict().values(), self.raw.state_dict().values(), strict=True)
        averaged, current = zip(*((a, c) for a, c in pairs if a.is_floating_point()), strict=True)
        get_ema_multi_avg_fn(decay)(averaged, current, step)

    def _copy(self) -> RandomPathGenerator:
        """The generator again, with norms of this process alone: the first one scores without the others."""
        copy = _placed(build_generator(self.config.generator), self.fabric)
        copy.load_state_dict(self.raw.state_dict())
        return copy

    def evaluate(self) -> list[Score]:
        """Fréchet distance of samples to held-out images, always the same paths; it selects the best."""
        train = self.config.train
        features, n = train.features, train.evaluate_n
        if train.settled_norms:
            settle_norms(self.model, SETTLING, train.batch_size, step_rng(0, 2, EVALUATION))
        self._real = self._real or self._held_out_moments(n)
        fake = Moments()
        for part in draw(self.model, n, step_rng(0, 1, EVALUATION)).split(500):
            fake.update(self.extractor(part))
        distance = frechet_distance(self._real, fake)
        return [Score(f"frechet_{features}", distance, n, 0, f"{self._real.n} held-out images")]

    def _held_out_moments(self, n: int) -> Moments:
        moments = Moments()
        order = torch.randperm(len(self.held_out), generator=step_rng(0, 0, EVALUATION))
        for part in order[:n].split(500):
            moments.update(self.extractor(self.held_out.__getitems__(part.tolist())[0]))
        return moments

    def sheet(self) -> Tensor:
        """64 samples on fixed paths, as one uint8 image (c, h, w)."""
        return tile(draw(self.model, 64, step_rng(0, 0, SHEET)), columns=8)

    def about(self) -> dict[str, object]:
        """What the card says of the training beside its config."""
        begun_from = {"initial_sha256": self.source} if self.source else {}
        return {"weights_averaged": bool(self.config.train.ema), **begun_from}


def learning_rate_factor(step: int, steps: int, decay_steps: int) -> float:
    """1 until the last `decay_steps` of all steps, or until the first of fewer; it falls linearly to 0."""
    return min(1.0, (steps - step) / min(decay_steps, steps)) if decay_steps else 1.0


def _placed(module: M, fabric: Fabric) -> M:
    return module.to(fabric.device).to(memory_format=torch.channels_last)
