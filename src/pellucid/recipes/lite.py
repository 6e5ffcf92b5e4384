"""The project's own small networks, trained from photographs alone: the weights in the package.

The data: `data.root` and `data.validation`, folders of clean photographs
(`scripts/fetch_photos.py`).
"""

from __future__ import annotations

from dataclasses import replace

from pellucid.degradations import CLASSES
from pellucid.networks.bilateral import BilateralGridConfig
from pellucid.networks.resunet import ResUNetConfig
from pellucid.networks.wiener import WienerUNetConfig
from pellucid.training.config import DataConfig, EMAConfig, OptimizerConfig, TrainConfig
from pellucid.training.tasks.controller import ControllerOptions
from pellucid.training.tasks.diffusion import DiffusionOptions
from pellucid.training.tasks.kernel import KernelOptions
from pellucid.training.tasks.restore import RestoreOptions
from pellucid.vision_language.clip import CLIPConfig, TextConfig, VisionConfig

LITE = CLIPConfig(
    embed_dim=256,
    vision=VisionConfig(image_size=64, patch_size=8, width=192, layers=4, heads=3),
    text=TextConfig(context_length=32, vocab_size=4000, width=128, heads=4, layers=4),
    views="windows",
)
SIZES = ResUNetConfig(
    encoder_blocks=(1, 1, 2),
    middle_blocks=3,
    context_dim=LITE.embed_dim,
    words=len(CLASSES),
    statistics=True,
)
WINDOWS = DataConfig(
    root="data/windows/train", validation="data/windows/held-out", kind="windows", crop=128
)
PHOTOS = DataConfig(root="data/photos/train", validation="data/photos/held_out", crop=128)


def lite_naming() -> TrainConfig:
    """First part of the controller's training: the degradation embedding alone, half the cost."""
    return TrainConfig(
        recipe="lite_naming",
        task=ControllerOptions(
            model=LITE,
            clip="runs/lite-clip-base.safetensors",
            tokenizer="lite",
            captions=False,
            content=False,
        ),
        data=replace(PHOTOS, crop=64, twins=True, rare=0.4),
        optimizer=OptimizerConfig(
            lr=6e-4, lr_min=1e-6, warmup=80, betas=(0.9, 0.98), weight_decay=0.05, clip_norm=1.0
        ),
        ema=EMAConfig(decay=0.98),
        steps=8_000,
        batch_size=33,
        precision="auto",
        output="runs/lite-naming",
        save_every=250,
        validate_every=250,
        validation_samples=330,
    )


def lite_controller() -> TrainConfig:
    """Controller on the small towers; embeddings of clean pictures replace captions."""
    naming = lite_naming()
    return replace(
        naming,
        recipe="lite_controller",
        task=replace(naming.task, content=True, content_l1=0.5),
        data=replace(PHOTOS, chains=0.1, rare=0.4),
        batch_size=32,
        optimizer=replace(naming.optimizer, lr=4e-4),
        steps=4_000,
        init_from="runs/lite-naming/weights.safetensors",
        output="runs/lite-controller",
    )


def lite_words() -> TrainConfig:
    """The controller trained on with the wide generators: it meets what the restorer meets."""
    naming = lite_naming()
    return replace(
        naming,
        recipe="lite_words",
        task=replace(naming.task, clip="random"),
        data=WINDOWS,
        optimizer=replace(naming.optimizer, lr=4e-4),
        steps=2_600,
        batch_size=32,
        init_from="lite",
        output="runs/lite-words",
        save_every=500,
        validate_every=1_000,
    )


def lite_named() -> TrainConfig:
    """First part of the restorer's training: guided by the true words, without the towers.

    The controller is trained to give the same embeddings. In a short trial without guidance the
    network learned only some denoising; with the words it also learned to brighten and derain.
    """
    return TrainConfig(
        recipe="lite_named",
        task=RestoreOptions(
            network=ResUNetConfig(context_dim=LITE.embed_dim, words=len(CLASSES)),
            words="runs/lite-clip-base.safetensors",
            tokenizer="lite",
            loss="psnr40",
        ),
        data=replace(PHOTOS, crop=64, chains=0.1),
        optimizer=OptimizerConfig(lr=8e-4, lr_min=1e-5, warmup=100, clip_norm=0.5),
        ema=EMAConfig(decay=0.999),
        steps=40_000,
        batch_size=8,
        precision="auto",
        output="runs/lite-named",
        save_every=500,
        validate_every=500,
        validation_samples=110,
        log_every=50,
    )


