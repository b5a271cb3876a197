"""Experiments as frozen data."""

from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class DataConfig:
    """What the images are; where they lie is the environment's business (`$RPGAN_DATA`)."""

    name: str = "mnist"  # a key of rpgan.datasets.DATASETS
    path: str = ""  # folder or zip of images, for name="folder"
    classes: tuple[int, ...] = ()  # labels that are kept; empty keeps all


@dataclass(frozen=True)
class GeneratorConfig:
    """A routed generator; with one instance a bucket and a Gaussian latent it is the standard GAN."""

    architecture: str = "sn-resnet"  # sn-resnet | dcgan | fc
    image_shape: tuple[int, ...] = (3, 32, 32)  # channels, height, width
    widths: tuple[int, ...] = (256, 256, 256, 256)  # output channels of every bucket but the last
    bucket_sizes: tuple[int, ...] = (40, 40, 40, 40, 40)  # instances in each bucket
    latent: str = "learned"  # learned | fixed (one Z for all images) | gaussian (a new one for each)
    latent_dim: int = 128  # length of Z
    leak: float = 0.0  # negative slope of every activation but `last_relu`; 1 makes them linear
    last_relu: bool = True  # the ReLU before the last bucket of a ResNet (erratum 8)


def standard_twin(config: GeneratorConfig) -> GeneratorConfig:
    """The standard GAN of the same layers: one instance a bucket and a Gaussian latent (section 3.2)."""
    return replace(config, bucket_sizes=(1,) * len(config.bucket_sizes), latent="gaussian")


@dataclass(frozen=True)
class DiscriminatorConfig:
    """A standard discriminator; RPGAN does not change it (section 3.2)."""

    architecture: str = "sn-resnet"  # sn-resnet | dcgan | fc
    widths: tuple[int, ...] = (128, 128, 128, 128)  # output channels of every block or layer but the last
    downsamplings: int = 2  # how many of the first blocks of a ResNet halve the resolution
    pooling: str = "mean"  # mean | sum, of a ResNet's features over positions (erratum 5)
    spectral_norm: bool = True  # divide every weight by its largest singular value


@dataclass(frozen=True)
class LossConfig:
    """The adversarial loss and the instance diversity term (section 3.2)."""

    name: str = "hinge"  # hinge | wgan-gp
    gradient_penalty: float = 10.0  # λ of WGAN-GP
    diversity: str = "pair"  # pair | awake-pairs (released code) | all-pairs (text) | off
    diversity_weight: float = 1.0  # λ of the diversity term
    diversity_margin: float = 1.5  # a bucket counts only while its value is below; for pairs


@dataclass(frozen=True)
class TrainConfig:
    """How long and how a network is trained."""

    steps: int = 90_000  # generator updates
    batch_size: int = 64  # images a step
    d_steps: int = 5  # discriminator updates a generator update
    g_lr: float = 2.5e-4  # Adam's rate for the generator
    d_lr: float = 2.5e-4  # Adam's rate for the discriminator
    betas: tuple[float, ...] = (0.5, 0.999)  # Adam's decay rates
    decay_steps: int = 0  # last steps, over which both learning rates fall linearly to 0
    ema: float = 0.0  # decay of the averaged generator; 0 keeps none
    settled_norms: bool = False  # the averaged generator's BatchNorm statistics are taken from its own images
    idle_instances: str = "zero"  # zero (Adam moves instances that were not drawn) | skip
    routing: str = "uniform"  # uniform (every instance independently) | balanced (equally often a phase)
    initial: str = ""  # experiment whose generator it starts from; new instances begin at random
    trainable: tuple[str, ...] = ()  # name prefixes, or "new" for what `initial` lacks; empty trains all
    frozen_norm: bool = False  # shared BatchNorm keeps its statistics (erratum 7)
    precision: str = "auto"  # auto | float32 | bfloat16
    evaluate_every: int = 1_000  # steps between scores, sample sheets and candidates for the best checkpoint
    save_every: int = 500  # steps between resumable states
    features: str = "pixels"  # extractor of the Fréchet distance that selects the best checkpoint
    evaluate_n: int = 2_000  # images of either side of that distance; of real ones, at most those held out


@dataclass(frozen=True)
class GanConfig:
    """One experiment: data, two networks, a loss, a schedule."""

    name: str
    data: DataConfig = field(default_factory=DataConfig)
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    seed: int = 0


@dataclass(frozen=True)
class ClassifierTrainConfig:
    """How a classifier is trained."""

    steps: int = 6_000  # updates
    batch_size: int = 128  # images an update
    lr: float = 3e-3  # peak rate of AdamW, one cosine cycle
    weight_decay: float = 1e-2  # decoupled decay of AdamW
    shift: int = 2  # largest random translation in pixels
    flip: bool = False  # mirror half the images
    cutout: int = 0  # side in pixels of a grey square at a random place of every image
    precision: str = "auto"  # auto | float32 | bfloat16
    evaluate_every: int = 500  # steps between held-out scores
    save_every: int = 500  # steps between resumable states


@dataclass(frozen=True)
class ClassifierConfig:
    """A small convolutional classifier whose last hidden layer serves as features."""

    name: str
    data: DataConfig = field(default_factory=DataConfig)
    image_shape: tuple[int, ...] = (1, 28, 28)  # channels, height, width
    widths: tuple[int, ...] = (32, 64, 128)  # channels of the stages, each of half the resolution before
    pool: int = 1  # side of the grid that the last stage is averaged to; above 1 keeps positions
    hidden: int = 128  # units of the hidden layer, the features
    outputs: tuple[int, ...] = (10,)  # classes of each label
    train: ClassifierTrainConfig = field(default_factory=ClassifierTrainConfig)
    seed: int = 0


@dataclass(frozen=True)
class InversionTrainConfig:
    """How the classifiers of an inversion are trained; their images are generated anew in every step."""

    steps: int = 50_000  # updates
    batch_size: int = 128  # random paths an update
    lr: float = 1e-3  # peak rate of AdamW, one cosine cycle
    weight_decay: float = 1e-4  # decoupled decay of AdamW
    precision: str = "auto"  # auto | float32 | bfloat16
    evaluate_every: int = 1_000  # steps between held-out scores
    evaluate_n: int = 1_280  # held-out paths of a score, as in Table 5
    save_every: int = 500  # steps between resumable states


@dataclass(frozen=True)
class InversionConfig:
    """Network-in-Network classifiers that recover the path behind a generated image (appendix B)."""

    name: str
    generator: str = "mnist-rpgan"  # experiment, or checkpoint directory, whose images are learned from
    image_shape: tuple[int, ...] = (1, 32, 32)  # channels, height, width of these images
    bucket_sizes: tuple[int, ...] = (20, 20, 20, 8, 1)  # classes of each bucket; one alone has no classifier
    widths: tuple[int, ...] = (192, 160, 96, 192, 192, 192, 192, 192)  # of all convolutions but the last
    stride: int = 1  # of the first convolution; 2 makes a network for 32 pixels one for 64
    pool: int = 1  # side of the grid that the last maps are averaged to; above 1 keeps positions
    shared: bool = False  # one network with a head for each bucket, in place of a network for each
    train: InversionTrainConfig = field(default_factory=InversionTrainConfig)
    seed: int = 0


Config = GanConfig | ClassifierConfig | InversionConfig
