"""The model card of a checkpoint, written from its training record and its scores; no number is typed by hand."""

import hashlib
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from huggingface_hub import EvalResult, ModelCard, ModelCardData, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

from restoration.weights import bundled

if TYPE_CHECKING:
    from restoration.restorer import Restorer


FREE = "apache-2.0"  # the licence of weights for every use, as the Hub calls it


@dataclass(frozen=True)
class Source:
    """Training images, as their provider states it.

    Args:
        title: what and where from.
        licence: as stated by the source.
        commercial: whether weights trained on them may be used commercially.
        dataset: its name on the Hub, where it is there; empty for what is no dataset; None is called as it is here.
    """

    title: str
    licence: str
    commercial: bool = False
    dataset: str | None = None


SOURCES = {
    "bsds": Source("BSDS500, train and test images (Arbelaez et al. 2011)", "research, non-commercial"),
    "cid22": Source("CID22 reference images (Cloudinary)", "CC BY-SA 4.0", True),
    "elementary": Source("elementary OS wallpapers", "CC0, Unsplash, Pexels, CC BY(-SA), per file", True),
    "deepin": Source("deepin wallpapers", "CC0, Unsplash, Pexels, CC BY(-SA), per file", True),
    "popos": Source("Pop!_OS wallpapers", "CC0, Unsplash, Pexels, CC BY(-SA), per file", True),
    "aosc": Source("AOSC OS wallpapers", "CC BY-NC(-SA) 4.0"),
    "clic2025": Source("CLIC 2025 photos", "Unsplash", True),
    "coworking": Source("stock photos of co-working spaces", "not stated"),
    "imagenet": Source("ImageNet samples, one an object class, reduced to 300 px", "research, non-commercial"),
    "wsunsplash": Source("wallpaper photos of work_suite", "Unsplash", True),
    "wspexels": Source("wallpaper photos of work_suite", "Pexels", True),
    "tridentpexels": Source("Trident desktop wallpapers", "Pexels", True),
    "budgieczero": Source("Budgie desktop backgrounds", "CC0 1.0", True),
    "mateczero": Source("Ubuntu MATE wallpapers", "CC0 1.0", True),
    "lomiriczero": Source("Lomiri wallpapers", "CC0 1.0", True),
    "soluspd": Source("Solus artwork, a photo by NASA", "public domain", True),
    "furrybsd": Source("indoor photos of furry-broccoli (Stemanz)", "BSD 3-clause", True),
    "solusby": Source("Solus artwork", "CC BY 4.0", True),
    "lomiriby": Source("Lomiri wallpapers", "CC BY 4.0", True),
    "solusbysa": Source("Solus artwork", "CC BY-SA 4.0"),
    "lomiribysa": Source("Lomiri wallpapers", "CC BY-SA 4.0"),
    "lomiribysathree": Source("Lomiri wallpapers", "CC BY-SA 3.0"),
    "ubuntubysa": Source("Ubuntu wallpapers, curated by azzamsa", "CC BY-SA 3.0"),
    "text": Source("pages of text and interface, drawn by the training script", "none needed", True, ""),
    "ct_covid": Source("COVID-CT slices (Zhao et al. 2020)", "research"),
    "dental_panoramic": Source("panoramic dental X-rays, DC1000 (Wang et al. 2023)", "none stated"),
    "chest_xray": Source("chest X-rays", "CC BY-NC-SA and CC BY, per file"),
    "cifar10": Source("CIFAR-10 (Krizhevsky 2009)", "research", dataset="uoft-cs/cifar10"),
    "unknown": Source(
        "images of the weights that the training started from, which tell nothing of them", "unknown", dataset=""
    ),
}


OWNER = "user"  # of the repositories that a card names, until it is published
SPACE = "image-restoration"  # the page and the package, as its owner's repositories are called by default


def licence(run: dict) -> str:
    """Apache-2.0 if every training image allows commercial use, else CC BY-NC 4.0."""
    sources = _sources(run)
    free = sources and all(name in SOURCES and SOURCES[name].commercial for name in sources)
    return FREE if free else "cc-by-nc-4.0"


