"""Every experiment as the paper states it, which is the profile `paper`.

Sizes, losses and schedules are the paper's; where it is silent, the readings that the errata page names.
"""

from dataclasses import replace

from rpgan.config import (
    ClassifierConfig,
    ClassifierTrainConfig,
    Config,
    DataConfig,
    DiscriminatorConfig,
    GanConfig,
    GeneratorConfig,
    InversionConfig,
    LossConfig,
    TrainConfig,
    standard_twin,
)

RESNET_32 = GeneratorConfig(widths=(256,) * 4, bucket_sizes=(40,) * 5)
RESNET_64 = GeneratorConfig(image_shape=(3, 64, 64), widths=(1024, 512, 256, 128, 64), bucket_sizes=(20,) * 6)
RESNET_128 = GeneratorConfig(
    image_shape=(3, 128, 128), widths=(1024, 1024, 512, 256, 128, 64), bucket_sizes=(20,) * 7
)
LINEAR_28 = GeneratorConfig(
    architecture="fc",
    image_shape=(1, 28, 28),
    widths=(128, 256, 512, 1024),
    bucket_sizes=(32, 32, 32, 16, 16),
    leak=1.0,
)
# The paper states no discriminator; these follow the usual SNGAN of their resolution (erratum 13).
DISCRIMINATOR_64 = DiscriminatorConfig(widths=(64, 128, 256, 512, 1024), downsamplings=5)
DISCRIMINATOR_128 = DiscriminatorConfig(widths=(64, 128, 256, 512, 1024, 1024), downsamplings=5)
NO_DIVERSITY = LossConfig(diversity="off")
MNIST_32 = replace(RESNET_32, image_shape=(1, 32, 32), bucket_sizes=(20, 20, 20, 8, 1))
MNIST_EXTENDED = replace(MNIST_32, bucket_sizes=(25, 25, 20, 8, 1))

FIRST_SEVEN = DataConfig("mnist", classes=(0, 1, 2, 3, 4, 5, 6))
LINEAR_32 = replace(RESNET_32, leak=1.0, last_relu=False)
DCGAN_32 = GeneratorConfig(architecture="dcgan", widths=(256, 128, 64), bucket_sizes=(20,) * 4)
DCGAN_64 = GeneratorConfig(
    architecture="dcgan", image_shape=(3, 64, 64), widths=(512, 256, 128, 64), bucket_sizes=(20,) * 5
)
CRITIC_32 = DiscriminatorConfig(architecture="dcgan", widths=(64, 128, 256), spectral_norm=False)
CRITIC_64 = replace(CRITIC_32, widths=(64, 128, 256, 512))
WASSERSTEIN = LossConfig(name="wgan-gp")
# The released code's values for the runs whose length the paper does not state (erratum 13).
RELEASED = TrainConfig(steps=12_000, g_lr=2e-4, d_lr=2e-4, features="mnist-cnn")
# The DCGANs have the others' hyperparameters (appendix A), which leaves out how long digits take.
COLORED = TrainConfig(steps=RELEASED.steps, features="mnist-cnn")
# A state of the largest generator takes 9 GB: it is written every few minutes, as seldom as it is scored.
LSUN = TrainConfig(
    steps=250_000,
    batch_size=16,
    d_steps=1,
    evaluate_every=5_000,
    save_every=5_000,
    features="inception",
    evaluate_n=10_000,
)
# The paper has no such model: small enough for a web page.
EXPLORER = GanConfig(
    "cifar10-explorer",
    DataConfig("cifar10"),
    replace(RESNET_32, widths=(32,) * 4, bucket_sizes=(8,) * 5),
    train=TrainConfig(features="inception", evaluate_n=10_000),
)

