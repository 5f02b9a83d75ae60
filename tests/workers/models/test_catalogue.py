"""What the catalogue takes, what goes over it, and what it refuses."""

from pathlib import Path
from typing import Any

import pytest

from tests.catalogues import a_model, catalogue_text
from workers.configuration import read_catalogue
from workers.jobs.errors import ModelNotFound
from workers.models.catalogue import Catalogue
from workers.models.overrides import CatalogueError

NAME = "wan2.1-small"
VARIABLE = "SCALINGCACHE_MODELS__WAN2_1_SMALL"


def entry(name: str, **changes: Any) -> str:
    return catalogue_text(a_model(name, **({"source": "checkpoint", "coefficients": "small.json"} | changes)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "models.toml"
    path.write_text(entry(NAME))
    return path


def over(path: Path, text: str) -> Path:
    """A second file, in a folder of its own."""
    other = path.parent / "site" / "overrides.toml"
    other.parent.mkdir()
    other.write_text(text)
    return other


def test_a_file_goes_over_the_catalogue_field_by_field(path: Path) -> None:
    other = over(path, f'[models."{NAME}"]\ndtype = "bfloat16"\ndefaults.sf = 6\n')
    entry = Catalogue.read(path, other).entry(NAME)
    assert (entry.dtype, entry.device) == ("bfloat16", "cpu")
    assert (entry.defaults.sf, entry.defaults.steps) == (6, 50)


def test_a_file_may_bring_models_and_take_values_away(path: Path) -> None:
    other = over(path, entry("another") + f'[models."{NAME}"]\ncoefficients = ""\n')
    catalogue = Catalogue.read(path, other)
    assert list(catalogue.entries) == [NAME, "another"]
    assert catalogue.entry(NAME).coefficients == ()


def test_coefficients_may_be_in_several_files(path: Path) -> None:
    other = over(path, f'[models."{NAME}"]\ncoefficients = ["a.json", "b.json"]\n')
    files = tuple(str(other.parent / name) for name in ("a.json", "b.json"))
    assert Catalogue.read(path, other).entry(NAME).coefficients == files


def test_paths_belong_to_the_file_that_has_them(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = over(path, f'[models."{NAME}"]\nsource = "mine"\nloras = [{{ source = "style" }}]\n')
    for name in ("mine", "style"):
        (other.parent / name).mkdir()
    entry = Catalogue.read(path, other).entry(NAME)
    assert entry.coefficients == (str(path.parent / "small.json"),)
    assert (entry.source, entry.loras[0].source) == (str(other.parent / "mine"), str(other.parent / "style"))
    monkeypatch.chdir(other.parent)
    assert Catalogue.read(path, None, {f"{VARIABLE}__SOURCE": "mine"}).entry(NAME).source == entry.source


def test_a_source_that_is_no_folder_is_a_hub_id(path: Path) -> None:
    assert Catalogue.read(path).entry(NAME).source == "checkpoint"


def test_variables_go_over_the_files_with_the_types_that_toml_has(path: Path) -> None:
    other = over(path, f'[models."{NAME}"]\ndefaults.sf = 6\nserved = false\n')
    variables = {
        f"{VARIABLE}__DEFAULTS__SF": "8",
        f"{VARIABLE}__DEFAULTS__NEGATIVE_PROMPT": "blurry, dull",
        f"{VARIABLE}__DEVICE": "cuda:1",
        f"{VARIABLE}__COMPILE": "true",
        f"{VARIABLE}__LORAS": '[{ source = "someone/style", scale = 0.8 }]',
        f"{VARIABLE}__DTYPE": "",
        f"{VARIABLE}__COEFFICIENTS": '""',
        "SCALINGCACHE_PORT": "80",
    }
    entry = Catalogue.read(path, other, variables).entry(NAME)
    assert (entry.defaults.sf, entry.defaults.negative_prompt) == (8, "blurry, dull")
    assert (entry.device, entry.compile, entry.dtype, entry.served) == ("cuda:1", True, "float32", False)
    assert (entry.loras[0].source, entry.loras[0].scale) == ("someone/style", 0.8)
    assert entry.coefficients == ()


def test_a_variable_that_could_mean_two_models_is_refused(path: Path) -> None:
    twin = over(path, entry("wan2-1-small"))
    with pytest.raises(CatalogueError, match=r"could mean any of wan2\.1-small, wan2-1-small"):
        Catalogue.read(path, twin, {f"{VARIABLE}__DTYPE": "bfloat16"})


def test_the_processes_read_both(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = over(path, f'[models."{NAME}"]\ndefaults.sf = 6\n')
    monkeypatch.setenv("SCALINGCACHE_CATALOGUE_OVERRIDES", str(other))
    monkeypatch.setenv(f"{VARIABLE}__DEFAULTS__STEPS", "40")
    defaults = read_catalogue(path).entry(NAME).defaults
    assert (defaults.sf, defaults.steps) == (6, 40)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ('dtype = "int8"', r"dtype 'int8': Input should be 'float32', 'bfloat16' or 'float16'"),
        ('device = "tpu"', r"device 'tpu': String should match pattern"),
        ('revision = "main"', r"revision 'main'"),
        ('name = "other"', r"multiple values for keyword argument 'name'"),
        ("flavour = 1", r"flavour 1: Extra inputs are not permitted"),
        ('family = "sora"', r"family 'sora' must be one of \['"),
        ("defaults.guidance = inf", r"defaults\.guidance inf: Input should be a finite number"),
        ("defaults.flow_shift = nan", r"defaults\.flow_shift nan: Input should be"),
        ('loras = [{ source = "x", scale = inf }]', r"loras\.0\.scale inf: Input should be a finite number"),
        ("defaults.width = 0", r"defaults\.width 0: Input should be greater than 0"),
        ('offload = "group"', r"offload 'group' keeps weights away from a GPU: it needs device 'cuda'"),
        ('quantization = "int8_dynamic"', r"quantization 'int8_dynamic' needs dtype 'bfloat16', not 'float32'"),
        ('quantization = "int3"', r"quantization 'int3'"),
        ("loras = [{ scale = 1 }]", r"loras\.0\.source: Field required"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(path: Path, changed: str, message: str) -> None:
    with pytest.raises(CatalogueError, match=rf"models\.toml: models\.wan2\.1-small.*{message}"):
        Catalogue.read(path, over(path, f'[models."{NAME}"]\n{changed}\n'))


@pytest.mark.parametrize("name", ["SCALINGCACHE_MODELS__WAN_TINI__DEVICE", "SCALINGCACHE_MODELS__WAN2_1_SMALL"])
def test_a_variable_that_names_no_field_of_a_model_is_refused(path: Path, name: str) -> None:
    with pytest.raises(CatalogueError, match=f"{name} is no field of a model; allowed: {VARIABLE}__"):
        Catalogue.read(path, None, {name: "cpu"})


@pytest.mark.parametrize(
    ("text", "message"),
    [("", r"has no table \[models"), ("models = 1", "models.toml: "), ("[models", "models.toml: ")],
)
def test_a_file_that_is_no_catalogue_is_refused_by_its_name(path: Path, text: str, message: str) -> None:
    path.write_text(text)
    with pytest.raises(CatalogueError, match=message):
        Catalogue.read(path)


SHIPPED = Catalogue.read(Path("models.toml"))


@pytest.mark.parametrize("name", SHIPPED.entries)
def test_the_defaults_of_a_shipped_model_are_what_its_family_takes(name: str) -> None:
    reference = "0" * 64 if SHIPPED.family(name).input_reference == "required" else None
    request = SHIPPED.request(name, "a prompt", input_reference=reference)
    assert request.sf <= request.steps - 2


def test_every_file_that_a_shipped_model_names_is_there() -> None:
    for entry in SHIPPED.entries.values():
        named = [*entry.coefficients, *([entry.evaluation] if entry.evaluation else [])]
        assert [path for path in named if not Path(path).is_file()] == []
        if entry.device == "cpu":
            assert SHIPPED.evaluation(entry.name) is not None and entry.coefficients


def test_a_shipped_model_that_needs_a_gpu_is_not_served_unasked() -> None:
    assert {entry.device for entry in SHIPPED.serving(()).entries.values()} == {"cpu"}
    assert all(len(entry.source.split("/")) == 2 for entry in SHIPPED.entries.values() if entry.device != "cpu")


def test_what_is_served_is_what_is_named_or_else_what_the_catalogue_says(path: Path) -> None:
    other = over(path, entry("large", served=False))
    catalogue = Catalogue.read(path, other)
    assert list(catalogue.serving(()).entries) == [NAME]
    assert list(catalogue.serving(("large", NAME)).entries) == ["large", NAME]
    with pytest.raises(ModelNotFound, match=r"allowed: wan2\.1-small, large"):
        catalogue.serving(("huge",))
    with pytest.raises(CatalogueError, match="no model is served: set SCALINGCACHE_MODELS"):
        Catalogue.read(path, None, {f"{VARIABLE}__SERVED": "false"}).serving(())