def _sources(run: dict) -> dict[str, int]:
    """How many images of each source the weights were trained on."""
    return run.get("data", {}).get("sources", {})


def model_card(model: "Restorer", repo: str | None = None, source: str | None = None) -> ModelCard:
    """The card of a model with its training record `model.run`.

    Args:
        repo: the repository that it is for, `owner/name`; without one, the card names those of a "user".
        source: the Space that the package is installed from, `owner/name`; by default one of the repository's owner.
    """
    run = model.run
    architecture = type(model)
    name = run.get("model", architecture.__name__.lower())
    known = {checkpoint.name: checkpoint for checkpoint in architecture.checkpoints}
    title = known[name].title if name in known else architecture.__name__
    if model.scale != 1:
        title = f"{title} x{model.scale}"
    parts = [f"# {title}"]
    if name in known:
        parts.append(f"{known[name].summary}\n\nNot for: {known[name].limits}")
    if architecture.__doc__:
        parts.append(architecture.__doc__.split("\n")[0])
    parts += _use(model, name)
    facts = [
        f"Input: {'grey' if model.channels == 1 else 'RGB'} images of any size",
        f"{sum(parameter.numel() for parameter in model.parameters()):,} parameters",
    ]
    if not model.inputs:  # with a mask, networks see everything
        facts.append(f"an output pixel depends on input pixels up to {model.receptive_field} away")
    parts.append(f"{', '.join(facts)}.")
    parts += _scores(run) + _training(run)
    if architecture._hub_mixin_info.paper_url:
        parts.append(f"## Paper\n\n{architecture._hub_mixin_info.paper_url}")
    parts.append(f"## Licence\n\n{_licence_text(run)}")
    data = ModelCardData(
        license=licence(run),
        library_name="restoration",
        pipeline_tag="image-to-image",
        tags=["image-restoration", model.task],
        datasets=_datasets(run) or None,
        base_model=_base_model(run, name),
        model_name=name,
        eval_results=_eval_results(run),
    )
    text = f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(parts)
    return ModelCard(signed(_addressed(text, name, repo, source) if repo else text))


def _use(model: "Restorer", name: str) -> list[str]:
    """How a stranger installs what runs the weights, and runs them."""
    channels, source = model.channels, f"{OWNER}/{SPACE}"
    grey = "[:, :1]" if channels == 1 else ""
    size = "H, W" if model.scale == 1 else f"{model.scale} * H, {model.scale} * W"
    lines = [
        "import restoration",
        "",
        f'model = restoration.load("{OWNER}/{name}")',
        f'image = restoration.read("photo.jpg").tensor(){grey}  # (1, {channels}, H, W) in [0, 1]',
        *(f"{named} = {how}" for named, how in model.inputs.items()),
        f"restored = model.restore({', '.join(['image', *model.inputs])})  # (1, {channels}, {size})",
    ]
    parts = [
        "## Use\n\n"
        f"The source, training included, is that of the Space [{source}](https://huggingface.co/spaces/{source}):\n\n"
        "```bash\n"
        "pip install huggingface_hub\n"
        f"hf download {source} --repo-type space --local-dir restoration-source\n"
        "pip install ./restoration-source\n"
        "```\n\n"
        "```python\n" + "\n".join(lines) + "\n```"
    ]
    if model.spandrel:
        parts.append(
            "`model.safetensors` also loads as it is in programs that are built on spandrel. **ComfyUI**: save it as "
            f"`models/upscale_models/{name}.safetensors`, choose it in Load Upscale Model, and connect that with "
            "Upscale Image (using Model). **chaiNNer**: open it in Load Model, and connect that with Upscale Image. "
            "They run the bare network, without what `restore` does around it at borders and to colours."
        )
    return parts


def _datasets(run: dict) -> list[str]:
    """What the weights were trained on, by the names of the Hub."""
    named = {name: SOURCES[name].dataset if name in SOURCES else None for name in _sources(run)}
    return [name if dataset is None else dataset for name, dataset in named.items() if dataset != ""]


def _base_model(run: dict, name: str) -> str | None:
    """The other checkpoint that the training started from, if there is such."""
    first = run.get("init")
    other = bool(first) and first != name and (bundled() / first / "config.json").is_file()
    return f"{OWNER}/{first}" if other else None


