"""Write the manifest of the bundled checkpoints anew, and print the files whose entry changed.

python -m train.manifest
python -m train.manifest --cards     # their cards first, from their records
"""

import argparse

import restoration
from restoration import manifest, weights


def write_card(name: str) -> None:
    """Write the card of a bundled checkpoint anew, from its record."""
    restoration.load(name).generate_model_card().save(weights.bundled() / name / "README.md")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m train.manifest", description=__doc__.split("\n")[0])
    parser.add_argument("--cards", action="store_true", help="write the cards anew first")
    if parser.parse_args().cards:
        for method in restoration.methods():
            if method.learned:
                write_card(method.name)
    print("\n".join(manifest.write(weights.bundled())) or "nothing changed")
