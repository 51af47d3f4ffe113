"""Write the answers by which the weights of the bundled checkpoints are recognised, see `restoration.probe`.

    python -m train.probe

Those that are saved from now on hold theirs; this is for such as were saved before, or where what `restore` does around
a network has changed.
"""

import json

import restoration
from restoration import manifest, probe
from restoration.weights import bundled

if __name__ == "__main__":
    for record in sorted(bundled().glob("*/run.json")):
        known = json.loads(record.read_text(encoding="utf-8"))
        known[probe.KEY] = probe.answer(restoration.load(record.parent))
        record.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    print("\n".join(manifest.write(bundled())) or "nothing changed")
