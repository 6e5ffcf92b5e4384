"""Files in the exact formats of the official weights, with small networks in them."""

import zipfile

import numpy as np
import torch

from pellucid.networks.irsde_unet import ConditionalUNet, UNetConfig
from vision_language.small_towers import small_tower

SMALL_UNET = UNetConfig(nf=32, ch_mult=(1, 1, 2, 2), context_dim=16)
SMALL_WILD_UNET = UNetConfig(32, (1, 1, 2, 2), 24, False, downsample_first=True)


def training_checkpoint(prefix="module."):
    """What open_clip's training loop saves: weights, AdamW's moments, numbers of NumPy."""
    model = small_tower()
    optimizer = torch.optim.AdamW(
        model.trainable_parameters(), lr=3e-5, betas=(0.9, 0.98), eps=1e-6
    )
    content, degradation = model.encode_image(torch.rand(2, 3, 32, 32), control=True)
    (model.logit_scale * (content + degradation)).mean().backward()
    optimizer.step()
    state = optimizer.state_dict()
    for group in state["param_groups"]:  # the cosine schedule leaves NumPy numbers here
        group["lr"] = np.float64(1.25e-6)
        group["warmup"] = np.int64(100)
    return {
        "epoch": 30,
        "name": "daclip_ViT-B-32-2023-09_b768x4_lr3e-5_e50_0",
        "state_dict": type(model.state_dict())(
            (prefix + key, value) for key, value in model.state_dict().items()
        ),
        "optimizer": state,
        "scaler": torch.amp.GradScaler(enabled=False).state_dict(),
    }


def save_tower(path, checkpoint=None, numpy_1=True):
    """Write a tower as its authors did, by default with the module names of NumPy 1."""
    torch.save(checkpoint or training_checkpoint(), path)
    if numpy_1:
        replace_in_pickle(path, b"numpy._core.multiarray", b"numpy.core.multiarray")
    return path


def save_unet(path, config=SMALL_UNET, prefix=""):
    """Write a U-Net as its authors did: a plain OrderedDict of tensors."""
    torch.manual_seed(1)
    state = ConditionalUNet(config).state_dict()
    torch.save(type(state)((prefix + key, value) for key, value in state.items()), path)
    return path


def replace_in_pickle(path, old, new):
    """Replace bytes in the pickle inside a PyTorch file."""
    with zipfile.ZipFile(path) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members:
            archive.writestr(name, data.replace(old, new) if name.endswith("data.pkl") else data)