def _addressed(card: str, name: str, repo: str, source: str | None) -> str:
    """A card whose addresses are those of a repository, of its owner's others, and of the Space with the source."""
    owner = repo.partition("/")[0]
    places = {name: repo, SPACE: source or f"{owner}/{SPACE}"}
    return re.sub(rf"\b{OWNER}/([\w.-]+)", lambda found: places.get(found[1], f"{owner}/{found[1]}"), card)


_SIGNATURE = re.compile(r"\n+<!-- generated; sha256 of the above: [0-9a-f]{64} -->\n$")


def signed(card: str) -> str:
    """A card with a line by which a later edit is told, in the place of the one that it had."""
    card = _SIGNATURE.sub("", card).rstrip("\n") + "\n"
    return f"{card}\n<!-- generated; sha256 of the above: {hashlib.sha256(card.encode()).hexdigest()} -->\n"


def edited(repo: str, revision: str | None = None, token: str | None = None) -> bool:
    """Whether a repository on the Hub has a card that is not as it was generated.

    Raises:
        OSError: the Hub cannot be reached.
    """
    try:
        file = hf_hub_download(repo, "README.md", revision=revision, token=token)
    except (EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError):
        return False
    card = Path(file).read_text(encoding="utf-8")
    return signed(card) != card


def verdict(score: dict) -> str:
    """How a score compares with the best classical filter on the same images, in words."""
    gain = score["psnr"] - score["best_classical_psnr"]
    if gain > 0:
        return f"{gain:+.2f} dB over {score['best_classical']}"
    return f"**loses to {score['best_classical']} by {-gain:.2f} dB**"


def _scores(run: dict) -> list[str]:
    if not run.get("scores"):
        return ["## Scores\n\nThese weights have not been scored."]
    sections = {"median_psnr": _restoring, "psnr_b": _cleaning, "hole_psnr": _filling, "mse": _enlarging}
    return ["## Scores\n\n" + next(say for metric, say in sections.items() if metric in run["scores"][0])(run)]


def _restoring(run: dict) -> str:
    rows = [
        f"| {score['set']} | {score['psnr']:.2f} | {score['ssim']:.4f} | "
        f"{score['baseline']['median_psnr']:.2f} / {score['baseline']['median_ssim']:.4f} | "
        f"{score['median_psnr']:.2f} / {score['median_ssim']:.4f} | {verdict(score)} |"
        for score in run["scores"]
    ]
    return (
        "Mean PSNR in dB and SSIM over the set, and medians before and after, by `python -m train.evaluate`. "
        "Noise is neither clipped nor rounded; results are rounded to 8 bits; no border is cut.\n\n"
        "| test set | PSNR | SSIM | median, noisy | median, restored | against the best classical filter |\n"
        "|---|---|---|---|---|---|\n" + "\n".join(rows)
    )


def _cleaning(run: dict) -> str:
    rows = [
        f"| {score['set']} | "
        + " | ".join(
            f"{picture['psnr']:.2f} / {picture['ssim']:.4f} / {picture['psnr_b']:.2f}"
            for picture in (score["baseline"], score)
        )
        + f" | {score['kept']:.1f} | {verdict(score)} |"
        for score in run["scores"]
    ]
    return (
        "PSNR in dB / SSIM / PSNR-B in dB, means over the set by `python -m train.evaluate --task artifacts`; JPEG by "
        "Pillow, 4:2:0 in colour; results are rounded to 8 bits, no border is cut. The sets are named by the quality. "
        '"Kept" is the PSNR of the result to the JPEG.\n\n'
        "| test set | JPEG | restored | kept | against the best classical filter |\n"
        "|---|---|---|---|---|\n" + "\n".join(rows)
    )


