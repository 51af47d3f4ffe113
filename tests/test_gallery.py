"""The examples: there for every task, with thumbnails, and with settings that make them better."""

from pathlib import Path

import numpy as np
import pytest

from restoration import gallery, tasks
from restoration.files import read, write
from restoration.image import Image
from restoration.inpainting import mask_from
from restoration.metrics import psnr
from restoration.running import finish
from tests.conftest import built


@pytest.mark.parametrize("task", tasks.every())
def test_every_example_has_a_picture_a_thumbnail_and_an_order_of_its_task(task):
    examples = gallery.examples(task)
    assert len(examples) >= 6
    for example in examples:
        read(example.picture)
        thumbnail = read(example.thumbnail)
        assert 140 <= thumbnail.width <= 144
        assert 140 <= thumbnail.height <= 144
        assert example.order.task == task
        assert (example.mask is not None) == (task == "inpaint")


@pytest.mark.parametrize("task", tasks.every())
def test_the_examples_lie_in_two_rows_on_the_page(task):
    (shown,) = (block for block in built().blocks.values() if block.elem_id == f"{task}-examples")
    assert shown.columns == -(-len(shown.value) // 2)


@pytest.mark.parametrize("columns, wanted", [(slice(0, 8), 10), (slice(20, 40), 75), (slice(0, 40), 50)])
def test_the_handle_parts_what_changed_in_two_halves(tmp_path, columns, wanted):
    before = np.full((20, 40, 3), 90, np.uint8)
    after = before.copy()
    after[:, columns] = 120
    for name, samples in (("before", before), ("after", after)):
        write(Image(samples), tmp_path / f"{name}.png")
    assert gallery.handle((str(tmp_path / "before.png"), str(tmp_path / "after.png"))) == pytest.approx(wanted, abs=3)


@pytest.mark.parametrize("task", tasks.every())
def test_the_first_examples_are_photos_and_few_are_textbook_pictures(task):
    pictures = [Path(example.picture) for example in gallery.examples(task)]
    real = [picture.name in gallery.free() for picture in pictures]
    assert real == sorted(real, reverse=True)
    assert sum(real) >= 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["astronaut.png", "camera.png", "phantom.png"])
def test_the_settings_of_a_noisy_example_bring_it_nearer_to_the_clean_picture(name):
    file, clean = gallery.noisy(name), read(gallery.clean(name))
    example = next(each for each in gallery.examples("denoise") if each.picture == file)
    noisy = read(file)
    restored = finish(example.order.run(noisy)).picture
    assert psnr(restored.tensor(), clean.tensor()) > psnr(noisy.tensor(), clean.tensor()) + 3


@pytest.mark.slow
def test_a_scratched_example_is_filled_where_its_mask_is_and_only_there():
    example, clean = gallery.examples("inpaint")[2], read(gallery.clean("astronaut.png"))
    scratched = read(example.picture)
    mask = mask_from(read(example.mask), scratched)
    filled = finish(example.order.run(scratched, mask)).picture
    changed = (filled.samples != scratched.samples).any(axis=2)
    assert not changed[mask.opacity == 0].any()
    assert psnr(filled.tensor(), clean.tensor()) > psnr(scratched.tensor(), clean.tensor()) + 8


def test_the_masks_of_examples_are_known_by_name_without_being_made():
    assert gallery.mask_names() == {Path(example.mask).name for example in gallery.examples("inpaint")}
