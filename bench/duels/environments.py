"""Virtual environments of the peers: made once, made again when the requirements change."""
import hashlib
import os
import shutil
import subprocess
import venv


class CannotInstall(Exception):
    """Says why, in pip's own first words."""


def _first_error(output):
    for line in output.splitlines():
        if line.startswith("ERROR:"):
            return line[len("ERROR:"):].strip()
    lines = output.strip().splitlines()
    return lines[-1] if lines else "pip failed without a word"


def interpreter(requirements, folder):
    """Path of a Python that has what the file `requirements` lists; installs it under `folder` if need be."""
    with open(requirements, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    name = os.path.splitext(os.path.basename(requirements))[0].removeprefix("requirements-")
    home = os.path.join(folder, name)
    stamp, python = os.path.join(home, "installed"), os.path.join(home, "bin", "python")
    if os.path.exists(stamp):
        with open(stamp) as file:
            if file.read() == digest:
                return python
    shutil.rmtree(home, ignore_errors=True)
    print(f"installing {name} into {home}", flush=True)
    try:
        venv.create(home, with_pip=True)
    except subprocess.CalledProcessError as error:
        raise CannotInstall(f"no virtual environment: {error}") from error
    options = []
    with open(requirements) as file:
        for line in file:
            if line.startswith("# pip options:"):
                options += line.split(":", 1)[1].split()
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *options, "-r", requirements]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if result.returncode:
        shutil.rmtree(home, ignore_errors=True)
        raise CannotInstall(_first_error(result.stdout))
    with open(stamp, "w") as file:
        file.write(digest)
    return python