EXPERIMENTS: dict[str, Config] = {
    config.name: config
    for config in (
        GanConfig(
            "mnist-rpgan",
            DataConfig("mnist"),
            MNIST_32,
            loss=NO_DIVERSITY,
            train=RELEASED,
        ),
        GanConfig(
            "mnist-linear",
            DataConfig("mnist"),
            LINEAR_28,
            DiscriminatorConfig(architecture="fc", widths=(512, 256)),
            NO_DIVERSITY,
            RELEASED,
        ),
        GanConfig(
            "mnist-stage-one",
            FIRST_SEVEN,
            MNIST_32,
            loss=NO_DIVERSITY,
            train=RELEASED,
        ),
        GanConfig(
            "mnist-incremental",
            DataConfig("mnist"),
            MNIST_EXTENDED,
            loss=NO_DIVERSITY,
            train=replace(RELEASED, initial="mnist-stage-one", trainable=("new",), frozen_norm=True),
        ),
        GanConfig(
            "mnist-fine-tuned",
            DataConfig("mnist"),
            MNIST_EXTENDED,
            loss=NO_DIVERSITY,
            train=replace(RELEASED, initial="mnist-stage-one"),
        ),
        GanConfig(
            "mnist-from-scratch",
            DataConfig("mnist"),
            MNIST_EXTENDED,
            loss=NO_DIVERSITY,
            train=RELEASED,
        ),
        GanConfig(
            "colored-mnist-rpgan",
            DataConfig("colored-mnist"),
            DCGAN_32,
            CRITIC_32,
            WASSERSTEIN,
            COLORED,
        ),
        GanConfig(
            "colored-mnist-gan",
            DataConfig("colored-mnist"),
            standard_twin(DCGAN_32),
            CRITIC_32,
            WASSERSTEIN,
            COLORED,
        ),
        GanConfig(
            "cifar10-rpgan",
            DataConfig("cifar10"),
            RESNET_32,
            train=TrainConfig(features="inception", evaluate_n=10_000),
        ),  # FID 50k: min 16.9, mean 20.8 over ten trainings (Table 2)
        GanConfig(
            "cifar10-gan",
            DataConfig("cifar10"),
            standard_twin(RESNET_32),
            train=TrainConfig(features="inception", evaluate_n=10_000),
        ),  # FID 50k: min 16.75, mean 18.7 over ten trainings (Table 2)
        GanConfig(
            "cifar10-linear",
            DataConfig("cifar10"),
            LINEAR_32,
            loss=NO_DIVERSITY,
            train=replace(RELEASED, features="inception", evaluate_n=10_000),
        ),  # FID 50k: 22.79 (section 4.5)
        GanConfig(
            "cifar10-linear-gan",
            DataConfig("cifar10"),
            standard_twin(LINEAR_32),
            loss=NO_DIVERSITY,
            train=replace(RELEASED, features="inception", evaluate_n=10_000),
        ),
        GanConfig(
            "cifar10-dcgan",
            DataConfig("cifar10"),
            DCGAN_32,
            CRITIC_32,
            WASSERSTEIN,
            TrainConfig(features="inception", evaluate_n=10_000),
        ),
        GanConfig(
            "celeba-dcgan",
            DataConfig("celeba"),
            DCGAN_64,
            CRITIC_64,
            WASSERSTEIN,
            TrainConfig(steps=50_000, features="inception", evaluate_n=10_000),
        ),
        EXPLORER,
        replace(EXPLORER, name="cifar10-explorer-relu"),  # apart in the preset: there the other has a slope
        GanConfig(
            "sprites-rpgan",
            DataConfig("sprites"),
            RESNET_64,
            DISCRIMINATOR_64,
            train=TrainConfig(steps=250_000, batch_size=32, d_steps=1, features="sprites-cnn"),
        ),
        GanConfig(
            "anime-rpgan",
            DataConfig("anime-faces"),
            RESNET_64,
            DISCRIMINATOR_64,
            train=TrainConfig(
                steps=250_000, batch_size=32, d_steps=1, features="inception", evaluate_n=10_000
            ),
        ),
        GanConfig(
            "lsun-rpgan",
            DataConfig("lsun-bedroom"),
            RESNET_128,
            DISCRIMINATOR_128,
            train=LSUN,
        ),
        GanConfig(
            "lsun-gan",
            DataConfig("lsun-bedroom"),
            standard_twin(RESNET_128),
            DISCRIMINATOR_128,
            train=LSUN,
        ),  # the paper has no such model: what its images of LSUN are compared with
        GanConfig(
            "lsun-v1-rpgan",
            DataConfig("lsun-bedroom"),
            replace(RESNET_128, bucket_sizes=(10,) * 7),
            DISCRIMINATOR_128,
            train=LSUN,
        ),  # of the paper's first version
        ClassifierConfig("mnist-cnn", DataConfig("mnist")),
        ClassifierConfig(
            "cifar10-cnn",
            DataConfig("cifar10"),
            image_shape=(3, 32, 32),
            widths=(64, 128, 256),
        ),
        ClassifierConfig(
            "sprites-cnn",
            DataConfig("sprites"),
            image_shape=(3, 64, 64),
            widths=(16, 32, 64, 64),
            pool=4,
            outputs=(4, 16, 16, 16, 16, 8, 16),
            train=ClassifierTrainConfig(shift=0),  # a shifted sprite has another position
        ),
        InversionConfig("mnist-inversion", "mnist-rpgan", MNIST_32.image_shape, MNIST_32.bucket_sizes),
        InversionConfig("cifar10-inversion", "cifar10-rpgan", RESNET_32.image_shape, RESNET_32.bucket_sizes),
        InversionConfig(
            "sprites-inversion", "sprites-rpgan", RESNET_64.image_shape, RESNET_64.bucket_sizes, stride=2
        ),
        InversionConfig(
            "anime-inversion", "anime-rpgan", RESNET_64.image_shape, RESNET_64.bucket_sizes, stride=2
        ),  # accuracy .05, .21, 1.0, .99, 1.0, .69 (Table 5)
    )
}
INVERSIONS = {c.generator: c.name for c in EXPERIMENTS.values() if isinstance(c, InversionConfig)}
