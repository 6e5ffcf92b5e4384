import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    """Small tensors are slower on many threads, and sums are the same in every process on one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