def lite_restore() -> TrainConfig:
    """The restorer for CPUs: a deterministic ResUNet guided by the small DA-CLIP."""
    named = lite_named()
    return replace(
        named,
        recipe="lite_restore",
        task=replace(
            named.task,
            tower="runs/lite-controller/weights.safetensors",
            words="",
            context_dropout=0.1,
        ),
        data=replace(named.data, crop=128, rare=0.3),
        optimizer=replace(named.optimizer, lr=3e-4, lr_min=1e-6),
        init_from="runs/lite-named/weights.safetensors",
        output="runs/lite-restore",
    )


def lite_stage1() -> TrainConfig:
    """First part of `lite`, from random weights: noise and JPEG alone, on small crops.

    After 500 such steps noise gains 3.6 dB; after 1000 steps with all damages at once, 0.4 dB:
    errors of light are so large that the gradients of detail drown in them. A third of the samples
    has no guidance and a tenth is told wrong words, so that the network looks before it believes.
    Data: `pellucid data windows`. Costs 154 GFLOP a megapixel.
    """
    return TrainConfig(
        recipe="lite_stage1",
        task=RestoreOptions(
            network=SIZES,
            words="lite",
            tokenizer="lite",
            context_dropout=0.35,
            wrong_words=0.1,
            loss="detail",
        ),
        data=replace(WINDOWS, crop=64, words=("noisy", "jpeg-compressed")),
        optimizer=OptimizerConfig(
            name="muon",
            lr=2e-3,
            adamw_lr=1e-3,
            lr_min=1e-3,
            schedule="linear",
            warmup=50,
            clip_norm=1.0,
        ),
        ema=EMAConfig(decay=0.995),
        steps=1_800,
        batch_size=32,
        precision="auto",
        output="runs/lite-stage1",
        save_every=500,
        validate_every=1_000,
        validation_samples=256,
        log_every=50,
    )


def lite_stage2() -> TrainConfig:
    """Second part of `lite`: blur and what lies over a picture join noise and JPEG."""
    first = lite_stage1()
    words = (*first.data.words, "rainy", "snowy", "uncompleted", "motion-blurry")
    return replace(
        first,
        recipe="lite_stage2",
        data=replace(first.data, words=words),
        optimizer=replace(first.optimizer, lr=1.2e-3, adamw_lr=8e-4, lr_min=9.313e-4),
        steps=3_241,
        init_from="runs/lite-stage1/weights.safetensors",
        output="runs/lite-stage2",
    )


def lite_stage3() -> TrainConfig:
    """Third part of `lite`: all damages on larger crops, at a rate that falls to zero.

    The light of a picture is changed only by words. Where the network had to guess it as well, what
    it knew of noise was lost again: 2.4 dB of gain after 600 steps, 4.8 before.
    """
    first = lite_stage1()
    return replace(
        first,
        recipe="lite_stage3",
        task=replace(first.task, loss="bands", always_told=("hazy", "low-light", "shadowed")),
        data=WINDOWS,
        optimizer=replace(first.optimizer, lr=8e-4, adamw_lr=6e-4, lr_min=0.0, warmup=100),
        ema=EMAConfig(decay=0.998),
        steps=6_600,
        batch_size=16,
        init_from="runs/lite-stage2/weights.safetensors",
        output="runs/lite-stage3",
    )


def lite_detail() -> TrainConfig:
    """A specialist for what a lens, a sensor and a file do to detail: blur, noise and JPEG.

    Goes on from the first part of `lite`. Where all damages are learned by one network of this
    size, noise gains 4.0 dB and JPEG loses 1.0; after the first part they gained 4.8 and 0.7.
    Data: `pellucid data windows --words noisy jpeg-compressed motion-blurry`.
    """
    first = lite_stage1()
    return replace(
        first,
        recipe="lite_detail",
        data=replace(WINDOWS, root="data/windows/detail"),
        optimizer=replace(first.optimizer, lr=1.2e-3, adamw_lr=8e-4, lr_min=0.0, warmup=100),
        ema=EMAConfig(decay=0.998),
        steps=9_500,
        batch_size=16,
        init_from="runs/lite-stage1/weights.safetensors",
        output="runs/lite-detail",
    )


def lite_detail_light() -> TrainConfig:
    """Second part of `lite-detail`: PSNR, which counts coarse grain and blocks in full."""
    first = lite_detail()
    return replace(
        first,
        recipe="lite_detail_light",
        task=replace(first.task, loss="psnr40"),
        optimizer=replace(first.optimizer, lr=8e-4, adamw_lr=6e-4),
        steps=6_000,
        init_from="runs/lite-detail/weights.safetensors",
        output="runs/lite-detail-light",
    )


