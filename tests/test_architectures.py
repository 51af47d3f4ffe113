"""Every architecture in the folder, as its first bundled checkpoint has it: no list here names one."""

from inspect import Parameter, signature

import pytest
import torch

import restoration
from restoration import catalog, resampling, tasks
from restoration.restorer import Restorer
from restoration.running import typical
from tests.conftest import narrow

NAMES = [
    architecture.checkpoints[0].name for architecture in catalog.architectures().values()
]  # of other constructor arguments the tests of each architecture


def untrained(name: str) -> Restorer:
    """A model as a checkpoint has it, with random weights."""
    trained = restoration.load(name)
    torch.manual_seed(0)
    return type(trained)(**trained._hub_mixin_config).eval()


def besides(model: Restorer, side: int) -> tuple:
    """What `restore` needs besides an image."""
    parameters = list(signature(model.restore).parameters.values())[1:]
    return typical(model.task, side) if any(each.default is Parameter.empty for each in parameters) else ()


@pytest.mark.parametrize("side", [1, 7, 33])
@pytest.mark.parametrize("name", NAMES)
def test_any_size_comes_back_as_it_should_within_0_and_1(name, side):
    model = untrained(name)
    restored = model.restore(torch.rand(1, model.channels, side, side), *besides(model, side))
    assert restored.shape == (1, model.channels, side * model.scale, side * model.scale)
    assert restored.min() >= 0
    assert restored.max() <= 1


@pytest.mark.parametrize("name", NAMES)
def test_weights_and_constructor_arguments_survive_a_folder(name, tmp_path):
    model = untrained(name)
    model.save_pretrained(tmp_path)
    again = catalog.load(tmp_path)
    assert again._hub_mixin_config == model._hub_mixin_config
    assert all(torch.equal(again.state_dict()[key], value) for key, value in model.state_dict().items())


LOCAL = [
    architecture.checkpoints[0].name
    for architecture in catalog.architectures().values()
    if not tasks.named(architecture.task).holes  # a fill sees everything
]


@pytest.mark.parametrize("name", LOCAL)
def test_the_declared_receptive_field_is_the_true_one(name):
    """Measured on a strip: how far from an output pixel an input pixel has a gradient, at every place on the grid."""
    model = narrow(name, most=4).double()  # what it reaches depends on its layers alone
    with torch.no_grad():
        for kernel in model.parameters():  # means instead of differences: nothing cancels, and every path shows
            kernel.uniform_(0.5, 1)
            if kernel.ndim == 4:
                kernel /= kernel.sum((1, 2, 3), keepdim=True)
    for kernel in model.parameters():
        kernel.requires_grad_(False)  # that of the image is wanted
    declared, grid = model.receptive_field, model.multiple_of
    middle = -(-(declared + 8) // grid) * grid
    strip = torch.rand(1, model.channels, 2 * middle + grid, 2 * max(grid, 4), dtype=torch.double)
    given: list[torch.Tensor] = []
    with model.register_forward_pre_hook(lambda _, inputs: given.extend(inputs)):
        model.restore(strip, *besides(model, len(strip)))
    reach = 0
    ways = (torch.clone, torch.abs) if len(given) > 1 else (torch.clone,)  # unknown levels are below 0
    for way in ways:
        image, *planes = map(way, given)
        image.requires_grad_()
        restored = model(image, *planes)
        restored = restored[-1] if isinstance(restored, tuple) else restored
        for offset in range(grid):
            row, column = (middle + offset) * model.scale, restored.shape[-1] // 2
            place = restored[0, :, row : row + model.scale, column].sum()
            (gradient,) = torch.autograd.grad(place, image, retain_graph=True)
            rows = gradient[0].abs().sum((0, 2)).nonzero().flatten() - middle - offset
            reach = max(reach, int(rows.abs().max()))
    assert declared / 2 < reach <= declared


@pytest.mark.parametrize("name", NAMES)
def test_a_model_trains_after_it_has_restored_in_the_same_process(name):
    model, side = untrained(name), 16
    cached = [value for value in vars(resampling).values() if hasattr(value, "cache_clear")]
    for function in cached:
        function.cache_clear()
    given: list[torch.Tensor] = []
    with model.register_forward_pre_hook(lambda _, inputs: given.extend(inputs)):
        model.restore(torch.rand(1, model.channels, side, side), *besides(model, side))
    model.train()
    outputs = model(*(plane.clone() for plane in given))  # as a training step has them, no longer inference's own
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    sum(output.square().mean() for output in outputs).backward()
    assert any(kernel.grad is not None and kernel.grad.abs().sum() > 0 for kernel in model.parameters())
