"""JPEG artifacts: compression, the quality that a picture was saved with, models, training."""

import torch
from torch import nn

from restoration.models.drunet_artifacts import DRUNetArtifacts


def test_spandrel_runs_the_same_weights_blind(spandrel):
    model = DRUNetArtifacts(3, (8, 12, 16, 20), blocks=2).eval()
    torch.manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.05)
    other = spandrel.ModelLoader().load_from_state_dict(dict(model.state_dict())).eval()
    image = torch.rand(1, 3, 40, 48)
    with torch.inference_mode():
        assert torch.allclose(other(image), model.restore(image), atol=1e-5)
        assert not torch.allclose(model.restore(image, 20), model.restore(image), atol=1e-3)