def lite_noise() -> TrainConfig:
    """A specialist for white noise, from `lite-detail`: Gaussian, in colour or on grey pictures.

    Where the network learns all forms of noise, more steps bring nothing. The noise is made on the
    fly, so no field of it is seen twice.
    """
    detail = lite_detail_light()
    return replace(
        detail,
        recipe="lite_noise",
        task=replace(detail.task, context_dropout=0.1, wrong_words=0.0),
        data=replace(
            PHOTOS,
            root="data/training",
            crop=64,
            words=("noisy",),
            clean=0.02,
            chains=0.0,
            grey=0.35,
        ),
        optimizer=replace(detail.optimizer, lr=2e-3, adamw_lr=1e-3, lr_min=1e-3),
        ema=EMAConfig(decay=0.998),
        steps=2_400,
        batch_size=32,
        init_from="lite-detail",
        output="runs/lite-noise",
    )


def lite_noise_wide() -> TrainConfig:
    """Second part of `lite-noise`: larger crops, at a rate that falls to zero."""
    first = lite_noise()
    return replace(
        first,
        recipe="lite_noise_wide",
        data=replace(first.data, crop=128),
        optimizer=replace(first.optimizer, lr=1e-3, adamw_lr=5e-4, lr_min=0.0),
        seed=1,
        steps=900,
        batch_size=16,
        init_from="runs/lite-noise/weights.safetensors",
        output="runs/lite-noise-wide",
    )


def lite_noise_more() -> TrainConfig:
    """Third part of `lite-noise`: as the second, in another order."""
    second = lite_noise_wide()
    return replace(
        second,
        recipe="lite_noise_more",
        seed=2,
        init_from="runs/lite-noise-wide/weights.safetensors",
        output="runs/lite-noise-more",
    )


def lite_noise_long() -> TrainConfig:
    """Fourth part of `lite-noise`: as the third, at twice the rate and four times as long."""
    third = lite_noise_more()
    return replace(
        third,
        recipe="lite_noise_long",
        optimizer=replace(third.optimizer, lr=2e-3, adamw_lr=1e-3),
        seed=3,
        steps=3_600,
        init_from="runs/lite-noise-more/weights.safetensors",
        output="runs/lite-noise-long",
    )


def lite_noise_dense() -> TrainConfig:
    """Fifth part of `lite-noise`: by SOAP, on photographs at a fifth of their size at least.

    A photograph that is made smaller has more detail in each window.
    """
    fourth = lite_noise_long()
    return replace(
        fourth,
        recipe="lite_noise_dense",
        data=replace(fourth.data, shrink=0.2, by="photo"),
        optimizer=replace(fourth.optimizer, name="soap", betas=(0.95, 0.95)),
        seed=4,
        steps=1_200,
        init_from="runs/lite-noise-long/weights.safetensors",
        output="runs/lite-noise-dense",
    )


def lite_jpeg() -> TrainConfig:
    """A specialist for JPEG, from `lite-detail`.

    Data: `pellucid data windows --words jpeg-compressed --plain 1 --side 96`.
    """
    detail = lite_detail_light()
    return replace(
        detail,
        recipe="lite_jpeg",
        task=replace(detail.task, context_dropout=0.1, wrong_words=0.0),
        data=replace(
            WINDOWS,
            root="data/windows/jpeg",
            crop=64,
            words=("jpeg-compressed",),
            clean=0.03,
        ),
        optimizer=replace(detail.optimizer, lr=2e-3, adamw_lr=1e-3),
        steps=2_400,
        batch_size=32,
        init_from="lite-detail",
        output="runs/lite-jpeg",
    )


def lite_kernel() -> TrainConfig:
    """First part of `lite-blur`, a specialist for blur alone: the estimate of the kernel.

    Data: `pellucid data windows --words motion-blurry --plain 1 --side 144`.
    """
    first = lite_stage1()
    return replace(
        first,
        recipe="lite_kernel",
        task=KernelOptions(),
        data=replace(WINDOWS, root="data/windows/blur", validation="data/windows/blur-held-out"),
        optimizer=replace(first.optimizer, lr_min=0.0, warmup=100),
        ema=EMAConfig(decay=0.998),
        steps=1_400,
        output="runs/lite-kernel",
    )


