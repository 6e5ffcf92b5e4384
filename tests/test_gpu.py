"""On a GPU: the CPU's results, in all precisions and engines. Skipped where there is none."""

import pytest
import torch

import tiny

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
WITHIN = {"float32": 1e-3, "bfloat16": 0.03, "float16": 0.01}


@pytest.mark.parametrize("dtype", WITHIN)
@pytest.mark.parametrize("engine", ["torch", "compile"])
def test_a_batch_is_restored_as_on_the_cpu(engine, dtype):
    image = torch.rand(3, 3, 90, 120, generator=torch.Generator().manual_seed(0))
    right = tiny.restorer().restore(image)
    restorer = tiny.restorer(device="cuda", dtype=dtype, engine=engine)
    found = restorer.restore(image.cuda())
    assert found.is_cuda and (found.cpu() - right).abs().max() <= WITHIN[dtype]
    again = restorer.restore(image.cuda())  # CUDA graphs reuse their memory
    assert torch.equal(found, again)


def test_the_state_of_a_diffusion_model_stays_on_the_gpu(monkeypatch):
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    right = tiny.restorer(diffusion=True).restore(image, steps=4, tile=32)
    restorer = tiny.restorer(diffusion=True, device="cuda")
    places = []
    call = restorer._call

    def watched(condition, *parts):
        places.extend(part.device.type for part in parts)
        return call(condition, *parts)

    monkeypatch.setattr(restorer, "_call", watched)
    found = restorer.restore(image, steps=4, tile=32)
    assert set(places) == {"cuda"} and not found.is_cuda
    assert (found - right).abs().max() <= 1e-3


def test_tiles_of_a_large_picture_agree_with_the_whole():
    image = torch.rand(1, 3, 200, 300, device="cuda")
    restorer = tiny.restorer(device="cuda")
    assert (restorer.restore(image) - restorer.restore(image, tile=128)).abs().max() <= 1e-4
