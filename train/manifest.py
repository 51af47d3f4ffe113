"""Write the manifest of the bundled checkpoints anew, and print the files whose entry changed.

python -m train.manifest
"""

from restoration import manifest
from restoration.weights import bundled

if __name__ == "__main__":
    print("\n".join(manifest.write(bundled())) or "nothing changed")