def lite_wiener() -> TrainConfig:
    """Second part of `lite-blur`: the whole network, on the same windows.

    The loss is PSNR: that of the others leaves out most of what a blur that shifts the scene does.
    """
    first = lite_kernel()
    return replace(
        first,
        recipe="lite_wiener",
        task=RestoreOptions(network=WienerUNetConfig(), loss="psnr40"),
        optimizer=replace(first.optimizer, lr=1.5e-3, adamw_lr=7.5e-4),
        steps=3_000,
        batch_size=16,
        init_from="runs/lite-kernel/weights.safetensors",
        output="runs/lite-wiener",
    )


def lite_wiener_noise() -> TrainConfig:
    """Third part of `lite-blur`: noise as well, with blur or alone, and all scenes.

    A camera's soft grain looks like blur. Data: `pellucid data windows --words motion-blurry noisy
    --side 144`.
    """
    second = lite_wiener()
    return replace(
        second,
        recipe="lite_wiener_noise",
        data=replace(second.data, root="data/windows/blur-noise"),
        optimizer=replace(second.optimizer, lr=1e-3, adamw_lr=5e-4),
        steps=1_400,
        init_from="runs/lite-wiener/weights.safetensors",
        output="runs/lite-wiener-noise",
    )


def lite_overlay() -> TrainConfig:
    """A specialist for what lies over a picture: rain, snow, drops and holes; from `lite`.

    Data: `pellucid data windows --words rainy snowy raindrop uncompleted`.
    """
    third = lite_stage3()
    return replace(
        third,
        recipe="lite_overlay",
        task=replace(third.task, always_told=()),
        data=replace(WINDOWS, root="data/windows/overlay"),
        optimizer=replace(third.optimizer, lr=1e-3, adamw_lr=7.5e-4),
        steps=6_000,
        init_from="runs/lite-stage3/weights.safetensors",
        output="runs/lite-overlay",
    )


def lite_overlay_light() -> TrainConfig:
    """Second part of `lite-overlay`: the light, too.

    The loss of the first part leaves out most of the errors of light, and with them soft drops and
    veils: real drops came back as they were.
    """
    first = lite_overlay()
    return replace(
        first,
        recipe="lite_overlay_light",
        task=replace(first.task, loss="psnr40"),
        data=replace(first.data, words=("rainy", "snowy", "raindrop")),
        optimizer=replace(first.optimizer, lr=8e-4, adamw_lr=6e-4),
        steps=4_000,
        init_from="runs/lite-overlay/weights.safetensors",
        output="runs/lite-overlay-light",
    )


def lite_overlay_more() -> TrainConfig:
    """Third part of `lite-overlay`: as the second, in another order."""
    second = lite_overlay_light()
    return replace(
        second,
        recipe="lite_overlay_more",
        seed=1,
        init_from="runs/lite-overlay-light/weights.safetensors",
        output="runs/lite-overlay-more",
    )


def lite_overlay_long() -> TrainConfig:
    """Fourth part of `lite-overlay`: as the third, twice as long."""
    third = lite_overlay_more()
    return replace(
        third,
        recipe="lite_overlay_long",
        seed=2,
        optimizer=replace(third.optimizer, lr=1e-3, adamw_lr=7.5e-4),
        steps=8_000,
        init_from="runs/lite-overlay-more/weights.safetensors",
        output="runs/lite-overlay-long",
    )


def lite_overlay_last() -> TrainConfig:
    """Fifth part of `lite-overlay`: windows of another seed, with drops far out of focus.

    Data: `pellucid data windows --seed 7 --words rainy snowy raindrop --count 32768`.
    """
    fourth = lite_overlay_long()
    return replace(
        fourth,
        recipe="lite_overlay_last",
        data=replace(fourth.data, root="data/windows/overlay-2"),
        optimizer=replace(fourth.optimizer, lr=8e-4, adamw_lr=6e-4),
        seed=3,
        steps=4_000,
        init_from="runs/lite-overlay-long/weights.safetensors",
        output="runs/lite-overlay-last",
    )


def lite_overlay_plain() -> TrainConfig:
    """Sixth part of `lite-overlay`: by SOAP, on larger windows of photographs as they are.

    Data: `pellucid data windows --seed 71 --side 224 --plain 1 --count 10240 --words rainy snowy
    raindrop`.
    """
    fifth = lite_overlay_last()
    return replace(
        fifth,
        recipe="lite_overlay_plain",
        data=replace(fifth.data, root="data/windows/overlay-plain", crop=192, symmetries=2),
        optimizer=replace(fifth.optimizer, name="soap", lr=1.5e-3, betas=(0.95, 0.95)),
        seed=4,
        steps=2_400,
        batch_size=8,
        init_from="runs/lite-overlay-last/weights.safetensors",
        output="runs/lite-overlay-plain",
    )


