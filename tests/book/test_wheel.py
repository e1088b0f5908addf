"""The wheel brings the weights: built, installed in an empty environment, loaded."""

import os
import shutil
import site
import subprocess
import sys
import venv

from nbkit import ROOT
from tiny import cache, cached, folder, quiet, splits, tiny_config  # noqa: F401

from rsir.training.weights import save_weights


def done(*words, cwd):
    out = subprocess.run(
        list(map(str, words)),
        cwd=cwd,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert out.returncode == 0, out.stderr[-2000:]
    return out.stdout


def test_weights_are_loaded_from_a_clean_installation(splits, cached, tmp_path):
    source, clean = tmp_path / "source", tmp_path / "clean"
    for name in ("rsir", "toyscenes"):
        shutil.copytree(ROOT / name, source / name)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    (source / "weights").mkdir()
    model = quiet(tiny_config(epochs=1), splits).model
    save_weights(model, source / "weights" / "amfmn-squares.safetensors", {"R": 1.5})
    pip = sys.executable, "-m", "pip", "--disable-pip-version-check"
    offline = "--no-deps", "--no-index"
    done(
        *pip,
        "wheel",
        *offline,
        "--no-build-isolation",
        "-w",
        tmp_path,
        source,
        cwd=tmp_path,
    )
    (wheel,) = tmp_path.glob("*.whl")
    venv.create(clean, with_pip=False)
    python = clean / "bin" / "python"
    done(*pip, "--python", python, "install", *offline, wheel, cwd=tmp_path)
    # torch and its kin come from here, rsir does not
    (home,) = (clean / "lib").glob("python*/site-packages")
    (home / "others.pth").write_text("\n".join(site.getsitepackages()))
    say = (
        "import rsir.training.weights as w; m = w.load_weights('amfmn-squares'); "
        "print(w.__file__, w.find_weights('amfmn-squares'), m.config.method)"
    )
    module, found, method = done(python, "-c", say, cwd=tmp_path).split()
    assert module.startswith(str(clean)) and method == "amfmn"
    assert found == str(clean / "share/rsir/weights/amfmn-squares.safetensors")
