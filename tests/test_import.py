import json
import subprocess
import sys

HEAVY = {"torch", "numpy", "PIL", "transformers", "safetensors", "huggingface_hub", "rich", "tyro"}


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


def modules_after(code):
    done = run(f"import sys, json\n{code}\nprint(json.dumps(sorted(sys.modules)))")
    return {name.split(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_importing_the_package_is_fast_and_loads_nothing_heavy():
    assert not modules_after("import pellucid; pellucid.__version__") & HEAVY
    code = "import time; t = time.process_time(); import pellucid; print(time.process_time() - t)"
    assert min(float(run(code).stdout) for _ in range(3)) < 0.3


def test_help_and_parsing_do_not_load_torch():
    for argv in (["--help"], ["--version"], ["models"]):
        code = f"from pellucid.cli import main; main({argv})"
        assert not modules_after(code) & {"torch", "numpy", "transformers"}
    for command in ("restore", "diagnose", "models", "convert", "doctor"):
        code = (
            "from pellucid.cli import main\n"
            f"try: main(['{command}', '--help'])\nexcept SystemExit as e: assert not e.code"
        )
        assert not modules_after(code) & {"torch", "transformers"}


def test_public_names_are_loaded_when_they_are_used():
    code = (
        "import pellucid\n"
        "assert set(pellucid.__all__) <= set(dir(pellucid))\n"
        "assert 'lite' in pellucid.list_models()\n"
        "for name in pellucid.__all__: getattr(pellucid, name)\n"
        "try: pellucid.nothing\nexcept AttributeError: pass\nelse: raise SystemExit('no error')\n"
    )
    assert "torch" in modules_after(code)


def test_restoring_never_imports_training_code():
    code = (
        "import sys, numpy, pellucid\n"
        "pellucid.restore(numpy.zeros((16, 16, 3), numpy.uint8))\n"
        "print([m for m in sys.modules if m.startswith('pellucid.training')])"
    )
    assert run(code).stdout.splitlines()[-1] == "[]"


def test_the_package_says_that_it_is_typed():
    from importlib.resources import files

    assert (files("pellucid") / "py.typed").is_file()