def lite_overlay_mixed() -> TrainConfig:
    """Seventh part of `lite-overlay`: half of the scenes are varied in tone and colour again.

    Among photographs as they are a scene without black is a scene behind a veil.
    Data: `pellucid data windows --seed 73 --side 224 --plain 0.5 --count 14336 --words rainy snowy
    raindrop`.
    """
    sixth = lite_overlay_plain()
    return replace(
        sixth,
        recipe="lite_overlay_mixed",
        data=replace(sixth.data, root="data/windows/overlay-mixed"),
        optimizer=replace(sixth.optimizer, lr=2e-3),
        seed=5,
        steps=4_800,
        init_from="runs/lite-overlay-plain/weights.safetensors",
        output="runs/lite-overlay-mixed",
    )


def lite_overlay_rain() -> TrainConfig:
    """Eighth part of `lite-overlay`: on new windows, of which more show rain or drops.

    Data: `pellucid data windows --seed 74 --side 224 --plain 0.5 --count 14336 --words rainy rainy
    snowy raindrop raindrop`.
    """
    seventh = lite_overlay_mixed()
    return replace(
        seventh,
        recipe="lite_overlay_rain",
        data=replace(seventh.data, root="data/windows/overlay-rain"),
        optimizer=replace(seventh.optimizer, lr=1.5e-3),
        seed=6,
        steps=3_600,
        init_from="runs/lite-overlay-mixed/weights.safetensors",
        output="runs/lite-overlay-rain",
    )


def lite_light() -> TrainConfig:
    """A specialist for light: haze, low light and shadows, on whole pictures, from random weights.

    The light comes from above and haze thickens there, so pictures are mirrored, not turned. The
    network looks at no more than 64 px, so small windows serve, and four times as many of them.
    Data: `pellucid data windows --side 96 --words hazy low-light shadowed`, last with `--plain 1`.
    """
    first = lite_stage1()
    return replace(
        first,
        recipe="lite_light",
        task=replace(
            first.task,
            network=BilateralGridConfig(context_dim=LITE.embed_dim, words=len(CLASSES)),
            context_dropout=0.05,
            wrong_words=0.05,
            loss="psnr40",
        ),
        data=replace(
            WINDOWS,
            root="data/windows/light",
            crop=96,
            symmetries=2,
            words=("hazy", "low-light", "shadowed"),
        ),
        optimizer=replace(first.optimizer, adamw_lr=1.2e-3, lr_min=0.0),
        ema=EMAConfig(decay=0.998),
        steps=7_000,
        batch_size=32,
        output="runs/lite-light",
    )


def lite_sde() -> TrainConfig:
    """The diffusion version: predicts the clean picture at all times of the SDE, from `lite`.

    All states hold its own estimates. Where half of them held the clean picture, the network relied
    on that: after 2400 steps noisy pictures came back worse than they were.
    """
    third = lite_stage3()
    return replace(
        third,
        recipe="lite_sde",
        task=DiffusionOptions(
            network=SIZES,
            words=third.task.words,
            tokenizer=third.task.tokenizer,
            context_dropout=third.task.context_dropout,
            wrong_words=third.task.wrong_words,
            always_told=third.task.always_told,
            predicts="x0",
            loss="l1",
            own_estimates=1.0,
        ),
        data=replace(WINDOWS, crop=96),
        optimizer=replace(third.optimizer, lr=1e-3, adamw_lr=7.5e-4),
        steps=1_000,
        init_from="lite",
        init_strict=False,
        output="runs/lite-sde",
    )


def lite_own() -> TrainConfig:
    """Goes on from `lite` on pairs of one's own, in minutes: few steps, small crops.

    Guided by the tower, as in use; a share of the samples is unguided. See docs/tutorial.md.
    """
    third = lite_stage3()
    return replace(
        third,
        recipe="lite_own",
        task=replace(
            third.task, words="", tower="lite", wrong_words=0.0, always_told=(), loss="l1"
        ),
        data=DataConfig(kind="pairs", crop=64),
        optimizer=replace(third.optimizer, lr=4e-4, adamw_lr=3e-4, warmup=20),
        ema=EMAConfig(decay=0.98),
        steps=120,
        batch_size=16,
        init_from="lite",
        output="runs/own",
        save_every=40,
        validate_every=40,
        log_every=10,
    )