def _enlarging(run: dict) -> str:
    def figures(score: dict) -> str:
        cells = []
        for metric, digits, factor in (("psnr", 2, 1), ("ssim", 4, 1), ("mse", 2, 1e3), ("lpips", 3, 1)):
            low, high = (f"{factor * bound:.{digits}f}" for bound in score.get(f"{metric}_range", (0, 0)))
            cells.append(f"{factor * score[metric]:.{digits}f} ({low} to {high})" if metric in score else "")
        return " | ".join(cells)

    rows = []
    for score in run["scores"]:
        rows.append(f"| {score['set']} | {figures(score)} | {verdict(score)} |")
        rows.append(f"| {score['set']}, bicubic | {figures(score['baseline'])} | |")
    return (
        "Mean and range over the images of the set, on luma with `scale` border pixels cut, by "
        "`python -m train.evaluate --task upscale`; MSE on [0, 1] in thousandths; LPIPS (AlexNet, lower is better) on "
        "RGB. The input is reduced as MATLAB's bicubic does on 8 bits.\n\n"
        "| test set | PSNR in dB | SSIM | MSE | LPIPS | against the best classical method |\n"
        "|---|---|---|---|---|---|\n" + "\n".join(rows)
    )


def _filling(run: dict) -> str:
    rows = []
    for score in run["scores"]:
        perceived = [picture.get("lpips", math.nan) for picture in (score, score["baseline"])]
        mark = "**" if perceived[0] > perceived[1] else ""
        rows.append(
            f"| {score['set']} | {score['hole_psnr']:.2f} | {score['psnr']:.2f} | {score['ssim']:.4f} | "
            f"{mark}{perceived[0]:.3f}{mark} | {perceived[1]:.3f} | {verdict(score)} |"
        )
    return (
        f"Means over the first {run['scores'][0]['images']} images of the set by `python -m train.evaluate --task "
        "inpaint`: PSNR in dB of the holes alone and of the whole picture, SSIM, and LPIPS (AlexNet, lower is better; "
        "bold where it loses to the biharmonic fill). The sets are named by the share of pixels that is missing.\n\n"
        "| test set | PSNR, holes | PSNR | SSIM | LPIPS | LPIPS, biharmonic | against the best classical method |\n"
        "|---|---|---|---|---|---|---|\n" + "\n".join(rows)
    )


def _training(run: dict) -> list[str]:
    if not run:
        return []
    lines = [
        (f"- {count} images: " if count else "- ")
        + (f"{SOURCES[source].title} ({SOURCES[source].licence})" if source in SOURCES else source)
        for source, count in run["data"]["sources"].items()
    ]
    validation = (
        f"LPIPS is {run['validation_lpips']:.3f}"
        if "validation_lpips" in run
        else f"PSNR is {run['validation_psnr']:.2f} dB"
    )
    started = f", starting from earlier weights ({run['init']})" if run.get("init") else ""
    precision = f" in {run['precision']}" if run.get("precision") else ""
    recipe = run.get("recipe", {})

    def describe(way: dict) -> str:
        loss = f"the {way['loss']} loss with " if way["loss"] else ""
        return f"{loss}{way['optimizer']} at {way['learning_rate']:g}"

    tried = [
        f"Tried as well: {describe(other)}, {run['ratchet']['score'] - other['score']:.2f} {run['ratchet']['unit']} "
        f"worse on the held-out images than {describe(recipe)} of these weights."
        for other in run.get("other_recipes", [])
    ]
    return [
        "## Training\n\n"
        f"{run['steps']:,} steps in {run['minutes']:g} minutes on {run['device']}{precision}{started}; "
        f"seed {run['seed']}; one image in twenty was held out, on which the mean {validation}. "
        "The whole recipe and the curve are in `run.json`.\n\n" + "\n".join(lines),
        *tried,
    ]


def _licence_text(run: dict) -> str:
    if licence(run) == FREE:
        return "Apache-2.0: every training image allows commercial use."
    return "CC BY-NC 4.0, for non-commercial use, since not all training images allow more. The code is Apache-2.0."


def _eval_results(run: dict) -> list[EvalResult]:
    return [
        EvalResult("image-to-image", _slug(score["set"]), score["set"], metric, round(score[metric], 4))
        for score in run.get("scores", [])
        for metric in ("psnr", "ssim", "psnr_b", "lpips")
        if metric in score
    ]


def _slug(title: str) -> str:
    return "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in title.lower())
