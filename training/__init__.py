"""limen off the device: train a similarity function, quantize it, measure what ships.

Thread settings come before the first import of torch: on two shared cores, OpenMP threads that spin while they wait
for each other take the processor from the ones that work (2 to 8 images/s in place of 27 with passive waiting).
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
