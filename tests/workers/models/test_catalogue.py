"""What the catalogue takes, what goes over it, and what it refuses."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values
from pydantic import ValidationError

from tests.catalogues import a_model, catalogue_text
from workers.jobs.errors import ModelNotFound
from workers.models.catalogue import Catalogue
from workers.models.layers import CatalogueError
from workers.process.settings import Settings

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
        f"{VARIABLE}__COEFFICIENTS": "",
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
    defaults = Settings(catalogue=path).read_catalogue().entry(NAME).defaults
    assert (defaults.sf, defaults.steps) == (6, 40)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ('dtype = "int8"', r"\.dtype 'int8': must be 'float32', 'bfloat16' or 'float16'$"),
        ('device = "gpu"', r"\.device 'gpu': must be 'cuda', 'cuda:<number>' or 'cpu'$"),
        ('revision = "main"', r"\.revision 'main': must be a commit: 40 hexadecimal digits, in lower case$"),
        ('name = "other"', r"\.name: the table's name is the model's; leave it out$"),
        ("flavour = 1", r"\.flavour is no field; allowed: family, source, .*, limits$"),
        ('quantisation = "int8_dynamic"', r"\.quantisation is no field; did you mean quantization\?$"),
        ("defaults.step = 1", r"\.defaults\.step is no field; did you mean steps\?$"),
        ('family = "sora"', r"\.family 'sora' must be one of: flux, hunyuan_video, wan, "),
        ('dtype = ""', r"\.dtype is required, and not there$"),
        ("defaults.guidance = inf", r"\.defaults\.guidance inf: must be a finite number$"),
        ("shadow_share = true", r"\.shadow_share True: true is not allowed here$"),
        ("defaults.steps = true", r"\.defaults\.steps True: true is not allowed here$"),
        ("defaults.flow_shift = nan", r"\.defaults\.flow_shift nan: must be"),
        ('loras = [{ source = "x", scale = inf }]', r"\.loras\.0\.scale inf: must be a finite number$"),
        ("defaults.width = 0", r"\.defaults\.width 0: must be greater than 0$"),
        ('offload = "group"', r": offload 'group' keeps weights away from a GPU: it needs device 'cuda'$"),
        ('quantization = "int8_dynamic"', r": quantization 'int8_dynamic' needs dtype 'bfloat16', not 'float32'$"),
        ('quantization = "int3"', r"\.quantization 'int3': must be 'int8_weight_only', "),
        ("loras = [{ scale = 1 }]", r"\.loras\.0\.source is required, and not there$"),
        ("defaults.width = 88", r"\.defaults: .*: size 88x64: width 88 must be a multiple of 16 between 16 and 128$"),
        ("limits.max_width = 64", r"\.defaults: .*: size 96x64: width 96 must be a multiple of 16 between 16 and 64$"),
        ("defaults.frames = 48", r"\.defaults: .*: frames 48 must be 4k\+1 \(1, 5, 9, ...\) and at most 49$"),
        ("defaults.steps = 101", r"\.defaults: .*: steps 101 must be between 1 and 100$"),
        ("defaults.sf = 51", r"\.defaults: .*: sf 51 must be between 2 and steps, which is 50$"),
        (
            "defaults.true_cfg_scale = 3",
            r"\.defaults: .*: true_cfg_scale 3 must be 1: the guidance of wan2\.1-small",
        ),
        ("defaults.flow_shift = 400", r"\.defaults: .*: flow_shift 400\.0: must be less than or equal to 100$"),
        ("defaults.fps = 121", r"\.defaults: .*: fps 121: must be less than or equal to 120$"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(path: Path, changed: str, message: str) -> None:
    with pytest.raises(CatalogueError, match=rf"^/.*/site/overrides\.toml: models\.wan2\.1-small.*{message}"):
        Catalogue.read(path, over(path, f'[models."{NAME}"]\n{changed}\n'))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("SCALINGCACHE_MODELS__FLUX__DEVICE", f"allowed: {VARIABLE}__…"),
        ("SCALINGCACHE_MODELS__WAN2_1_SMAL__DEVICE", rf"did you mean {VARIABLE}__…\?"),
        (VARIABLE, rf"did you mean {VARIABLE}__…\?"),
    ],
)
def test_a_variable_that_names_no_field_of_a_model_is_refused(path: Path, name: str, meant: str) -> None:
    with pytest.raises(CatalogueError, match=f"{name} is no field of a model; {meant}"):
        Catalogue.read(path, None, {name: "cpu"})


def test_a_mistake_is_blamed_on_what_made_it(path: Path) -> None:
    """Of what lies over each other the topmost: below it all was well, or else that was told before."""
    other = over(path, f'[models."{NAME}"]\ndefaults.width = 112\n')
    Catalogue.read(path, other)
    for changed, message in {
        ("__DTYPE", "int8"): r"^SCALINGCACHE_MODELS__WAN2_1_SMALL__DTYPE: models\.wan2\.1-small\.dtype 'int8': must be",
        ("__DTYPE", ""): r"^SCALINGCACHE_MODELS__WAN2_1_SMALL__DTYPE: models\..*\.dtype is required, and not there$",
        ("__DEFAULTS", "{ steps = 500 }"): r"^SCALINGCACHE_MODELS__WAN2_1_SMALL__DEFAULTS: .* steps 500 must be",
        ("__LIMITS__MAX_WIDTH", "96"): r"^SCALINGCACHE_MODELS__WAN2_1_SMALL__LIMITS__MAX_WIDTH: .* width 112 must be",
        ("__OFFLOAD", "model"): r"^SCALINGCACHE_MODELS__WAN2_1_SMALL__OFFLOAD: models\.wan2\.1-small: offload 'model'",
    }.items():
        with pytest.raises(CatalogueError, match=message):
            Catalogue.read(path, other, {VARIABLE + changed[0]: changed[1]})
    path.write_text(path.read_text().replace("max_steps = 100", ""))
    with pytest.raises(
        CatalogueError, match=r"^/.*/models\.toml: models\.wan2\.1-small\.limits\.max_steps is required"
    ):
        Catalogue.read(path, other)


def test_a_negative_prompt_that_no_stream_reads_is_refused_as_a_default(path: Path) -> None:
    flux = {"family": "flux", "defaults": {"frames": 1, "flow_shift": None, "negative_prompt": "blurry"}}
    other = over(path, entry("dev", **flux, limits={"max_frames": 1}))
    with pytest.raises(
        CatalogueError, match=r"overrides\.toml: .*: negative_prompt needs a true_cfg_scale above 1: dev"
    ):
        Catalogue.read(path, other)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[models.wan2.1-small]\ndtype = 'float16'\n", r'\.1-small\] is a table .*: \[models\."wan2\.1-small"\]$'),
        ("[models.wan2.1-14b.defaults]\nsf = 8\n", r'put the name in quotes: \[models\."wan2\.1-14b"\]$'),
        ("[models.wan2.1-14b]\nsf = 8\n", r'put the name in quotes: \[models\."wan2\.1-14b"\]$'),
        ('[models."wan2.1-small".default]\nsf = 8\n', r"\.default is no field; did you mean defaults\?$"),
        ("[model.wan]\nsf = 8\n", r"nothing reads model: every table is a \[models\.<name>\]$"),
        ("[models]\nwan = 1\n", r"models\.wan = 1 must be a table: \[models\.wan\]$"),
        ('[models."wan2.1-smal"]\ndtype = "float16"\n', r"\.family is required, .*; did you mean models\.wan2\.1-s"),
    ],
)  # fmt: skip
def test_a_table_that_would_go_over_nothing_is_explained(path: Path, text: str, message: str) -> None:
    with pytest.raises(CatalogueError, match=rf"/overrides\.toml: .*{message}"):
        Catalogue.read(path, over(path, text))


def test_a_file_that_is_missing_is_told_with_the_folder_and_what_names_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    message = f"site.toml: No such file or directory in {path.parent}; SCALINGCACHE_CATALOGUE_OVERRIDES names this file"
    with pytest.raises(CatalogueError, match=message):
        Catalogue.read(path, Path("site.toml"))


def test_what_is_shown_makes_the_same_catalogue_again_and_says_where_each_value_is_from(path: Path) -> None:
    other = over(path, f'[models."{NAME}"]\nloras = [{{ source = "a/b", scale = 0.5 }}]\ndefaults.sf = 6\n')
    odd = '8, it\'s "bold" [red] #1'
    catalogue = Catalogue.read(path, other, {f"{VARIABLE}__DEFAULTS__NEGATIVE_PROMPT": odd})
    lines = catalogue.shown().splitlines()
    assert f"{VARIABLE}__DEFAULTS__SF=6  # {other}" in lines
    assert f"{VARIABLE}__DEFAULTS__STEPS=50  # {path}" in lines
    assert f"{VARIABLE}__COMPILE=false  # default" in lines
    assert [line for line in lines if line.endswith(f"# {VARIABLE}__DEFAULTS__NEGATIVE_PROMPT")]
    variables = dotenv_values(stream=StringIO(catalogue.shown()))
    assert Catalogue.read(path, None, variables).entries == catalogue.entries


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


@pytest.mark.parametrize("share", ["nan", "inf", "1.5", "-0.1", '"much"'])
def test_a_share_that_is_none_is_refused_by_its_name(path: Path, share: str) -> None:
    path.write_text(catalogue_text(a_model()).replace("dtype =", f"shadow_share = {share}\ndtype =", 1))
    with pytest.raises(CatalogueError, match="shadow_share"):
        Catalogue.read(path)


def test_idle_calibration_of_the_papers_method_is_refused() -> None:
    with pytest.raises(ValidationError, match="calibrate_when_idle"):
        a_model(method="paper", calibrate_when_idle=True)
