"""Renders and judges every overlay of deploy/k8s: `make k8s`. Exit status 1 where one does not hold."""

import sys

from tests.deploy.manifests import K8S, OVERLAYS, complaints, rendered
from tests.engines import kustomize


def main() -> int:
    if why := kustomize.missing():
        print(why, file=sys.stderr)
        return 1
    failed = 0
    for name in OVERLAYS:
        manifests = rendered(K8S / "overlays" / name)
        found = complaints(manifests)
        failed += bool(found)
        print(f"{name}: {len(manifests)} objects, {len(found)} complaints", *found, sep="\n  ")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
